"""Each site of a lab shows by packets that it is what it says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pytest
from deeds import nothing
from probing import library, probe, with_firewall, with_nat

from harness.lab.probes import FIRST_PORT, NAT_CLASS, REACHES, TRANSLATION, UNSOLICITED
from harness.lab.syns import DEADLINE
from harness.topology.load import default_folder
from harness.topology.model import Device, Filtering, Firewall, Mapping, Nat, Unsolicited

EACH_SITE = {REACHES, TRANSLATION, UNSOLICITED}


def translates(chain: Iterable[str], devices: dict[str, Device]) -> bool:
    """Whether a NAT is outward of whoever speaks for the site."""
    outward: list[Device] = []
    for name in chain:
        outward = [] if devices[name].proxy is not None else [*outward, devices[name]]
    return any(device.nat is not None for device in outward)


CHAINS = [
    ("nat", "cgnat"),
    ("upnp-nat", "nat-symmetric"),
    ("nat-symmetric", "cgnat"),
    ("nat", "firewall"),
    ("firewall", "nat"),
    ("firewall-strict", "nat"),
    ("nat", "firewall-strict"),
    ("firewall", "firewall-strict"),
    ("http-proxy", "nat"),
    ("nat", "http-proxy"),
    ("http-proxy", "firewall-strict"),
    ("icf", "nat-forwarded"),
    ("nat-forwarded", "firewall-open", "cgnat"),
    ("nat", "nat-forwarded", "firewall"),
]


def test_each_device_on_either_side_and_chains_of_them_are_what_they_say() -> None:
    own = library()
    singles = [(), *((name,) for name in own.devices)]
    pairs = [*zip(singles, reversed(singles), strict=True), *zip(CHAINS, CHAINS[::-1], strict=True)]
    probed = probe(*((own.from_chains(*pair), nothing) for pair in pairs))
    for chains, each in zip(pairs, probed, strict=True):
        assert each.failed == set(), (chains, each.controls)
        made = {(control.node, control.name) for control in each.controls}
        for role, chain in zip(("novice", "expert"), chains, strict=True):
            names = EACH_SITE | ({NAT_CLASS} if translates(chain, own.devices) else set())
            assert {name for node, name in made if node == role} == names, chains


def test_each_topology_of_the_article_is_what_it_says() -> None:
    own = library()
    files = sorted((default_folder() / "kb301529").glob("*.toml"))
    for file, each in zip(
        files, probe(*((own.from_file(file), nothing) for file in files)), strict=True
    ):
        assert each.failed == set(), (file, each.controls)


def test_a_lab_that_is_what_it_says_is_not_waited_for() -> None:
    """Every SYN is over when the last one is sent: what waits at all waits for the deadline."""
    (probed,) = probe((library().from_chains(("nat",), ("firewall-strict",)), nothing))
    assert probed.failed == set()
    assert probed.seconds < DEADLINE / 2


AXES = [
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT),
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT),
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
    (Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
]


@pytest.mark.parametrize("policy", Unsolicited)
@pytest.mark.parametrize("chain", [("nat",), ("icf", "nat"), ("socks-proxy", "nat")], ids=",".join)
def test_each_class_of_nat_is_measured_as_it_is(policy: Unsolicited, chain: Sequence[str]) -> None:
    """And the two ways to end an unasked SYN are told apart."""
    nats = [Nat(mapping=axes[0], filtering=axes[1], unsolicited=policy) for axes in AXES]
    for (mapping, filtering), each in zip(
        AXES, probe(*((with_nat(nat, chain), nothing) for nat in nats)), strict=True
    ):
        assert each.failed == set(), each.controls
        said = f"{mapping} mapping, {filtering} filtering: "
        assert each.detail("novice", NAT_CLASS).startswith(said)
        how = "dropped by" if policy is Unsolicited.DROP else "ICMP port unreachable from"
        assert f"{how} novice.nat " in each.detail("novice", UNSOLICITED)


@pytest.mark.parametrize("filtering", Filtering)
def test_a_chain_of_nats_is_as_strict_as_its_strictest(filtering: Filtering) -> None:
    nat = Nat(filtering=filtering, unsolicited=Unsolicited.DROP)
    (inner, outer) = probe(
        (with_nat(nat, ("nat", "cgnat")), nothing), (with_nat(nat, ("upnp-nat", "nat")), nothing)
    )
    for each in (inner, outer):
        assert each.failed == set(), each.controls
        assert "address-and-port-dependent filtering" in each.detail("novice", NAT_CLASS)


def test_ports_that_a_definition_names_are_not_probed_as_if_nobody_had() -> None:
    """A hand-made forward of the first port that would be used changes no class."""
    forward = [{"port": port, "to_port": 3389} for port in range(FIRST_PORT, FIRST_PORT + 9)]
    nat = Nat.model_validate({"unsolicited": "drop", "forward": forward})
    (probed,) = probe((with_nat(nat), nothing))
    assert probed.failed == set(), probed.controls


def test_each_outbound_port_of_a_firewall_is_tried_and_one_that_it_does_not_name() -> None:
    firewall = Firewall(unsolicited=Unsolicited.REJECT, outbound=(25, 26))
    (probed,) = probe((with_firewall(firewall, ("nat", "firewall")), nothing))
    assert probed.failed == set(), probed.controls
    detail = probed.detail("novice", REACHES)
    assert re.search(r"91\.30\.30\.1:25, 91\.30\.30\.1:26 from novice: RST from internet", detail)
    assert "ICMP port unreachable from novice.firewall (outbound port not allowed)" in detail
    assert probed.detail("novice", NAT_CLASS).startswith("not measured: fewer than 3 ports")


def test_a_firewall_that_lets_nothing_out_is_what_it_says() -> None:
    firewall = Firewall(unsolicited=Unsolicited.DROP, outbound=())
    (probed,) = probe((with_firewall(firewall), nothing))
    assert probed.failed == set(), probed.controls
    assert probed.detail("novice", TRANSLATION) == "not measured: no port is let out"
