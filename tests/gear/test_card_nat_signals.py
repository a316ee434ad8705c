"""The card tells whether RST and ICMP errors pass a router, and whether they end anything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from natcards import COMPLIANT, NON_COMPLIANT, NOT_TESTED, made, made_on
from rigs import EXTERNAL, LAN, MASQUERADE, WAN, rig, rules

from harness.gear.rig import Rig
from harness.judge.card import Level

NO_ICMP = rules(forward='iifname "wan" meta l4proto icmp drop')
CUT_OFF = rules(forward="drop")
# After an ICMP error for a LAN host, it lets nothing in for that host.
CREDULOUS = (
    MASQUERADE
    + """\
table ip credulous {
    set ended { type ipv4_addr; flags dynamic; }
    chain forward {
        type filter hook forward priority -10;
        iifname "wan" meta l4proto icmp add @ended { ip daddr }
        iifname "wan" ip daddr @ended drop
    }
}
"""
)

# It translates the addresses of every packet, and none of those that an ICMP error quotes.
SHALLOW = (
    rules(forward="accept", postrouting="")
    + f"""\
table ip shallow {{
    chain prerouting {{
        type filter hook prerouting priority -300;
        notrack
        iifname "wan" ip daddr {EXTERNAL.ip} ip daddr set {LAN.ip}
    }}
    chain postrouting {{
        type filter hook postrouting priority 100;
        oifname "wan" ip saddr set {EXTERNAL.ip}
    }}
}}
"""
)


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    """A plain masquerade."""
    with rig(MASQUERADE) as here:
        yield here


def test_a_rst_comes_out_both_ways(plain: Rig) -> None:
    result = made(plain, "rst-translated")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)


@pytest.mark.parametrize(("interface", "way"), [("lan", "outward"), ("wan", "inward")])
def test_a_rst_that_is_dropped_one_way_is_called_out(interface: str, way: str) -> None:
    dropping = rules(forward=f'iifname "{interface}" tcp flags & rst == rst drop')
    result = made_on(dropping, "rst-translated")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == f"the RST {way} does not come out"


def test_icmp_errors_about_a_syn_come_in_and_end_the_dial(plain: Rig) -> None:
    result = made(plain, "icmp-about-syn")
    assert (result.outcome, result.level) == (COMPLIANT, Level.RECOMMENDED)
    assert "host unreachable comes in; the dial ends: unreachable" in result.detail
    assert "port unreachable comes in; the dial ends: refused" in result.detail


def test_dropped_icmp_errors_about_a_syn_are_called_out() -> None:
    result = made_on(NO_ICMP, "icmp-about-syn")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == "host unreachable does not come in; port unreachable does not come in"


def test_icmp_errors_that_quote_the_external_address_are_called_out() -> None:
    result = made_on(SHALLOW, "icmp-about-syn")
    assert result.outcome is NON_COMPLIANT
    assert f"host unreachable comes in and quotes {EXTERNAL.ip}:" in result.detail
    assert made_on(SHALLOW, "icmp-too-big").outcome is NON_COMPLIANT


def test_icmp_errors_about_a_syn_need_a_syn() -> None:
    assert made_on(CUT_OFF, "icmp-about-syn").outcome is NOT_TESTED


def test_a_connection_outlives_icmp_errors(plain: Rig) -> None:
    result = made(plain, "icmp-ends-nothing")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)


def test_a_router_that_believes_icmp_errors_is_called_out() -> None:
    result = made_on(CREDULOUS, "icmp-ends-nothing")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == "ICMP type 3 code 1 ends the connection"


def test_packet_too_big_comes_in_with_its_mtu(plain: Rig) -> None:
    result = made(plain, "icmp-too-big")
    assert (result.outcome, result.level) == (COMPLIANT, Level.INFORMATIONAL)
    assert result.detail.startswith(f"type 3 code 4 from {WAN.ip} about {LAN.ip}:")
    assert result.detail.endswith("MTU 1400")


def test_a_router_that_drops_packet_too_big_is_a_black_hole() -> None:
    result = made_on(NO_ICMP, "icmp-too-big")
    assert result.outcome is NON_COMPLIANT
    assert "black hole" in result.detail
