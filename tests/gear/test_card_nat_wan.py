"""The card tells what the internet sees of a router: its services, its LAN, its open ports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial

import pytest
from careless_igd import RULES, Slip, careless, lying
from lying_igd import HTTP_PORT as LIAR_PORT
from natcards import COMPLIANT, NON_COMPLIANT, NOT_OFFERED, NOT_TESTED, child, made, made_on
from rigs import EXTERNAL, LAN, MASQUERADE, NEIGHBOUR, ROUTER, miniupnpd, rig, rules
from routers.lies import Lie

from harness.gear.rig import Rig
from harness.judge.card import Level

MANAGEMENT = 8080
ALL_IN = rules(input="accept", forward='iifname "wan" accept')


def _answer_udp(port: int, answer: bytes) -> None:
    """Answer every datagram, whoever sends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        while True:
            _, sender = sock.recvfrom(2048)
            sock.sendto(answer, sender)


def _accept_tcp(port: int) -> None:
    """Accept every connection, whoever asks for it."""
    with socket.create_server(("", port)) as server:
        while True:
            server.accept()[0].close()


SSDP = child(
    partial(_answer_udp, 1900, b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n"), "UDP 1900"
)
PMP = child(partial(_answer_udp, 5351, bytes(12)), "UDP 5351")
WEB = child(partial(_accept_tcp, MANAGEMENT), f"TCP {MANAGEMENT}")


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    """A plain masquerade with miniupnpd."""
    with rig(MASQUERADE, miniupnpd()) as here:
        yield here


# --- Mapping protocols ---


@pytest.mark.parametrize("name", ["wan-ssdp", "wan-soap", "wan-nat-pmp"])
def test_a_router_that_answers_its_lan_only_complies(plain: Rig, name: str) -> None:
    result = made(plain, name)
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED), result


def test_a_router_that_answers_searches_from_the_wan_is_called_out() -> None:
    result = made_on(rules(input="udp dport 1900 accept"), "wan-ssdp", SSDP)
    assert result.outcome is NON_COMPLIANT
    assert f"upnp:rootdevice to {EXTERNAL.ip}" in result.detail


def test_a_router_that_answers_nat_pmp_from_the_wan_is_called_out() -> None:
    result = made_on(rules(input="udp dport 5351 accept"), "wan-nat-pmp", PMP)
    assert result.outcome is NON_COMPLIANT
    assert result.detail == "UDP port 5351 answers 80.100.10.1, 91.30.30.10"


def test_a_closed_nat_pmp_port_that_says_so_complies() -> None:
    result = made_on(rules(input="accept"), "wan-nat-pmp")
    assert result.outcome is COMPLIANT
    assert any("refused" in line for line in result.evidence)


def test_a_upnp_server_that_serves_the_wan_is_called_out() -> None:
    # The gateway's server is on the LAN address; its rules have a place for what the WAN may ask.
    established = "ct state established,related accept\n"
    served = (
        RULES.replace(established, f"{established}tcp dport {LIAR_PORT} accept\n", 1)
        + f"""\
table ip served {{
    chain prerouting {{
        type nat hook prerouting priority -120;
        iifname "wan" tcp dport {LIAR_PORT} dnat ip to {ROUTER.ip}
    }}
}}
"""
    )
    result = made_on(served, "wan-soap", lying(Lie.NONE))
    assert result.outcome is NON_COMPLIANT, result
    assert f"is told the external address, {EXTERNAL.ip}" in result.detail
    assert made_on(RULES, "wan-soap", lying(Lie.NONE)).outcome is COMPLIANT


def test_soap_from_the_wan_needs_upnp() -> None:
    assert made_on(MASQUERADE, "wan-soap").outcome is NOT_OFFERED


# --- Packets that have no business on the WAN ---


@pytest.mark.parametrize(
    ("name", "level"),
    [("wan-lan-addresses", Level.REQUIRED), ("wan-spoofed-source", Level.RECOMMENDED)],
)
def test_a_router_that_drops_lan_addresses_on_its_wan_complies(
    plain: Rig, name: str, level: Level
) -> None:
    result = made(plain, name)
    assert (result.outcome, result.level) == (COMPLIANT, level), result


