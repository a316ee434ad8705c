"""Where a SYN's journey ended, told from what the nodes' kernels logged."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from harness.judge.journey import Ending, Event, Sighting, attempt, ended, ending, origin
from harness.judge.model import Attempt
from harness.protocol.packet import Flags, Packet, Segment, Unreachable
from harness.protocol.replies import Dialled
from harness.words import End, Role

EXPERT = IPv4Address("17.1.1.2")
ROUTER = IPv4Address("17.2.2.2")
NOVICE = IPv4Address("192.168.0.2")
SERVICES = IPv4Address("17.9.9.9")
LOCAL_PORT = 49152
SEQUENCE = 1000

SYN = Segment(EXPERT, LOCAL_PORT, ROUTER, 3389, SEQUENCE, 0, Flags.SYN)
# The same packet where a router has translated both its addresses and its source port.
TRANSLATED = replace(SYN, source=ROUTER, source_port=1025, destination=NOVICE)
SYN_ACK = Segment(NOVICE, 3389, EXPERT, LOCAL_PORT, 77, SEQUENCE + 1, Flags.SYN | Flags.ACK)
RST = Segment(NOVICE, 3389, EXPERT, LOCAL_PORT, 0, SEQUENCE + 1, Flags.RST | Flags.ACK)
PORT_UNREACHABLE = Unreachable(ROUTER, "port unreachable", 1025, SEQUENCE)
NO_ROUTE = Unreachable(SERVICES, "network unreachable", LOCAL_PORT, SEQUENCE)


def sent(node: str, packet: Packet) -> Sighting:
    return Sighting(node, Event.SENT, "", packet)


def stopped(node: str, rule: str, packet: Packet) -> Sighting:
    return Sighting(node, Event.ENDED, rule, packet)


LEFT = sent("expert", SYN)
DROPPED = stopped("novice.nat", "unsolicited packet on wan", SYN)


def dialled(end: End = End.TIMEOUT, detail: str = "no answer within 4 s") -> Dialled:
    return Dialled(str(ROUTER), 3389, LOCAL_PORT, 12.5, 0.25, end, detail)


def expert_attempt(*sightings: Sighting, of: Dialled | None = None) -> Attempt:
    return attempt(Role.EXPERT, of or dialled(), sightings)


@pytest.mark.parametrize(
    ("sightings", "node", "how"),
    [
        pytest.param(
            [LEFT, DROPPED],
            "novice.nat",
            "dropped by novice.nat (unsolicited packet on wan)",
            id="dropped",
        ),
        pytest.param(
            [LEFT, stopped("novice.nat", "not from lan to wan", TRANSLATED)],
            "novice.nat",
            "dropped by novice.nat (not from lan to wan)",
            id="dropped after translation",
        ),
        pytest.param(
            [LEFT, DROPPED, sent("novice.nat", PORT_UNREACHABLE)],
            "novice.nat",
            "ICMP port unreachable from novice.nat (unsolicited packet on wan)",
            id="rejected with ICMP",
        ),
        pytest.param(
            [LEFT, sent("novice.nat", PORT_UNREACHABLE)],
            "novice.nat",
            "ICMP port unreachable from novice.nat",
            id="ICMP without a rule",
        ),
        pytest.param(
            [LEFT, stopped("internet", "no route", SYN), sent("internet", NO_ROUTE)],
            "internet",
            "ICMP network unreachable from internet (no route)",
            id="no route",
        ),
        pytest.param(
            [LEFT, sent("novice", RST)],
            "novice",
            "RST from novice (nothing listens there)",
            id="RST",
        ),
        pytest.param([LEFT, sent("novice", SYN_ACK)], "novice", "answered by novice", id="SYN-ACK"),
        pytest.param([LEFT], "", "its end was not seen", id="end not seen"),
    ],
)
def test_the_ending_names_the_node_and_what_happened_there(
    sightings: list[Sighting], node: str, how: str
) -> None:
    reached = ending(sightings, SEQUENCE)
    assert (reached.node, reached.how) == (node, how)
    result = expert_attempt(*sightings)
    assert (result.ended_at, result.how) == (node, how)


def test_an_attempt_joins_what_the_dialler_knows_with_what_the_kernels_saw() -> None:
    assert expert_attempt(LEFT, DROPPED) == Attempt(
        dialler=Role.EXPERT,
        address="17.2.2.2",
        port=3389,
        seconds=0.25,
        end=End.TIMEOUT,
        ended_at="novice.nat",
        how="dropped by novice.nat (unsolicited packet on wan)",
    )


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        (End.CONNECTED, "both sides hold the invitation"),
        (End.WRONG_PEER, "the listener does not hold the invitation"),
    ],
)
def test_an_attempt_that_was_answered_says_who_answered_and_what_came_of_it(
    end: End, detail: str
) -> None:
    result = expert_attempt(LEFT, sent("novice", SYN_ACK), of=dialled(end, detail))
    assert result.end is end
    assert result.ended_at == "novice"
    assert result.how == f"answered by novice; {detail}"


def test_a_refusal_by_oneself_says_that_the_address_is_ones_own() -> None:
    result = expert_attempt(LEFT, sent("expert", RST), of=dialled(End.REFUSED, "refused"))
    assert result.ended_at == "expert"
    assert result.how == (
        "RST from expert (nothing listens there); that address is the expert's own"
    )
    by_novice = expert_attempt(LEFT, sent("novice", RST), of=dialled(End.REFUSED, "refused"))
    assert by_novice.how == "RST from novice (nothing listens there)"


def test_ones_own_listener_is_named_as_who_answered() -> None:
    of = dialled(End.WRONG_PEER, "the listener does not hold the invitation")
    result = expert_attempt(LEFT, sent("expert", SYN_ACK), of=of)
    assert result.ended_at == "expert"
    assert result.how == "answered by expert; the listener does not hold the invitation"


def test_an_address_of_the_lan_that_nobody_has_is_said_to_be_nobodys() -> None:
    nobody = Unreachable(EXPERT, "host unreachable", LOCAL_PORT, SEQUENCE)
    of = dialled(End.UNREACHABLE, "no route to host")
    result = expert_attempt(LEFT, sent("expert", nobody), of=of)
    assert result.ended_at == "expert"
    assert result.how == ("ICMP host unreachable from expert; no host of its LAN has that address")
    by_router = expert_attempt(LEFT, sent("internet", NO_ROUTE), of=of)
    assert by_router.how == "ICMP network unreachable from internet"


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(
            dialled(End.UNREACHABLE, "network is unreachable"), id="no route on the host itself"
        ),
        pytest.param(
            replace(
                dialled(End.UNREACHABLE, "no name service knows this computer name"), local_port=0
            ),
            id="computer name",
        ),
    ],
)
def test_an_attempt_that_never_left_ended_at_its_dialler(of: Dialled) -> None:
    others = (
        sent("novice", SYN),  # the same port at the other side
        sent("expert", replace(SYN, source_port=LOCAL_PORT + 1)),
        sent("expert", replace(SYN_ACK, source_port=LOCAL_PORT)),  # no SYN
        stopped("expert", "its own rule", SYN),  # never sent
    )
    result = expert_attempt(*others, of=of)
    assert result.ended_at == "expert"
    assert result.how == f"did not leave the expert: {of.detail}"


def of_another(packet: Packet) -> Packet:
    """Return the packet as it would be for an attempt with another sequence number."""
    if isinstance(packet, Segment) and packet.flags & Flags.ACK:
        return replace(packet, acknowledgement=packet.acknowledgement + 1)
    return replace(packet, sequence=packet.sequence + 1)


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(stopped("novice.nat", "a rule", of_another(SYN)), id="its drop"),
        pytest.param(sent("novice", of_another(SYN_ACK)), id="its SYN-ACK"),
        pytest.param(sent("novice", of_another(RST)), id="its RST"),
        pytest.param(sent("internet", of_another(NO_ROUTE)), id="its ICMP error"),
    ],
)
def test_another_attempts_packets_are_not_taken_for_this_one(foreign: Sighting) -> None:
    assert ending([LEFT, foreign], SEQUENCE) == Ending("", "its end was not seen")
    assert expert_attempt(foreign, LEFT, DROPPED).ended_at == "novice.nat"
    assert expert_attempt(LEFT, foreign, DROPPED).ended_at == "novice.nat"


def test_a_packet_that_only_was_seen_to_be_stopped_answers_nothing() -> None:
    dropped_answer = stopped("expert.nat", "unsolicited packet on wan", SYN_ACK)
    assert ending([LEFT, dropped_answer, DROPPED], SEQUENCE).node == "novice.nat"


def test_each_attempt_of_one_dialler_has_its_own_end() -> None:
    second = replace(SYN, source_port=LOCAL_PORT + 1, destination=NOVICE, sequence=5000)
    sightings = (
        LEFT,
        sent("expert", second),
        stopped("internet", "no route", second),
        sent("novice", SYN_ACK),
    )
    assert expert_attempt(*sightings).how == "answered by novice"
    of_second = replace(dialled(), address=str(NOVICE), local_port=LOCAL_PORT + 1)
    assert expert_attempt(*sightings, of=of_second).how == "dropped by internet (no route)"


def test_an_earlier_connection_from_the_same_port_is_not_this_attempt() -> None:
    """The expert's connection to the mail server may have had the port that it dials from now."""
    fetched = Segment(EXPERT, LOCAL_PORT, SERVICES, 110, 4000, 0, Flags.SYN)
    served = Segment(SERVICES, 110, EXPERT, LOCAL_PORT, 9, 4001, Flags.SYN | Flags.ACK)
    result = expert_attempt(sent("expert", fetched), sent("services", served), LEFT, DROPPED)
    assert result.ended_at == "novice.nat"
    assert result.how == "dropped by novice.nat (unsolicited packet on wan)"


