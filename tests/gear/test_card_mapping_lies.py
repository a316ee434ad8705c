"""Gateways that lie or err are called out by the card, each by what is wrong with it."""

from __future__ import annotations

import re

import pytest
from cards import made, outcomes
from careless_igd import RULES, SMALL, Slip, careless, lying
from rigs import rig
from routers.lies import Lie

from harness.gear.card import guard, leases, mapping
from harness.judge.card import Outcome

COMPLIANT, NON_COMPLIANT = Outcome.COMPLIANT, Outcome.NON_COMPLIANT
NOT_OFFERED, NOT_TESTED = Outcome.NOT_OFFERED, Outcome.NOT_TESTED

# An IGD:1 has less than the checks ask for, but what it has is right.
HONEST = {
    "discovery-igd2": NOT_OFFERED,
    "discovery-unicast": COMPLIANT,
    "map-any-port": NOT_OFFERED,
    "subscribe-foreign": NON_COMPLIANT,  # it knows no SUBSCRIBE, and says so by 404
    "subscribe-own": NON_COMPLIANT,
    "bad-low-port": NON_COMPLIANT,
    "delete-of-another": NON_COMPLIANT,
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend less on what takes its time: expiry, full tables and endless lists."""
    monkeypatch.setattr(leases, "_SHORT", 2)
    monkeypatch.setattr(leases, "_GRACE", 2.0)
    monkeypatch.setattr(guard, "_MOST", 2 * SMALL)
    monkeypatch.setattr(mapping, "_MOST_ENTRIES", 16)


@pytest.mark.usefixtures("quick")
def test_an_honest_gateway_of_version_1_complies_with_what_it_offers() -> None:
    with rig(RULES, lying(Lie.NONE)) as here:
        results = made(here)
    upnp = {name: r for name, r in results.items() if not name.startswith(("natpmp", "pmp", "pcp"))}
    expected = {name: HONEST.get(name, COMPLIANT) for name in upnp}
    assert outcomes(upnp) == expected, [r for n, r in upnp.items() if r.outcome != expected[n]]


LIES = [
    (Lie.WRONG_ADDRESS, "external-address", NON_COMPLIANT, "it says 24.48.96.7; the internet sees"),
    (
        Lie.ALWAYS_CONFLICT,
        "map-3389-lease-3600",
        NON_COMPLIANT,
        "718 .*, though the port is nobody's",
    ),
    (Lie.ALWAYS_CONFLICT, "map-3389-lease-0", NON_COMPLIANT, "718 .*, though the port is nobody's"),
    (Lie.ALWAYS_CONFLICT, "delete-closes", NOT_TESTED, "no mapping could be made: .* 718"),
    (Lie.ACTION_FAILED, "map-3389-lease-0", NON_COMPLIANT, "501 Action Failed"),
    (Lie.FORWARDS_NOTHING, "map-3389-lease-0", NON_COMPLIANT, "does not get in: silence"),
    (Lie.FORWARDS_NOTHING, "map-3389-lease-604800", NON_COMPLIANT, "does not get in: silence"),
    (Lie.FORWARDS_NOTHING, "map-other-port", NON_COMPLIANT, "to 3389: silence"),
    (Lie.FORWARDS_NOTHING, "delete-closes", NOT_TESTED, "let nobody in: silence"),
    (Lie.FORWARDS_NOTHING, "lease-expiry", NOT_TESTED, "let nobody in: silence"),
    (Lie.FORWARDS_NOTHING, "map-remote-host", NON_COMPLIANT, "91.30.30.10, which it is for: sil"),
    (Lie.STEALS, "map-conflict", NON_COMPLIANT, "stole the port, silently: connected to neighbour"),
    (Lie.STEALS, "map-3389-lease-3600", COMPLIANT, "connected to lan"),
    (Lie.PERMANENT_ONLY, "map-3389-lease-3600", NOT_OFFERED, "725 .* taken without an end"),
    (Lie.PERMANENT_ONLY, "map-3389-lease-0", COMPLIANT, "read back with 0 s left"),
    (Lie.PERMANENT_ONLY, "map-conflict", COMPLIANT, "718"),
    (Lie.PERMANENT_ONLY, "lease-expiry", NOT_TESTED, "a lease of 4 s is not taken: .* 725"),
    (Lie.ENTITIES, "description", NON_COMPLIANT, "document type"),
    (Lie.ENTITIES, "map-3389-lease-0", NOT_TESTED, "cannot be used: .* document type"),
    (Lie.REDIRECT, "description", NON_COMPLIANT, "a redirect to 'http://91.30.30.10"),
    (Lie.FOREIGN_LOCATION, "discovery-location", NON_COMPLIANT, "it is on another host than"),
    (Lie.FOREIGN_LOCATION, "map-3389-lease-0", NOT_TESTED, "it is on another host than"),
    (Lie.FOREIGN_CONTROL, "map-3389-lease-0", NON_COMPLIANT, "controlURL .* another host than"),
    (Lie.MANY_SERVICES, "description", NON_COMPLIANT, "a body of 2379073 bytes, at most"),
    (Lie.HUGE, "description", NON_COMPLIANT, "a body of 268436708 bytes, at most"),
    (Lie.BINARY_NAME, "description", NON_COMPLIANT, "no well-formed XML"),
]


@pytest.mark.parametrize(("lie", "check", "outcome", "reason"), LIES)
def test_a_lie_is_called_out(lie: Lie, check: str, outcome: Outcome, reason: str) -> None:
    with rig(RULES, lying(lie)) as here:
        result = made(here, check)[check]
    assert result.outcome == outcome, result
    assert re.search(reason, result.detail), result.detail


SLIPS = [
    (Slip.KEEPS_OPEN, "delete-closes", NON_COMPLIANT, "is still open: connected to lan"),
    (Slip.KEEPS_OPEN, "delete-unknown", NON_COMPLIANT, "accepted; 714 is due"),
    (Slip.ENDLESS_LEASE, "lease-expiry", NON_COMPLIANT, "still open . s after a lease of 2 s"),
    (Slip.ENDLESS_LEASE, "map-3389-lease-3600", NON_COMPLIANT, "lease of 3600 s reads back as 0 s"),
    (Slip.ENDS_BY_714, "map-enumeration", NON_COMPLIANT, "1 entries, then 714 .*; 713 is due"),
    (Slip.NO_END, "map-enumeration", NON_COMPLIANT, "no end after 16 entries"),
    (Slip.HIDES, "map-enumeration", NON_COMPLIANT, "0 entries, then 713; port .* not among them"),
    (Slip.ANY_REMOTE_HOST, "map-remote-host", NON_COMPLIANT, "93.40.40.10 gets in too"),
    (Slip.NO_REMOTE_HOST, "map-remote-host", NOT_OFFERED, "726"),
    (Slip.SAME_PORTS, "map-other-port", NOT_OFFERED, "724"),
    (Slip.RENEWS_NOT, "map-renewal", NON_COMPLIANT, "asked for 7200 s, it reads back with 3600 s"),
    (Slip.REFUSES_AND_STEALS, "map-conflict", NON_COMPLIANT, "stole the port, though it .* 718"),
    (Slip.SMALL_TABLE, "table-full", COMPLIANT, f"{SMALL} mappings, then 728"),
    (Slip.SMALL_TABLE_718, "table-full", NON_COMPLIANT, f"{SMALL} mappings, then .*718"),
    (Slip.KEEPS_OPEN, "table-full", COMPLIANT, "none refused"),
    (Slip.DISCONNECTED, "connection-status", NON_COMPLIANT, "its status is 'Disconnected'"),
    (Slip.NO_CODE, "bad-unknown-action", NON_COMPLIANT, "501"),
    (Slip.NO_CODE, "bad-protocol", NON_COMPLIANT, "refused, but by 501"),
    (Slip.NO_CODE, "bad-internal-port-0", NON_COMPLIANT, "refused, but by 501"),
    (Slip.NO_CODE, "bad-external-port-0", NON_COMPLIANT, "refused, but by 501"),
    (Slip.NO_CODE, "map-conflict", NON_COMPLIANT, "501 .*, 718 is due; still connected to lan"),
    (Slip.FILLS_IN, "bad-missing-argument", NON_COMPLIANT, "accepted; 402 is due"),
    (Slip.CALLS_ANYBODY, "subscribe-foreign", NON_COMPLIANT, "called the internet at 80.100.10.2"),
    (Slip.CALLS_ANYBODY, "subscribe-own", COMPLIANT, "200; the first event came from 192.168.0.1"),
    (Slip.ONLY_IGD_1, "discovery-root-device", NON_COMPLIANT, "no answer within"),
    (Slip.ONLY_IGD_1, "discovery-wan-connection", NON_COMPLIANT, "no answer within"),
    (Slip.ONLY_IGD_1, "discovery-igd1", COMPLIANT, "lying-igd"),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("slip", "check", "outcome", "reason"), SLIPS)
def test_a_slip_is_called_out(slip: Slip, check: str, outcome: Outcome, reason: str) -> None:
    with rig(RULES, careless(slip)) as here:
        result = made(here, check)[check]
    assert result.outcome == outcome, result
    assert re.search(reason, result.detail), result.detail
