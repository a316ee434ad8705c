"""Debian's miniupnpd by the card: what is known of version 2.3.1 is found, and nothing is left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from cards import MAPPING, Kept, made, outcomes
from rigs import MASQUERADE, miniupnpd, rig, rules

from harness.gear.card import guard
from harness.gear.card.check import Attempt, make_all
from harness.gear.card.control import find
from harness.gear.card.reach import dial, listening
from harness.gear.rig import Rig
from harness.judge.card import CheckResult, Outcome
from harness.runtime import nftables

COMPLIANT, NON_COMPLIANT = Outcome.COMPLIANT, Outcome.NON_COMPLIANT
NOT_OFFERED = Outcome.NOT_OFFERED

# miniupnpd 2.3.1 as an IGD:2 in secure mode, with NAT-PMP and PCP.
KNOWN = {
    "delete-unknown": "accepted; 714 is due",
    "bad-protocol": "accepted, and it opens port .*: connected to lan",
    "bad-client-neighbour": "refused, but by 718 ConflictInMappingEntry",
    "bad-client-router": "refused, but by 718 ConflictInMappingEntry",
    "bad-client-internet": "refused, but by 718 ConflictInMappingEntry",
    "bad-client-nobody": "0.0.0.0: refused, but by 718 ConflictInMappingEntry",
    # It copies 64 bytes and no end: what stands behind them in its memory comes with them.
    "bad-long-description": "accepted, and unreadable ever after|accepted, reads back with",
    "pcp-nonce": "renewal with another nonce: accepted",
}


@pytest.fixture(autouse=True)
def small_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for few mappings: miniupnpd needs longer for each."""
    monkeypatch.setattr(guard, "_MOST", 6)


@pytest.fixture(scope="module")
def kept() -> Kept:
    return Kept()


@pytest.fixture(scope="module")
def card(kept: Kept) -> Iterator[dict[str, CheckResult]]:
    """The card of an IGD:2, made once; the router runs on."""
    with pytest.MonkeyPatch.context() as patch, rig(MASQUERADE, miniupnpd(), kept.as_part) as here:
        patch.setattr(guard, "_MOST", 6)
        yield made(here)


def test_what_is_known_of_miniupnpd_is_found_and_nothing_else(
    card: dict[str, CheckResult],
) -> None:
    expected = {name: NON_COMPLIANT if name in KNOWN else COMPLIANT for name in card}
    found = outcomes(card)
    assert found == expected, [card[name] for name in card if found[name] != expected[name]]


@pytest.mark.parametrize("check", KNOWN)
def test_a_finding_says_what_was_seen(card: dict[str, CheckResult], check: str) -> None:
    assert re.search(KNOWN[check], card[check].detail), card[check].detail


def test_nothing_is_left_mapped(card: dict[str, CheckResult], kept: Kept) -> None:
    with kept.namespace.entered():
        loaded = nftables.listing()
    assert card
    assert "dnat" not in loaded, loaded


def test_every_exchange_is_evidence_on_a_line_of_its_own(card: dict[str, CheckResult]) -> None:
    evidence = card["map-conflict"].evidence
    assert [line for line in evidence if line.startswith("neighbour: AddPortMapping")]
    assert any(re.search(r"-> error 718 \([0-9.]+ s\)$", line) for line in evidence), evidence
    assert any(re.match(r"far -> 80\.100\.10\.2:\d+: connected to lan", line) for line in evidence)
    every = [line for result in card.values() for line in result.evidence]
    assert all(line.isprintable() for line in every)


def test_each_check_has_its_own_id_and_names_a_document_and_section() -> None:
    ids = [check.id for check in MAPPING]
    assert len(set(ids)) == len(ids)
    for check in MAPPING:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.id)
        assert re.search(r"(UDA|WANIPConnection|RFC|TR-124).* \d|MGMT", check.source), check


def test_an_insecure_daemon_is_called_out() -> None:
    wanted = {
        "bad-client-neighbour": "accepted, and it opens port .*: connected to neighbour",
        "bad-client-router": "accepted; port .*: silence",
        "bad-low-port": "accepted, and it opens port 1023: connected to lan",
        "delete-of-another": "accepted, and the mapping is gone: silence",
    }
    with rig(MASQUERADE, miniupnpd(secure=False, low_ports=True)) as here:
        results = made(here, *wanted)
    for name, detail in wanted.items():
        assert results[name].outcome == NON_COMPLIANT, results[name]
        assert re.search(detail, results[name].detail), results[name]