@pytest.mark.parametrize(
    "sightings",
    [
        pytest.param([LEFT, LEFT, DROPPED, LEFT, DROPPED], id="each dropped"),
        pytest.param([LEFT, DROPPED, LEFT, LEFT], id="the later ones not seen again"),
    ],
)
def test_retransmissions_are_one_syn(sightings: list[Sighting]) -> None:
    assert expert_attempt(*sightings) == expert_attempt(LEFT, DROPPED)


def test_a_retransmission_that_is_answered_outranks_a_first_syn_that_was_dropped() -> None:
    assert expert_attempt(LEFT, DROPPED, LEFT, sent("novice", SYN_ACK)).ended_at == "novice"


def test_the_last_sequence_number_is_followed_to_its_answer() -> None:
    last = replace(SYN, sequence=0xFFFFFFFF)
    answer = replace(SYN_ACK, acknowledgement=0)
    assert expert_attempt(sent("expert", last), sent("novice", answer)).ended_at == "novice"


# --- through a proxy

PROXY = "expert.http-proxy"
# What the proxy sends for the expert: a SYN of its own, from a port and with a number of its own.
BEYOND = Segment(IPv4Address("17.1.1.9"), 1026, ROUTER, 3389, 9000, 0, Flags.SYN)


def proxied(*sightings: Sighting, of: Dialled | None = None) -> Attempt:
    """Join an attempt whose SYN to the proxy was answered, as it always is."""
    to_proxy = replace(SYN, destination=IPv4Address("192.168.0.1"), destination_port=8080)
    by_proxy = replace(SYN_ACK, source=IPv4Address("192.168.0.1"), source_port=8080)
    seen = (sent("expert", to_proxy), sent(PROXY, by_proxy), *sightings)
    return attempt(Role.EXPERT, replace(of or dialled(), via_proxy=True), seen, PROXY)


