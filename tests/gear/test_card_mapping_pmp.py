"""NAT-PMP and PCP servers that err are called out by the card, each by what is wrong with it."""

from __future__ import annotations

import re

import pytest
from cards import made, outcomes
from careless_igd import RULES
from careless_pmp import Slip, careless
from rigs import rig

from harness.gear.card import pcp, pmp
from harness.judge.card import Outcome

COMPLIANT, NON_COMPLIANT = Outcome.COMPLIANT, Outcome.NON_COMPLIANT
NOT_OFFERED, NOT_TESTED = Outcome.NOT_OFFERED, Outcome.NOT_TESTED
CHECKS = tuple(check.id for check in (*pmp.CHECKS, *pcp.CHECKS))


def test_a_server_that_does_all_as_it_should_complies() -> None:
    with rig(RULES, careless(Slip.CHECKS_NONCES)) as here:
        results = made(here, *CHECKS)
    assert outcomes(results) == dict.fromkeys(CHECKS, COMPLIANT), results


SLIPS = [
    (
        Slip.WRONG_ADDRESS,
        {
            "natpmp-external-address": (NON_COMPLIANT, "it says 24.48.96.7; the internet sees 80"),
            "pcp-map": (NON_COMPLIANT, "24.48.96.7:3389 .*, but the internet sees 80.100.10.2"),
        },
    ),
    (
        Slip.FORWARDS_NOTHING,
        {
            "natpmp-map": (NON_COMPLIANT, "port 3389 for 3600 s: silence"),
            "natpmp-delete": (NOT_TESTED, "let nobody in"),
            "natpmp-port-taken": (NOT_TESTED, "let nobody in"),
            "natpmp-renewal": (NON_COMPLIANT, "silence"),
            "pcp-map": (NON_COMPLIANT, "silence"),
            "pcp-delete": (NOT_TESTED, "let nobody in"),
        },
    ),
    (
        Slip.OTHER_PORT,
        {
            "natpmp-suggested-port": (NON_COMPLIANT, r"\d+ was suggested, \d+ given"),
            "pcp-suggested-port": (NON_COMPLIANT, r"\d+ was suggested, \d+ given"),
            "natpmp-map": (COMPLIANT, "port 3390"),
        },
    ),
    (Slip.STEALS, {"natpmp-port-taken": (NON_COMPLIANT, "connected to neighbour, connected to")}),
    (
        Slip.MOVES,
        {
            "natpmp-renewal": (NON_COMPLIANT, r"port \d+, then \d+ for"),
            "pcp-renewal": (NON_COMPLIANT, r"port \d+, then \d+ for"),
        },
    ),
    (
        Slip.KEEPS_OPEN,
        {
            "natpmp-delete": (NON_COMPLIANT, "is still open: connected to lan"),
            "pcp-delete": (NON_COMPLIANT, "connected to lan"),
        },
    ),
    (
        Slip.STANDS_STILL,
        {
            "natpmp-epoch": (NON_COMPLIANT, "it stands at 1000 s"),
            "pcp-epoch": (NON_COMPLIANT, "it stands at 1000 s"),
        },
    ),
    (
        Slip.RACES,
        {
            "pcp-epoch": (NON_COMPLIANT, r"from \d+ to \d+ s in"),
        },
    ),
    (Slip.ANY_VERSION, {"pmp-version": (NON_COMPLIANT, "version 0, opcode 128, result 0")}),
    (Slip.ANY_THIRD_PARTY, {"pcp-third-party": (NON_COMPLIANT, "accepted; .*: connected to neig")}),
    (
        Slip.NO_PCP,
        {
            "pcp-map": (NOT_OFFERED, "no PCP: what answers speaks version 00"),
            "pmp-version": (COMPLIANT, "version 0, opcode 128, result 1"),
            "natpmp-map": (COMPLIANT, "connected to lan"),
        },
    ),
    (
        Slip.REFUSES,
        {
            "natpmp-map": (NON_COMPLIANT, "the gateway refused: not authorized"),
            "natpmp-external-address": (COMPLIANT, "80.100.10.2"),
        },
    ),
]


@pytest.mark.parametrize(("slip", "expected"), SLIPS)
def test_a_slip_is_called_out(slip: Slip, expected: dict[str, tuple[Outcome, str]]) -> None:
    with rig(RULES, careless(slip)) as here:
        results = made(here, *expected)
    for check, (outcome, reason) in expected.items():
        assert results[check].outcome == outcome, results[check]
        assert re.search(reason, results[check].detail), results[check]
