"""The card tells how long a router remembers idle connections.

Here the limits are seconds instead of minutes and hours, on both sides of the comparison.
"""

from __future__ import annotations

import asyncio

import pytest
from natcards import BY_ID, COMPLIANT, NON_COMPLIANT, NOT_TESTED, made_on, sysctls
from rigs import MASQUERADE, rig, rules

from harness.gear.card import idle
from harness.gear.card import tap as tapping
from harness.gear.card.check import Check, make
from harness.gear.card.packets import tcp
from harness.gear.rig import Rig
from harness.judge.card import CheckResult, Level
from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags, Segment

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


def test_what_else_passes_meanwhile_is_not_too_much_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The slow checks are made aside, while others sweep ports and carry megabytes."""
    monkeypatch.setattr(tapping, "MOST", 16)

    async def amid_traffic(here: Rig) -> CheckResult:
        opening = Check("opening", "", "", Level.REQUIRED, idle.opening(WAIT))
        making = asyncio.create_task(make(opening, here))
        with here.lan.udp() as sock:
            while not making.done():
                sock.sendto(b"noise", (str(here.far.address), 9))
                await asyncio.wait([making], timeout=WAIT / 100)
        return await making

    with rig(MASQUERADE) as here:
        result = asyncio.run(amid_traffic(here))
    assert (result.outcome, result.detail) == (COMPLIANT, "a SYN-ACK 1 s after the SYN comes in")


def test_a_reset_that_came_in_meanwhile_is_not_taken_for_the_late_answer() -> None:
    forgets_what_was_reset = sysctls(
        netfilter__nf_conntrack_tcp_loose=0, netfilter__nf_conntrack_tcp_timeout_close=1
    )

    async def reset(here: Rig) -> CheckResult:
        opening = Check("opening", "", "", Level.REQUIRED, idle.opening(WAIT))
        with tapping.tap(here.far) as outside:
            making = asyncio.create_task(make(opening, here))
            seen = await outside.first(lambda each: not each.leaves, here.answer)
            assert seen is not None
            syn = seen.packet
            assert isinstance(syn, Segment)
            remote = Endpoint(syn.destination, syn.destination_port)
            external = Endpoint(syn.source, syn.source_port)
            flags = Flags.RST | Flags.ACK
            tapping.send(here.far, tcp(remote, external, 0, flags, syn.sequence + 1))
        return await making

    with rig(MASQUERADE, forgets_what_was_reset) as here:
        result = asyncio.run(reset(here))
    assert (result.outcome, result.detail) == (
        NON_COMPLIANT,
        "a SYN-ACK 1 s after the SYN does not come in",
    )


@pytest.mark.parametrize("name", ["idle-30-s", "idle-opening"])
def test_idle_limits_are_not_told_of_a_router_without_internet(name: str) -> None:
    assert made_on(rules(forward="drop"), name).outcome is NOT_TESTED


def test_the_slow_checks_wait_as_long_as_the_standard_says() -> None:
    waits = {"idle-opening": 240.0, "idle-closing": 240.0, "idle-established": 7440.0}
    assert {each.id for each in idle.CHECKS if each.slow} == set(waits)
    for name, seconds in waits.items():
        assert BY_ID[name].deadline > seconds
    assert (idle.TRANSITORY, idle.ESTABLISHED) == (240.0, 7440.0)
