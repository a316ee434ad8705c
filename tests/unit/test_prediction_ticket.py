"""What a ticket names, and what the gateway says when it is asked for a mapping."""

from __future__ import annotations

import pytest
from predictions import EXPERT, NOVICE, RDP, WAN, topology

from harness.prediction import ticket

TICKETS = [
    ("direct", [WAN], None, "no device is between the novice and the internet"),
    ("nat", ["192.168.1.100", WAN], None, "novice.nat offers no mapping protocol"),
    ("upnp-nat", ["192.168.2.100", WAN], "novice.upnp-nat", f"novice.upnp-nat maps {WAN}:3389"),
    ("me-ics", ["192.168.0.2", WAN], "novice.me-ics", "novice.me-ics maps"),
    (
        "upnp-nat,cgnat",
        ["192.168.2.100", WAN],
        None,
        "novice.upnp-nat refuses, for its WAN address 100.64.0.2 is reserved",
    ),
    ("firewall", ["80.101.0.2"], None, "novice.firewall offers no mapping protocol"),
    ("firewall-strict", ["80.101.0.2"], None, "novice.firewall-strict offers no"),
    ("upnp-nat,firewall", ["192.168.2.100", "80.101.0.2"], "novice.upnp-nat", "80.101.0.2:3389"),
    ("http-proxy", ["192.168.8.100", WAN], None, "the novice has no default gateway"),
]


@pytest.mark.parametrize(("chain", "addresses", "mapped_by", "why"), TICKETS)
def test_the_novices_ticket_names_its_own_address_and_the_one_it_is_seen_by(
    chain: str, addresses: list[str], mapped_by: str | None, why: str
) -> None:
    made = ticket(topology(f"{chain}+direct"), NOVICE)
    assert [str(each.address) for each in made.addresses] == addresses
    assert {each.port for each in made.addresses} == {3389}
    assert made.mapped_by == mapped_by
    assert why in made.why


def test_a_proxy_whose_policy_has_no_stun_leaves_the_own_address_alone() -> None:
    pair = topology("http-proxy+direct")
    (device,) = pair.novice.chain
    assert device.proxy is not None
    proxy = device.proxy.model_copy(update={"connect_ports": (443,)})
    chain = {"chain": (device.model_copy(update={"proxy": proxy}),)}
    made = ticket(topology("http-proxy+direct", novice=chain), NOVICE)
    assert [str(each.address) for each in made.addresses] == ["192.168.8.100"]


def test_the_experts_ticket_has_a_dynamic_port_unless_one_is_agreed() -> None:
    pair = topology("nat+upnp-nat")
    assert {each.port for each in ticket(pair, EXPERT).addresses} == {None}
    assert {each.port for each in ticket(pair, EXPERT, RDP).addresses} == {3389}
    assert ticket(pair, EXPERT).mapped_by == "expert.upnp-nat"
