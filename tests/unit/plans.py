"""Plans of labs of every shape, and what is asked of one: its wires, its routes, a packet's way."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from definitions import (
    device,
    direct_site,
    firewall,
    host_firewall,
    neighbour,
    plan_of,
    proxy,
    site,
    three_devices,
)

from harness.runtime.stack import Interface, Link, Plug, Route, Stack
from harness.topology.model import Device
from harness.topology.plan import LabPlan, NodePlan

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
