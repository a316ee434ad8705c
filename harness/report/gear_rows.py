"""A router's scenarios in the article's shape: novice, expert and both behind it, by method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.judge.model import Router, ScenarioResult
from harness.report.wording import plain
from harness.words import Method, chain_name

_NOVICE, _EXPERT, _BOTH = "Novice", "Expert", "Novice and Expert"


@dataclass(frozen=True)
class Row:
    """Who stands behind a router, in the article's words, and the scenario of each method.

    ``novice`` and ``expert`` name the chains; a method that was not run is not in ``results``.
    """

    behind: str
    novice: str
    expert: str
    results: Mapping[Method, ScenarioResult]


def rows(router: str, scenarios: Iterable[ScenarioResult]) -> tuple[Row, ...]:
    """Return a router's rows in the article's order; of two results of a cell, the first."""
    found: dict[tuple[str, str, str], dict[Method, ScenarioResult]] = {}
    for result in scenarios:
        if router in result.novice + result.expert:
            chains = plain(chain_name(result.novice)), plain(chain_name(result.expert))
            cells = found.setdefault((_behind(result), *chains), {})
            cells.setdefault(result.method, result)
    order = (_NOVICE, _EXPERT, _BOTH)
    return tuple(
        Row(*key, cells)
        for key, cells in sorted(found.items(), key=lambda each: order.index(each[0][0]))
    )


def reference_line(routers: Iterable[Router], scenarios: Iterable[ScenarioResult]) -> str:
    """Say what stood at the other side where both stood behind a router and there was one only.

    It is one of the project's own devices, of the class that the router is claimed to be. Where a
    second router was there, or nobody stood behind one on both sides, it is nothing.
    """
    names = {router.name for router in routers}
    chains = [{*each.novice, *each.expert} for each in scenarios if each.novice and each.expert]
    own = set().union(*(chain - names for chain in chains if chain & names))
    if not own:
        return ""
    devices = " and ".join(sorted(map(plain, own)))
    return (
        f"where novice and expert are both behind a router, the other side is this project's own "
        f"{devices}, as reference: there was no second router"
    )


def _behind(result: ScenarioResult) -> str:
    if result.novice and result.expert:
        return _BOTH
    return _NOVICE if result.novice else _EXPERT
