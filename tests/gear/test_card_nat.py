"""The card tells how a router maps ports: alike for all, kept, shared with nobody, hairpinned."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from natcards import COMPLIANT, NON_COMPLIANT, NOT_TESTED, made, made_on
from rigs import EXTERNAL, LAN, MASQUERADE, NEIGHBOUR, OTHER, ROUTER, miniupnpd, rig, rules

from harness.gear.rig import Rig
from harness.judge.card import Level

RANDOM = rules(postrouting='oifname "wan" masquerade fully-random')
CUT_OFF = rules(forward="drop")

# miniupnpd's own rules are for the WAN alone. This is what a mapping would do for the LAN.
TO_LAN = f'iifname "lan" ip daddr {EXTERNAL.ip} tcp dport 20000-60000 dnat ip to {LAN.ip}'
INSIDE = f'iifname "lan" oifname "lan" ip saddr {ROUTER.network}'
OUT = 'oifname "wan" masquerade'
BACK_IN = 'iifname "lan" oifname "lan" accept'

# A NAT that keeps every port and has one entry for each, a host: the first or last that used it.
_ONE_HOST_A_PORT = f"""\
table ip overloading {{
    map owner {{ type inet_service : ipv4_addr; flags dynamic; }}
    chain raw {{
        type filter hook prerouting priority -300;
        notrack
        FORGET
        iifname "lan" add @owner {{ tcp sport : ip saddr }}
        iifname "wan" ip daddr {EXTERNAL.ip} ip daddr set tcp dport map @owner
    }}
    chain postrouting {{
        type filter hook postrouting priority 100;
        oifname "wan" ip saddr set {EXTERNAL.ip}
    }}
}}
"""


FIRST_HOST = _ONE_HOST_A_PORT.replace("FORGET", "")
LAST_HOST = _ONE_HOST_A_PORT.replace(
    "FORGET", 'iifname "lan" delete @owner { tcp sport : ip saddr }'
)


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    """A plain masquerade with miniupnpd."""
    with rig(MASQUERADE, miniupnpd()) as here:
        yield here


def test_one_external_port_for_all_is_endpoint_independent_mapping(plain: Rig) -> None:
    result = made(plain, "nat-mapping")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)
    assert "endpoint-independent: port " in result.detail
    assert f"is seen as {EXTERNAL.ip}:" in result.detail


def test_an_external_port_for_each_peer_is_not_endpoint_independent() -> None:
    result = made_on(RANDOM, "nat-mapping")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith("address-and-port-dependent: port ")


def test_an_external_port_for_each_address_is_not_endpoint_independent() -> None:
    by_address = f'oifname "wan" ip daddr {OTHER} meta l4proto tcp masquerade to :1024-9999'
    result = made_on(rules(postrouting=f"{by_address}\n{OUT}"), "nat-mapping")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith("address-dependent: port ")


def test_mapping_is_not_told_of_a_router_without_internet() -> None:
    result = made_on(CUT_OFF, "nat-mapping")
    assert result.outcome is NOT_TESTED
    assert "does not reach 91.30.30.10" in result.detail


def test_kept_ports_are_told(plain: Rig) -> None:
    result = made(plain, "nat-port-preservation")
    assert (result.outcome, result.level) == (COMPLIANT, Level.INFORMATIONAL)
    assert result.detail.startswith("4 of 4 ports are kept")


def test_changed_ports_are_told() -> None:
    assert made_on(RANDOM, "nat-port-preservation").detail.startswith("0 of 4 ports are kept")


def test_two_hosts_with_one_port_get_a_connection_each(plain: Rig) -> None:
    result = made(plain, "nat-port-overloading")
    assert result.outcome is COMPLIANT
    assert "of two hosts is seen as" in result.detail


@pytest.mark.parametrize(
    ("overloading", "said"),
    [
        (FIRST_HOST, "a second host's port [0-9]+ gets no connection to"),
        (LAST_HOST, r"of two hosts is seen as (80\.100\.10\.2:[0-9]+) and \1$"),
    ],
    ids=["first", "last"],
)
def test_a_port_that_two_hosts_share_is_overloaded(overloading: str, said: str) -> None:
    ruleset = rules(forward="accept", postrouting="") + overloading
    result = made_on(ruleset, "nat-port-overloading")
    assert result.outcome is NON_COMPLIANT
    assert re.search(said, result.detail), result


def test_overloading_is_not_told_of_a_host_without_internet() -> None:
    ruleset = rules(forward=f"ip saddr {NEIGHBOUR.ip} drop")
    result = made_on(ruleset, "nat-port-overloading")
    assert result.outcome is NOT_TESTED
    assert f"{NEIGHBOUR.ip} does not reach the internet side at all" in result.detail


def test_a_router_without_a_hairpin_is_called_out(plain: Rig) -> None:
    result = made(plain, "nat-hairpin")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.endswith("which is mapped: refused")
    assert made(plain, "nat-hairpin-source").outcome is NOT_TESTED


def test_a_hairpin_from_the_external_address_complies() -> None:
    snat = f"{INSIDE} snat ip to {EXTERNAL.ip}\n{OUT}"
    ruleset = rules(prerouting=TO_LAN, forward=BACK_IN, postrouting=snat)
    with rig(ruleset, miniupnpd()) as here:
        assert made(here, "nat-hairpin").outcome is COMPLIANT
        result = made(here, "nat-hairpin-source")
    assert result.outcome is COMPLIANT
    assert result.detail.startswith(f"the connection comes from {EXTERNAL.ip}:")


def test_a_hairpin_from_the_routers_lan_address_is_called_out() -> None:
    ruleset = rules(prerouting=TO_LAN, forward=BACK_IN, postrouting=f"{INSIDE} masquerade\n{OUT}")
    with rig(ruleset, miniupnpd()) as here:
        assert made(here, "nat-hairpin").outcome is COMPLIANT
        result = made(here, "nat-hairpin-source")
    assert result.outcome is NON_COMPLIANT
    assert f"comes from {ROUTER.ip}:" in result.detail
    assert f"{EXTERNAL.ip} is due" in result.detail


def test_a_hairpin_needs_a_mapping() -> None:
    result = made_on(MASQUERADE, "nat-hairpin")
    assert result.outcome is NOT_TESTED
    assert result.detail.startswith("there is no mapping to dial: no UPnP")