def test_a_router_that_passes_packets_to_its_lan_hosts_is_called_out() -> None:
    result = made_on(ALL_IN, "wan-lan-addresses", miniupnpd())
    assert result.outcome is NON_COMPLIANT
    assert result.detail == f"a SYN for {LAN.ip}:3389 is passed in from the WAN"


def test_a_router_whose_lan_address_is_open_to_the_wan_is_called_out() -> None:
    result = made_on(rules(input="accept"), "wan-lan-addresses", miniupnpd(), WEB)
    assert result.outcome is NON_COMPLIANT
    assert result.detail == f"ports {MANAGEMENT} of {ROUTER.ip} are open to the WAN"


def test_a_router_that_passes_forged_sources_in_is_called_out() -> None:
    result = made_on(ALL_IN, "wan-spoofed-source")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == f"a SYN from {NEIGHBOUR.ip}:3389 that came on the WAN is passed in"


def test_lan_addresses_on_the_wan_are_not_tried_without_a_way_in() -> None:
    assert made_on(rules(forward="drop"), "wan-lan-addresses").outcome is NOT_TESTED


# --- Sweeps ---


def test_a_router_with_no_open_port_complies(plain: Rig) -> None:
    result = made(plain, "wan-sweep")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)
    asked = result.detail.split()[1]
    assert int(asked) > 1024
    assert result.detail == f"of {asked} ports none open, {asked} silent"


def test_closed_ports_that_say_so_comply() -> None:
    result = made_on(rules(input="accept"), "wan-sweep", miniupnpd())
    assert result.outcome is COMPLIANT
    assert "none open" in result.detail
    assert result.detail.endswith(" refused, 0 silent")


def test_rejected_ports_comply() -> None:
    # Linux sends an ICMP error to one host once a second, but for the first ones.
    result = made_on(rules(input="reject"), "wan-sweep", miniupnpd())
    assert result.outcome is COMPLIANT
    assert " unreachable, " in result.detail


def test_an_open_management_port_is_called_out() -> None:
    result = made_on(rules(input=f"tcp dport {MANAGEMENT} accept"), "wan-sweep", miniupnpd(), WEB)
    assert result.outcome is NON_COMPLIANT
    assert f"ports {MANAGEMENT} open" in result.detail


def test_a_sweep_is_not_told_of_a_router_without_internet() -> None:
    assert made_on(rules(forward="drop"), "wan-sweep").outcome is NOT_TESTED


def test_3389_alone_is_open_while_it_is_mapped(plain: Rig) -> None:
    result = made(plain, "wan-sweep-mapped")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)
    assert result.detail == "3389 alone is open while it is mapped, and none afterwards"


def test_more_than_3389_open_while_it_is_mapped_is_called_out() -> None:
    ruleset = rules(input=f"tcp dport {MANAGEMENT} accept")
    result = made_on(ruleset, "wan-sweep-mapped", miniupnpd(), WEB)
    assert result.outcome is NON_COMPLIANT
    assert result.detail == f"while 3389 is mapped, 3389, {MANAGEMENT} are open"


def test_3389_that_stays_open_after_its_removal_is_called_out() -> None:
    result = made_on(RULES, "wan-sweep-mapped", careless(Slip.KEEPS_OPEN))
    assert result.outcome is NON_COMPLIANT
    assert result.detail == "after the mapping's removal 3389 is open"


def test_a_mapping_that_forwards_nothing_is_not_swept() -> None:
    result = made_on(RULES, "wan-sweep-mapped", lying(Lie.FORWARDS_NOTHING))
    assert result.outcome is NOT_TESTED
    assert "lets nobody in" in result.detail


def test_a_mapping_that_is_refused_is_not_swept() -> None:
    result = made_on(RULES, "wan-sweep-mapped", lying(Lie.ALWAYS_CONFLICT))
    assert result.outcome is NOT_TESTED
    assert "cannot be mapped" in result.detail