@pytest.mark.parametrize(
    ("sightings", "node", "how"),
    [
        pytest.param(
            [stopped("novice.nat", "unsolicited packet on wan", BEYOND)],
            "novice.nat",
            "through expert.http-proxy: dropped by novice.nat (unsolicited packet on wan)",
            id="dropped",
        ),
        pytest.param(
            [sent("novice", replace(SYN_ACK, acknowledgement=9001))],
            "novice",
            "through expert.http-proxy: answered by novice",
            id="SYN-ACK",
        ),
        pytest.param([], "", "through expert.http-proxy: its end was not seen", id="not seen"),
    ],
)
def test_a_proxied_attempt_is_followed_by_the_syn_of_its_proxy(
    sightings: list[Sighting], node: str, how: str
) -> None:
    elsewhere = sent(PROXY, replace(BEYOND, destination_port=443, sequence=8000))
    result = proxied(elsewhere, sent(PROXY, BEYOND), *sightings)
    assert (result.ended_at, result.how) == (node, how)


def test_a_proxied_attempt_that_the_proxy_does_not_make_ended_there() -> None:
    of = dialled(End.REFUSED, "the proxy did not connect: HTTP 403 Forbidden")
    result = proxied(of=of)
    assert result.ended_at == PROXY
    assert result.how == f"ended by {PROXY}: {of.detail}"


# --- where a SYN that was seen elsewhere came from


def test_the_origin_of_a_stopped_syn_is_who_sent_it_and_the_syn_as_sent() -> None:
    stopped_inside = stopped("novice.nat", "a rule", TRANSLATED)
    others = (
        sent("novice", replace(SYN, sequence=5000)),
        stopped("expert.nat", "a rule", SYN),
        sent("novice", SYN_ACK),
        sent("novice", RST),
    )
    assert origin([*others, LEFT, stopped_inside], stopped_inside) == ("expert", SYN)
    assert origin([*others, stopped_inside], stopped_inside) is None


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(SYN_ACK, id="SYN-ACK"),
        pytest.param(replace(SYN, flags=Flags.RST), id="RST"),
        pytest.param(NO_ROUTE, id="ICMP error"),
    ],
)
def test_what_is_no_syn_has_no_origin(packet: Packet) -> None:
    assert origin([LEFT], stopped("novice.nat", "a rule", packet)) is None


def test_only_a_rule_ends_a_syn() -> None:
    assert ended([LEFT, sent("novice", RST)], SEQUENCE) is None
    stopped_answer = stopped("novice.nat", "a rule", replace(SYN_ACK, sequence=SEQUENCE))
    assert ended([LEFT, stopped_answer], SEQUENCE) is None
    assert ended([LEFT, stopped_answer, DROPPED], SEQUENCE) is DROPPED
