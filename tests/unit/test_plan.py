"""The plan of a lab: names, addresses, gateways and wires, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from definitions import (
    device,
    direct_site,
    firewall,
    host_firewall,
    internet,
    neighbour,
    plan_of,
    project,
    project_topologies,
    proxy,
    site,
    three_devices,
)

from harness.runtime.stack import Interface, Link, Plug, Route, Stack
from harness.topology.model import Device
from harness.topology.plan import Kind, LabPlan, NodePlan, plan

MAX_INTERFACE_NAME = 15
"""The kernel's IFNAMSIZ, less the terminating zero."""

CORE_LINKS = {("novice", "to-novice"), ("expert", "to-expert"), ("services", "to-services")}

ROUTED = (("24.0.0.0/16", "21.0.0.2"), ("25.0.0.0/16", "22.0.0.2"))
"""What the internet routes to the sites, and to where there."""

NEIGHBOURS = (neighbour("printer", "10.1.1.7"), neighbour("laptop", "10.1.1.8", 3389))


def _same_device_twice() -> LabPlan:
    inner, middle, _ = three_devices()
    return plan_of(novice=site(inner, middle.model_copy(update={"name": inner.name})))


def walls(*names: str) -> tuple[Device, ...]:
    """Return firewalls, each with the next network of the novice's block."""
    return tuple(
        firewall(name, f"24.0.{index}.1/24", f"24.0.{index}.2") for index, name in enumerate(names)
    )


SHAPES = {
    "direct": plan_of(),
    "one device": plan_of(novice=site(three_devices()[0])),
    "one device at each site": plan_of(site(device()), site(device())),
    "three devices": plan_of(expert=site(*three_devices())),
    "the same device twice": _same_device_twice(),
    "neighbours": plan_of(site(*three_devices(), neighbours=NEIGHBOURS), site(device())),
    "a firewall": plan_of(novice=site(*walls("wall"))),
    "two firewalls": plan_of(novice=site(*walls("inner", "outer"))),
    "a firewall inside a NAT": plan_of(novice=site(*walls("wall"), device())),
    "a NAT inside a firewall": plan_of(novice=site(device(), *walls("wall"))),
    "a host firewall": plan_of(novice=direct_site("21.0.0.2", host_firewall())),
    "a host firewall and a box": plan_of(novice=site(host_firewall(), device())),
    "a proxy": plan_of(novice=site(proxy())),
    "a proxy among others": plan_of(
        novice=site(host_firewall(), device(), proxy(), *walls("wall"), neighbours=NEIGHBOURS)
    ),
}
each_shape = pytest.mark.parametrize("lab", SHAPES.values(), ids=SHAPES)


def names(lab: LabPlan) -> list[str]:
    return [node.name for node in lab.nodes]


def stack(
    interfaces: dict[str, str],
    gateway: str | None,
    *,
    forwards: bool,
    routes: Iterable[tuple[str, str]] = (),
) -> Stack:
    """Make a stack of interfaces without ports; ``routes`` has pairs of network and next hop."""
    return Stack(
        tuple(Interface(name, IPv4Interface(own)) for name, own in interfaces.items()),
        IPv4Address(gateway) if gateway is not None else None,
        forwards,
        tuple(Route(IPv4Network(to), IPv4Address(via)) for to, via in routes),
    )


def routes(node: NodePlan) -> dict[str, str]:
    """Return a node's further routes: network and next hop."""
    return {str(route.to): str(route.via) for route in node.stack.routes}


def plugs(links: Iterable[Link]) -> list[Plug]:
    return [plug for link in links for plug in (link.a, link.b)]


def sockets(node: NodePlan) -> list[Plug]:
    """Return what a node has for a wire to go in: each interface, or its ports if a bridge."""
    return [
        Plug(node.name, name)
        for interface in node.stack.interfaces
        for name in interface.ports or (interface.name,)
    ]


def interface_of(lab: LabPlan, plug: Plug) -> Interface:
    """Return the interface that a plug belongs to, be it the plug itself or one of its ports."""
    (found,) = (
        interface
        for interface in lab.node(plug.node).stack.interfaces
        if plug.interface in (interface.ports or (interface.name,))
    )
    return found


def far_end(lab: LabPlan, node: str, interface: str) -> Plug:
    """Follow the wire of a plug to its other end."""
    near = Plug(node, interface)
    (link,) = (link for link in lab.links if near in (link.a, link.b))
    return link.b if link.a == near else link.a


def same(devices: Iterable[Device], lab: LabPlan) -> bool:
    return [node.device for node in lab.nodes if node.device is not None] == list(devices)


