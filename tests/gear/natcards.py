"""What the tests of the card's NAT checks share: one check made on a router of nft rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rigs import Part, forked, rig

from harness.gear.card import filtering, idle, nat, signals, transfer, wan_side
from harness.gear.card.check import Check, make
from harness.gear.rig import Rig
from harness.judge.card import CheckResult, Outcome
from harness.runtime.netns import NetNs

COMPLIANT, NON_COMPLIANT = Outcome.COMPLIANT, Outcome.NON_COMPLIANT
NOT_OFFERED, NOT_TESTED = Outcome.NOT_OFFERED, Outcome.NOT_TESTED

CHECKS = (
    *nat.CHECKS,
    *filtering.CHECKS,
    *signals.CHECKS,
    *transfer.CHECKS,
    *idle.CHECKS,
    *wan_side.CHECKS,
)
BY_ID = {check.id: check for check in CHECKS}


def made(here: Rig, check: str | Check) -> CheckResult:
    """Make one check, given by its id."""
    return asyncio.run(make(BY_ID[check] if isinstance(check, str) else check, here))


def made_on(ruleset: str, check: str | Check, *parts: Part) -> CheckResult:
    """Make one check on a router of its own."""
    with rig(ruleset, *parts) as here:
        return made(here, check)


def sysctls(**values: int) -> Part:
    """Set what is below ``/proc/sys/net`` in the router, a name's dots as two underscores."""

    @contextmanager
    def part(router: NetNs, _folder: Path) -> Iterator[None]:
        with router.entered():
            for name, value in values.items():
                path = Path("/proc/sys/net", *name.split("__"))
                path.write_text(str(value), encoding="ascii")
        yield

    return part


def child(body: Callable[[], None], *listens: str) -> Part:
    """Run a function in the router that listens."""
    return partial(forked, body, list(listens))
