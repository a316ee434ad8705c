"""The wires of a plan join each interface to one other, and the sites by the internet alone."""

from __future__ import annotations

from ipaddress import IPv4Interface

from definitions import device, plan_of, site, three_devices
from plans import NEIGHBOURS, each_shape, far_end, interface_of, plugs, sockets, stack

from harness.runtime.stack import Interface, Plug
from harness.topology.plan import Kind, LabPlan

CORE_LINKS = {("novice", "to-novice"), ("expert", "to-expert"), ("services", "to-services")}


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