def next_hop(node: NodePlan, to: IPv4Address) -> IPv4Address | None:
    """Return where a node sends what is for an address: itself if it is on a link of its own."""
    if any(to in interface.address.network for interface in node.stack.interfaces):
        return to
    ways = [route for route in node.stack.routes if to in route.to]
    if not ways:
        return node.stack.gateway
    return max(ways, key=lambda route: route.to.prefixlen).via


def holders(lab: LabPlan, near: NodePlan, address: IPv4Address) -> list[NodePlan]:
    """Return the nodes with that address at the far end of a wire of ``near``."""
    ends = [far_end(lab, plug.node, plug.interface) for plug in sockets(near)]
    return [lab.node(end.node) for end in ends if interface_of(lab, end).address.ip == address]


def path(lab: LabPlan, source: str, to: IPv4Address) -> list[str]:
    """Follow the routes from a node to an address; return the nodes on the way, both ends too."""
    way = [lab.node(source)]
    while all(interface.address.ip != to for interface in way[-1].stack.interfaces):
        hop = next_hop(way[-1], to)
        if hop is None:
            return [*(node.name for node in way), "no route"]
        (node,) = holders(lab, way[-1], hop)
        assert node not in way, f"a loop at {node.name}"
        way.append(node)
    return [node.name for node in way]


# Shapes


def test_direct_hosts_are_joined_by_the_core_router_alone() -> None:
    lab = plan_of()
    assert sorted(names(lab)) == ["expert", "internet", "novice", "services"]
    assert lab.node("novice").stack == stack({"eth0": "21.0.0.2/24"}, "21.0.0.1", forwards=False)
    assert lab.node("expert").stack == stack({"eth0": "22.0.0.2/24"}, "22.0.0.1", forwards=False)
    assert far_end(lab, "novice", "eth0") == Plug("internet", "to-novice")
    assert far_end(lab, "expert", "eth0") == Plug("internet", "to-expert")


@each_shape
def test_the_core_router_has_one_link_for_each_site_and_one_for_the_services(
    lab: LabPlan,
) -> None:
    assert lab.node("internet").stack == stack(
        {
            "to-novice": "21.0.0.1/24",
            "to-expert": "22.0.0.1/24",
            "to-services": "23.0.0.1/24",
        },
        None,
        forwards=True,
        routes=ROUTED,
    )


@each_shape
def test_the_services_are_one_host_on_the_internet(lab: LabPlan) -> None:
    assert lab.services == internet().services.site
    services = lab.node("services")
    assert services.kind is Kind.SERVICES
    assert services.stack == stack({"eth0": "23.0.0.10/24"}, "23.0.0.1", forwards=False)
    assert far_end(lab, "services", "eth0") == Plug("internet", "to-services")


def test_a_device_stands_between_its_host_and_the_internet() -> None:
    lab = plan_of(novice=site(device("box", "10.1.1.1/24", "10.1.1.2")))
    assert lab.node("novice").stack == stack({"eth0": "10.1.1.2/24"}, "10.1.1.1", forwards=False)
    assert lab.node("novice.box").stack == stack(
        {"lan": "10.1.1.1/24", "wan": "21.0.0.2/24"}, "21.0.0.1", forwards=True
    )
    assert far_end(lab, "novice", "eth0") == Plug("novice.box", "lan")
    assert far_end(lab, "novice.box", "wan") == Plug("internet", "to-novice")


def test_in_a_chain_each_wan_is_a_host_of_the_next_lan() -> None:
    lab = plan_of(expert=site(*three_devices()))
    assert lab.node("expert").stack == stack({"eth0": "10.1.1.2/24"}, "10.1.1.1", forwards=False)
    assert lab.node("expert.inner").stack == stack(
        {"lan": "10.1.1.1/24", "wan": "10.2.2.9/25"}, "10.2.2.1", forwards=True
    )
    assert lab.node("expert.middle").stack == stack(
        {"lan": "10.2.2.1/25", "wan": "10.3.3.3/16"}, "10.3.3.1", forwards=True
    )
    assert lab.node("expert.outer").stack == stack(
        {"lan": "10.3.3.1/16", "wan": "22.0.0.2/24"}, "22.0.0.1", forwards=True
    )


def test_a_chain_is_wired_from_the_host_outward() -> None:
    lab = plan_of(expert=site(*three_devices()))
    assert far_end(lab, "expert", "eth0") == Plug("expert.inner", "lan")
    assert far_end(lab, "expert.inner", "wan") == Plug("expert.middle", "lan")
    assert far_end(lab, "expert.middle", "wan") == Plug("expert.outer", "lan")
    assert far_end(lab, "expert.outer", "wan") == Plug("internet", "to-expert")