def test_a_daemon_whose_rules_say_no_complies_by_them() -> None:
    names = ("bad-client-internet", "bad-client-nobody", "bad-low-port")
    with rig(MASQUERADE, miniupnpd(secure=False)) as here:
        results = made(here, *names)
    assert outcomes(results) == dict.fromkeys(names, COMPLIANT), results


def test_version_1_has_no_add_any_port_mapping_and_contradicts_itself_on_version_2() -> None:
    with rig(MASQUERADE, miniupnpd(igd=1)) as here:
        results = made(here, "map-any-port", "discovery-igd2", "map-3389-lease-0")
    assert results["map-any-port"].outcome == NOT_OFFERED
    assert results["discovery-igd2"].outcome == NON_COMPLIANT
    assert "describes 'urn:schemas-upnp-org:device:InternetGatewayDevice:1'" in (
        results["discovery-igd2"].detail
    )
    assert results["map-3389-lease-0"].outcome == COMPLIANT


def test_a_router_without_a_daemon_offers_nothing_and_costs_little() -> None:
    with rig() as here:
        results = made(here)
    assert outcomes(results) == dict.fromkeys(results, NOT_OFFERED)
    # Once for all: two searches of a second and an answer's time.
    assert sum(result.seconds for result in results.values()) < 2 * (1 + here.answer) + 2


def test_a_router_that_drops_what_it_does_not_serve_offers_nothing_either() -> None:
    silent = MASQUERADE.replace('{ "lo", "lan" } accept', '"lo" accept')
    with rig(silent) as here:
        results = made(here, "discovery-igd1", "natpmp-map", "natpmp-delete", "pcp-map")
    assert outcomes(results) == dict.fromkeys(results, NOT_OFFERED)
    assert results["natpmp-delete"].seconds < 0.5, "silence is waited for once"


def test_a_router_with_nat_pmp_alone_is_judged_by_it() -> None:
    with rig(MASQUERADE, miniupnpd(upnp=False)) as here:
        results = made(here, "discovery-igd1", "natpmp-map", "pcp-map")
    assert outcomes(results) == {
        "discovery-igd1": NOT_OFFERED,
        "natpmp-map": COMPLIANT,
        "pcp-map": COMPLIANT,
    }


def test_a_mapping_is_removed_also_when_its_check_runs_out_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = Kept()
    with rig(MASQUERADE, miniupnpd(), box.as_part) as here:
        result = asyncio.run(_cut_short(here))
        with box.namespace.entered():
            loaded = nftables.listing()
    assert result.outcome == Outcome.ERROR
    assert "dnat" not in loaded, loaded


async def _cut_short(here: Rig) -> CheckResult:
    """Make the check of a lease's end, and leave it no time for the end."""
    check = next(check for check in MAPPING if check.id == "lease-expiry")
    (result,) = await make_all([replace(check, deadline=1.0)], here, False, lambda _: None)
    return result


def test_a_port_that_is_mapped_from_before_is_told_as_that() -> None:
    with rig(MASQUERADE, miniupnpd(secure=False)) as here:
        result = asyncio.run(_occupied(here))
    assert result.outcome == Outcome.NOT_TESTED
    assert "port 3389 is mapped to 192.168.0.11:3389 from before: remove it" in result.detail


async def _occupied(here: Rig) -> CheckResult:
    """Make the check of 3389 while the neighbour has that port."""
    attempt = Attempt(here, AsyncExitStack())
    async with attempt.cleanup:
        igd = await find(attempt)
        await igd.add(3389, 3389, station=here.neighbour)
        check = next(check for check in MAPPING if check.id == "map-3389-lease-3600")
        (result,) = await make_all([check], here, False, lambda _: None)
    return result


def test_who_answers_is_known_by_name_and_a_stranger_is_nobody() -> None:
    forwarding = rules(
        prerouting='iifname "wan" tcp dport { 3389, 3390 } dnat ip to 192.168.0.11',
        forward="ct status dnat accept",
    )
    with rig(forwarding) as here:
        attempt = Attempt(here, AsyncExitStack())
        ends = asyncio.run(_dialled(attempt))
    assert ends == ["connected to neighbour", "answered by a stranger", "refused", "silence"]


async def _dialled(attempt: Attempt) -> list[str]:
    far, neighbour = attempt.rig.far, attempt.rig.neighbour
    async with listening(neighbour, 3389) as host, listening(attempt.rig.lan, 0) as another:
        return [
            str(await dial(attempt, far, 3389, host)),
            str(await dial(attempt, far, 3389, another)),
            str(await dial(attempt, far, 3390, host)),
            str(await dial(attempt, far, 3391, host)),
        ]
