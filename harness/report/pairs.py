"""Which scenarios are a cell of a grid, and in which order its rows and columns stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.judge.model import ScenarioResult
from harness.words import Method, chain_name

Chain = tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """Every novice against every expert by one method; a pair that was not run is not in ``cells``.

    ``cells`` are by the novice's chain and the expert's.
    """

    method: Method
    novices: tuple[Chain, ...]
    experts: tuple[Chain, ...]
    cells: Mapping[tuple[Chain, Chain], ScenarioResult]


def sort(
    scenarios: Iterable[ScenarioResult],
) -> tuple[Sequence[Grid], Sequence[ScenarioResult]]:
    """Return a grid for each method, and the scenarios that have no cell in one.

    A pair has one cell: scenarios with options, and second ones of a pair, are the others.
    """
    pairs: dict[Method, dict[tuple[Chain, Chain], ScenarioResult]] = {}
    others = []
    for result in scenarios:
        cells = pairs.setdefault(result.method, {})
        pair = (result.novice, result.expert)
        plain_id = f"{result.method}/{chain_name(result.novice)}+{chain_name(result.expert)}"
        if result.id != plain_id or pair in cells:
            others.append(result)
        else:
            cells[pair] = result
    return [_grid(method, pairs[method]) for method in Method if pairs.get(method)], others


def _grid(method: Method, cells: Mapping[tuple[Chain, Chain], ScenarioResult]) -> Grid:
    """Order both sides as they came; the experts as the novices where all of them are novices."""
    novices = tuple(dict.fromkeys(novice for novice, _ in cells))
    experts = tuple(dict.fromkeys(expert for _, expert in cells))
    if set(experts) <= set(novices):
        experts = tuple(sorted(experts, key=novices.index))
    return Grid(method, novices, experts, cells)