def test_a_host_may_have_another_address_than_its_device_gives_it() -> None:
    lab = plan_of(novice=site(device(), address="10.1.1.50"))
    assert lab.node("novice").stack.interfaces[0].address == IPv4Interface("10.1.1.50/24")


# Names and kinds


def test_a_device_that_a_chain_has_more_than_once_is_numbered_from_the_second_on() -> None:
    chain = [device.model_copy(update={"name": "box"}) for device in three_devices()]
    lab = plan_of(novice=site(*chain), expert=site(device("box")))
    assert [name for name in names(lab) if ".box" in name] == [
        "novice.box",
        "novice.box.2",
        "novice.box.3",
        "expert.box",
    ]
    assert lab.node("novice.box.2").device == chain[1]
    assert far_end(lab, "novice.box.2", "wan") == Plug("novice.box.3", "lan")


def test_other_devices_of_the_chain_do_not_count() -> None:
    inner, middle, outer = three_devices()
    lab = plan_of(novice=site(inner, middle, outer.model_copy(update={"name": "inner"})))
    assert {"novice.inner", "novice.middle", "novice.inner.2"} < set(names(lab))


@each_shape
def test_every_node_has_a_name_of_its_own(lab: LabPlan) -> None:
    assert len(set(names(lab))) == len(lab.nodes)
    assert all(lab.node(node.name) is node for node in lab.nodes)


def test_a_node_that_is_not_there_is_not_found() -> None:
    with pytest.raises(KeyError):
        plan_of().node("novice.box")


@each_shape
def test_only_boxes_that_are_no_proxies_and_the_internet_pass_packets_on(lab: LabPlan) -> None:
    forwarding = {node.name for node in lab.nodes if node.stack.forwards}
    assert forwarding == {
        node.name
        for node in lab.nodes
        if node.kind is Kind.INTERNET
        or (node.kind is Kind.DEVICE and node.device is not None and node.device.proxy is None)
    }


@each_shape
def test_each_device_is_played_by_one_node_a_host_firewall_by_the_host(lab: LabPlan) -> None:
    for node in lab.nodes:
        if node.kind is Kind.DEVICE:
            assert node.device is not None
            assert node.device.host_firewall is None
        elif node.device is not None:
            assert node.name in ("novice", "expert")
            assert node.device.host_firewall is not None
    assert same(lab.topology.devices, lab)


@each_shape
def test_the_two_people_are_hosts_and_no_strangers(lab: LabPlan) -> None:
    for role in ("novice", "expert"):
        assert lab.node(role).kind is Kind.HOST
        assert lab.node(role).stranger is None


def test_many_neighbours_have_interface_names_that_the_kernel_takes() -> None:
    crowd = tuple(neighbour(f"host-{last}", f"10.1.1.{last}") for last in range(10, 200))
    lab = plan_of(novice=site(device(), neighbours=crowd))
    assert max(len(plug.interface) for plug in plugs(lab.links)) <= MAX_INTERFACE_NAME


# Wires


@each_shape
def test_every_plug_is_in_one_wire_and_every_interface_has_one(lab: LabPlan) -> None:
    wanted = [socket for node in lab.nodes for socket in sockets(node)]
    assert len(set(wanted)) == len(wanted)
    key = lambda plug: (plug.node, plug.interface)  # noqa: E731
    assert sorted(plugs(lab.links), key=key) == sorted(wanted, key=key)


@each_shape
def test_both_ends_of_a_wire_have_different_addresses_of_one_subnet(lab: LabPlan) -> None:
    for link in lab.links:
        one, other = interface_of(lab, link.a).address, interface_of(lab, link.b).address
        assert one.network == other.network
        assert one.ip != other.ip


@each_shape
def test_every_gateway_is_at_the_far_end_of_a_wire_and_passes_packets_on(lab: LabPlan) -> None:
    for node in lab.nodes:
        if node.kind is Kind.INTERNET:
            assert node.stack.gateway is None
            continue
        outward = far_end(lab, node.name, node.stack.interfaces[-1].name)
        if not lab.node(outward.node).stack.forwards and node.stack.gateway is None:
            continue
        assert interface_of(lab, outward).address.ip == node.stack.gateway
        assert lab.node(outward.node).stack.forwards


