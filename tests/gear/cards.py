"""Makes checks of a card on a rig, by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from rigs import Part

from harness.gear.card import bad_input, discovery, guard, leases, mapping, pcp, pmp
from harness.gear.card.check import make_all
from harness.gear.rig import Rig
from harness.judge.card import CheckResult
from harness.runtime.netns import NetNs

MAPPING = (
    *discovery.CHECKS,
    *mapping.CHECKS,
    *leases.CHECKS,
    *bad_input.CHECKS,
    *guard.CHECKS,
    *pmp.CHECKS,
    *pcp.CHECKS,
)


def made(rig: Rig, *ids: str) -> dict[str, CheckResult]:
    """Make the named checks, all of port mapping where none is named; return them by id."""
    known = {check.id: check for check in MAPPING}
    assert set(ids) <= set(known), set(ids) - set(known)
    checks = [known[each] for each in ids] if ids else MAPPING
    results = asyncio.run(make_all(checks, rig, False, lambda _: None))
    return {result.id: result for result in results}


def outcomes(results: dict[str, CheckResult]) -> dict[str, str]:
    return {name: result.outcome.value for name, result in results.items()}


class Kept:
    """A part of a router that keeps its namespace, to look into."""

    namespace: NetNs

    @contextmanager
    def part(self, router: NetNs, _folder: object) -> Iterator[None]:
        self.namespace = router
        yield

    @property
    def as_part(self) -> Part:
        return self.part
