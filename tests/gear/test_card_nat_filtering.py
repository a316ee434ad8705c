"""The card tells whom a router lets in, how it meets a lone SYN, and whether two can meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from natcards import COMPLIANT, NON_COMPLIANT, NOT_TESTED, made, made_on
from rigs import EXTERNAL, FAR, LAN, MASQUERADE, rig, rules

from harness.gear.card.filtering import SILENCE
from harness.gear.rig import Rig
from harness.judge.card import Level

INSIDE_FIRST = "simultaneous-open-inside-first"
OUTSIDE_FIRST = "simultaneous-open-outside-first"

ACCEPTING = rules(input="accept")
RANDOM = rules(postrouting='oifname "wan" masquerade fully-random')
NO_SYN_IN = rules(forward='iifname "wan" tcp flags & (syn|ack) == syn drop')
LET_IN = 'iifname "wan" ct status dnat accept'


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    """A plain masquerade that drops what nobody asked for."""
    with rig(MASQUERADE) as here:
        yield here


def test_a_plain_masquerade_lets_in_nobody_but_the_peer(plain: Rig) -> None:
    result = made(plain, "filtering-class")
    assert (result.outcome, result.level) == (NON_COMPLIANT, Level.RECOMMENDED)
    assert result.detail == "address-and-port-dependent: nobody but the peer gets in"


def test_a_port_open_to_everybody_is_endpoint_independent_filtering() -> None:
    for_all = f'iifname "wan" tcp dport 1024-65535 dnat ip to {LAN.ip}'
    result = made_on(rules(prerouting=for_all, forward=LET_IN), "filtering-class")
    assert result.outcome is COMPLIANT
    assert result.detail.startswith("endpoint-independent: another port of the peer and another")


def test_a_port_open_to_the_peers_address_is_address_dependent_filtering() -> None:
    for_peer = f'iifname "wan" ip saddr {FAR} tcp dport 1024-65535 dnat ip to {LAN.ip}'
    result = made_on(rules(prerouting=for_peer, forward=LET_IN), "filtering-class")
    assert result.outcome is COMPLIANT
    assert result.detail == "address-dependent: another port of the peer gets in"


def test_a_lone_syn_that_is_dropped_complies(plain: Rig) -> None:
    result = made(plain, "filtering-unsolicited-syn")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)
    assert result.detail.startswith("ports 3389 and ")
    assert result.detail.endswith("silence for 6 s, then nothing")
    assert result.seconds >= SILENCE


def test_a_lone_syn_that_is_reset_at_once_is_called_out() -> None:
    result = made_on(ACCEPTING, "filtering-unsolicited-syn")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith("port 3389: RST")
    assert result.seconds < SILENCE


def test_a_lone_syn_that_is_rejected_at_once_is_called_out() -> None:
    result = made_on(rules(input="reject"), "filtering-unsolicited-syn")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith("port 3389: ICMP port unreachable")


def test_a_lone_syn_that_is_passed_in_is_called_out() -> None:
    exposed = f'iifname "wan" tcp dport 3389 dnat ip to {LAN.ip}'
    ruleset = rules(prerouting=exposed, forward=LET_IN)
    result = made_on(ruleset, "filtering-unsolicited-syn")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == f"port 3389 is open to {LAN.ip}"


def test_silence_counts_only_where_there_is_a_way() -> None:
    result = made_on(rules(forward="drop"), "filtering-unsolicited-syn")
    assert result.outcome is NOT_TESTED


def test_a_syn_that_meets_one_on_its_way_out_is_let_in(plain: Rig) -> None:
    result = made(plain, INSIDE_FIRST)
    assert result.outcome is COMPLIANT, result
    assert f"is let in to {EXTERNAL.ip}:" in result.detail


def test_a_router_that_lets_no_syn_in_has_no_simultaneous_open() -> None:
    result = made_on(NO_SYN_IN, INSIDE_FIRST)
    assert result.outcome is NON_COMPLIANT
    assert "is not let in" in result.detail


def test_a_syn_that_comes_early_does_not_spoil_the_connection(plain: Rig) -> None:
    result = made(plain, OUTSIDE_FIRST)
    assert result.outcome is COMPLIANT, result
    assert "is dropped; " in result.detail


def test_a_syn_that_comes_early_and_is_reset_spoils_the_connection() -> None:
    result = made_on(ACCEPTING, OUTSIDE_FIRST)
    assert result.outcome is NON_COMPLIANT
    assert result.detail.endswith("is met by RST")


def test_nobody_can_dial_first_where_each_peer_sees_another_port() -> None:
    result = made_on(RANDOM, OUTSIDE_FIRST)
    assert result.outcome is NOT_TESTED
    assert "nobody can dial first (RFC 5382 REQ-1)" in result.detail
