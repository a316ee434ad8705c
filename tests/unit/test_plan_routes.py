"""By the routes of a plan a packet gets where it should, and nowhere else."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from definitions import device, neighbour, plan_of, project, proxy, site, three_devices
from plans import each_shape, far_end, holders, interface_of, path, routes, stack, walls

from harness.runtime.stack import Plug
from harness.topology.plan import Kind, LabPlan, NodePlan, plan

# Routes to what is not translated


@each_shape
def test_every_next_hop_is_on_a_link_of_its_node(lab: LabPlan) -> None:
    for node in lab.nodes:
        for route in node.stack.routes:
            assert len(holders(lab, node, route.via)) == 1


@pytest.mark.parametrize("source", ["expert", "services", "internet"])
def test_the_internet_s_hosts_reach_a_host_behind_a_firewall_by_its_own_address(
    source: str,
) -> None:
    lab = plan_of(novice=site(*walls("wall")))
    assert path(lab, source, IPv4Address("24.0.0.2"))[-2:] == ["novice.wall", "novice"]


def test_a_firewall_of_its_own_needs_no_route_to_its_lan() -> None:
    lab = plan_of(novice=site(*walls("wall")))
    assert lab.node("novice.wall").stack == stack(
        {"lan": "24.0.0.1/24", "wan": "21.0.0.2/24"}, "21.0.0.1", forwards=True
    )


def test_an_outer_firewall_has_a_route_to_the_lan_of_the_inner_one() -> None:
    lab = plan_of(novice=site(*walls("inner", "outer")))
    assert routes(lab.node("novice.outer")) == {"24.0.0.0/24": "24.0.1.2"}
    assert routes(lab.node("novice.inner")) == {}
    assert path(lab, "expert", IPv4Address("24.0.0.2")) == [
        "expert",
        "internet",
        "novice.outer",
        "novice.inner",
        "novice",
    ]


def test_the_outermost_of_three_firewalls_has_a_route_to_both_inner_lans() -> None:
    lab = plan_of(novice=site(*walls("one", "two", "three")))
    assert routes(lab.node("novice.three")) == {
        "24.0.0.0/24": "24.0.2.2",
        "24.0.1.0/24": "24.0.2.2",
    }
    assert routes(lab.node("novice.two")) == {"24.0.0.0/24": "24.0.1.2"}
    far = path(lab, "expert", IPv4Address("24.0.0.2"))
    assert far[2:] == ["novice.three", "novice.two", "novice.one", "novice"]


def test_a_nat_around_a_firewall_has_a_route_to_the_lan_that_it_translates() -> None:
    lab = plan_of(novice=site(*walls("wall"), device("box", "10.1.1.1/24", "10.1.1.2")))
    assert routes(lab.node("novice.box")) == {"24.0.0.0/24": "10.1.1.2"}
    assert path(lab, "novice.box", IPv4Address("24.0.0.2")) == [
        "novice.box",
        "novice.wall",
        "novice",
    ]


def test_nothing_outside_a_nat_has_a_route_to_what_is_inside() -> None:
    inner, outer = walls("inner", "outer")
    lab = plan_of(novice=site(inner, device("box", "10.1.1.1/24", "10.1.1.2"), outer))
    assert routes(lab.node("novice.box")) == {"24.0.0.0/24": "10.1.1.2"}
    assert routes(lab.node("novice.outer")) == {}
    assert path(lab, "expert", IPv4Address("24.0.1.2"))[-1] == "novice.box"
    assert path(lab, "expert", IPv4Address("10.1.1.2"))[-1] == "no route"


@each_shape
def test_only_what_is_not_translated_is_routed_inward(lab: LabPlan) -> None:
    """A route into a NAT's LAN would let it be reached without the NAT's rules."""
    open_lans = {
        device.subnet.network for device in lab.topology.devices if device.firewall is not None
    }
    for node in lab.nodes:
        if node.kind is not Kind.INTERNET:
            assert {route.to for route in node.stack.routes} <= open_lans


# Proxies


def test_a_host_behind_a_proxy_has_no_gateway_and_the_proxy_passes_nothing_on() -> None:
    lab = plan_of(novice=site(proxy(), neighbours=(neighbour("laptop", "10.9.9.7"),)))
    for host in ("novice", "novice.laptop"):
        assert lab.node(host).stack.gateway is None
    gate = lab.node("novice.gate").stack
    assert not gate.forwards
    assert gate.gateway == IPv4Address("21.0.0.1")


def test_a_box_behind_a_proxy_has_no_gateway_and_its_host_has_one() -> None:
    lab = plan_of(novice=site(device("box", "10.1.1.1/24", "10.1.1.2"), proxy()))
    assert lab.node("novice").stack.gateway == IPv4Address("10.1.1.1")
    box = lab.node("novice.box").stack
    assert box.gateway is None
    assert box.forwards
    assert path(lab, "novice", IPv4Address("22.0.0.2"))[-2:] == ["novice.box", "no route"]


def test_a_proxy_inside_another_box_has_that_box_for_its_gateway() -> None:
    lab = plan_of(novice=site(proxy(), device("box", "10.1.1.1/24", "10.1.1.2")))
    assert lab.node("novice.gate").stack.gateway == IPv4Address("10.1.1.1")
    assert path(lab, "novice.gate", IPv4Address("22.0.0.2"))[-1] == "expert"
    assert path(lab, "novice", IPv4Address("22.0.0.2")) == ["novice", "no route"]


# Where a hand-made forward goes


def test_inward_of_a_device_is_the_next_address_inward() -> None:
    lab = plan_of(expert=site(*three_devices()))
    assert lab.node("expert.inner").inward == IPv4Address("10.1.1.2")
    assert lab.node("expert.middle").inward == IPv4Address("10.2.2.9")
    assert lab.node("expert.outer").inward == IPv4Address("10.3.3.3")


def test_inward_of_the_innermost_device_is_the_host_s_own_address() -> None:
    lab = plan_of(novice=site(*three_devices(), address="10.1.1.50"))
    assert lab.node("novice.inner").inward == IPv4Address("10.1.1.50")


def test_inward_goes_past_firewalls_to_what_is_translated_or_to_the_host() -> None:
    """Behind a firewall a host has its own address, so that is what one forwards a port to."""
    nat, walled = device("box", "10.1.1.1/24", "10.1.1.2"), walls("inner", "outer")
    around = plan_of(novice=site(*walled, nat))
    assert around.node("novice.box").inward == around.topology.novice.address
    between = plan_of(novice=site(nat, *walled, device("far", "10.2.2.1/24", "10.2.2.2")))
    assert between.node("novice.far").inward == IPv4Address("24.0.0.2")
    assert between.node("novice.box").stack.interfaces[1].address.ip == IPv4Address("24.0.0.2")


@each_shape
def test_inward_is_the_next_address_that_a_packet_can_be_for_and_nothing_elsewhere(
    lab: LabPlan,
) -> None:
    for node in lab.nodes:
        if node.kind is not Kind.DEVICE:
            assert node.inward is None
            continue
        end = _inner_end(lab, node)
        while (inner := lab.node(end.node)).device and inner.device.firewall:
            end = _inner_end(lab, inner)
        assert interface_of(lab, end).address.ip == node.inward


def _inner_end(lab: LabPlan, box: NodePlan) -> Plug:
    lan = box.stack.interfaces[0]
    return far_end(lab, box.name, lan.ports[0] if lan.ports else lan.name)


# The project's own


CHAINS = (
    "firewall",
    "firewall,firewall-open",
    "firewall,firewall,firewall",
    "firewall,nat",
    "nat,firewall",
    "icf,upnp-nat,cgnat",
    "icf,nat,firewall,cgnat",
    "http-proxy",
    "nat,http-proxy,firewall",
    "icf",
)


@pytest.mark.parametrize("chain", CHAINS)
def test_a_host_of_the_project_s_internet_gets_out_unless_a_proxy_is_in_the_way(
    chain: str,
) -> None:
    """And whoever is not translated is found at its own address by the other side."""
    devices = tuple(chain.split(","))
    lab = plan(project().from_chains(devices, devices))
    way = path(lab, "novice", lab.services)
    assert way[-1] == ("no route" if any("proxy" in name for name in devices) else "services")
    if not any(device.nat or device.proxy for device in lab.topology.devices):
        assert path(lab, "expert", lab.topology.novice.address)[-1] == "novice"
        assert path(lab, "novice", lab.topology.expert.address)[-1] == "expert"


@pytest.mark.parametrize("chain", CHAINS)
def test_no_firewall_s_lan_is_another_s_at_either_site(chain: str) -> None:
    devices = tuple(chain.split(","))
    lab = plan(project().from_chains(devices, devices))
    found = [each.subnet.network for each in lab.topology.devices if each.firewall]
    assert len(set(found)) == len(found)
