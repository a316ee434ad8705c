"""The card tells how long a router remembers idle connections.

Here the limits are seconds instead of minutes and hours, on both sides of the comparison.
"""

from __future__ import annotations

import asyncio

import pytest
from natcards import BY_ID, COMPLIANT, NON_COMPLIANT, NOT_TESTED, made_on, sysctls
from rigs import MASQUERADE, rig, rules

from harness.gear.card import idle
from harness.gear.card.check import Check, make
from harness.gear.rig import Rig
from harness.judge.card import CheckResult, Level

WAIT = 1.0
"""Seconds that the checks wait, but for their margin of one."""

FORGETFUL = sysctls(
    netfilter__nf_conntrack_tcp_loose=0,
    **{
        f"netfilter__nf_conntrack_tcp_timeout_{state}": 1
        for state in ("established", "syn_sent", "fin_wait", "close_wait")
    },
)
KINDS = (idle.established, idle.opening, idle.closing)


async def _made(here: Rig) -> dict[str, CheckResult]:
    """Make all three side by side."""
    checks = [
        Check(id=kind.__name__, title="", source="", level=Level.REQUIRED, make=kind(WAIT))
        for kind in KINDS
    ]
    results = await asyncio.gather(*(make(check, here) for check in checks))
    return {result.id: result for result in results}


def test_a_router_that_remembers_long_enough_complies() -> None:
    with rig(MASQUERADE) as here:
        results = asyncio.run(_made(here))
    assert {name: (result.outcome, result.detail) for name, result in results.items()} == {
        "established": (COMPLIANT, "it carries bytes both ways after 1 idle s"),
        "opening": (COMPLIANT, "a SYN-ACK 1 s after the SYN comes in"),
        "closing": (COMPLIANT, "1 s after the FIN the other side's bytes still come in"),
    }
    assert min(result.seconds for result in results.values()) > WAIT


def test_a_router_that_forgets_is_called_out() -> None:
    with rig(MASQUERADE, FORGETFUL) as here:
        results = asyncio.run(_made(here))
    assert {name: (result.outcome, result.detail) for name, result in results.items()} == {
        "established": (NON_COMPLIANT, "after 1 idle s nothing comes in any more"),
        "opening": (NON_COMPLIANT, "a SYN-ACK 1 s after the SYN does not come in"),
        "closing": (NON_COMPLIANT, "1 s after the FIN nothing comes in any more"),
    }


@pytest.mark.parametrize("name", ["idle-30-s", "idle-opening"])
def test_idle_limits_are_not_told_of_a_router_without_internet(name: str) -> None:
    assert made_on(rules(forward="drop"), name).outcome is NOT_TESTED


def test_the_slow_checks_wait_as_long_as_the_standard_says() -> None:
    waits = {"idle-opening": 240.0, "idle-closing": 240.0, "idle-established": 7440.0}
    assert {each.id for each in idle.CHECKS if each.slow} == set(waits)
    for name, seconds in waits.items():
        assert BY_ID[name].deadline > seconds
    assert (idle.TRANSITORY, idle.ESTABLISHED) == (240.0, 7440.0)