@each_shape
def test_each_site_has_an_isp_link_of_its_own(lab: LabPlan) -> None:
    """A LAN that both sites' devices share would let them meet without the internet."""
    core = [link for link in lab.links if "internet" in (link.a.node, link.b.node)]
    ends = [(link.a, link.b) if link.b.node == "internet" else (link.b, link.a) for link in core]
    assert {(near.node.partition(".")[0], far.interface) for near, far in ends} == CORE_LINKS
    assert len(core) == len(CORE_LINKS)
    interfaces = lab.node("internet").stack.interfaces
    assert len({interface.address.network for interface in interfaces}) == len(CORE_LINKS)
    assert not any(interface.ports for interface in interfaces)


@each_shape
def test_no_wire_joins_the_two_sites(lab: LabPlan) -> None:
    sides = [{link.a.node.partition(".")[0], link.b.node.partition(".")[0]} for link in lab.links]
    assert {"novice", "expert"} not in sides


def test_both_sites_may_use_one_private_subnet() -> None:
    lab = plan_of(site(device()), site(device()))
    assert lab.node("novice").stack == lab.node("expert").stack
    assert far_end(lab, "novice", "eth0").node == "novice.box"
    assert far_end(lab, "expert", "eth0").node == "expert.box"


# Neighbours


def test_neighbours_make_the_lan_a_bridge_with_a_port_for_each_host() -> None:
    lab = plan_of(novice=site(device(), neighbours=NEIGHBOURS))
    lan, wan = lab.node("novice.box").stack.interfaces
    assert lan == Interface("lan", IPv4Interface("10.1.1.1/24"), ("lan-host", "lan-0", "lan-1"))
    assert wan.ports == ()
    assert far_end(lab, "novice", "eth0") == Plug("novice.box", "lan-host")
    assert far_end(lab, "novice.printer", "eth0") == Plug("novice.box", "lan-0")
    assert far_end(lab, "novice.laptop", "eth0") == Plug("novice.box", "lan-1")


def test_a_lan_without_neighbours_is_no_bridge() -> None:
    lab = plan_of(site(*three_devices()), site(device(), neighbours=NEIGHBOURS))
    bridges = {
        (node.name, interface.name)
        for node in lab.nodes
        for interface in node.stack.interfaces
        if interface.ports
    }
    assert bridges == {("expert.box", "lan")}


def test_a_neighbour_is_a_host_of_the_innermost_lan() -> None:
    lab = plan_of(novice=site(*three_devices(), neighbours=NEIGHBOURS))
    laptop = lab.node("novice.laptop")
    assert laptop.kind is Kind.HOST
    assert laptop.stack == stack({"eth0": "10.1.1.8/24"}, "10.1.1.1", forwards=False)
    assert far_end(lab, "novice.laptop", "eth0").node == "novice.inner"


def test_only_a_neighbour_that_is_a_stranger_has_a_stranger_s_port() -> None:
    lab = plan_of(novice=site(device(), neighbours=NEIGHBOURS))
    strangers = {node.name: node.stranger for node in lab.nodes if node.stranger is not None}
    assert strangers == {"novice.laptop": 3389}


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


# Host firewalls


def test_a_host_firewall_is_no_node_of_its_own_but_what_its_host_plays() -> None:
    shield = host_firewall()
    lab = plan_of(novice=direct_site("21.0.0.2", shield))
    plain = plan_of()
    assert names(lab) == names(plain)
    assert lab.links == plain.links
    novice = lab.node("novice")
    assert novice.kind is Kind.HOST
    assert novice.device == shield
    assert novice.stack == plain.node("novice").stack


def test_a_host_firewall_is_the_novice_s_or_the_expert_s_and_no_neighbour_s() -> None:
    lab = plan_of(novice=site(host_firewall(), device(), neighbours=NEIGHBOURS))
    with_device = {node.name for node in lab.nodes if node.device is not None}
    assert with_device == {"novice", "novice.box"}


def test_boxes_around_a_host_firewall_are_named_and_wired_as_without_it() -> None:
    boxes = (device("box", "10.1.1.1/24", "10.1.1.2"), device("box", "10.2.2.1/24", "10.2.2.2"))
    lab, plain = plan_of(novice=site(host_firewall(), *boxes)), plan_of(novice=site(*boxes))
    assert [name for name in names(lab) if ".box" in name] == ["novice.box", "novice.box.2"]
    assert lab.links == plain.links
    assert [node.stack for node in lab.nodes] == [node.stack for node in plain.nodes]
    assert lab.node("novice.box").inward == IPv4Address("10.1.1.2")


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


@pytest.mark.parametrize("file", project_topologies(), ids=lambda file: file.stem)
def test_every_topology_of_the_project_has_a_plan(file: Path) -> None:
    topology = project().from_file(file)
    lab = plan(topology)
    assert lab.topology is topology
    assert same(topology.devices, lab)
