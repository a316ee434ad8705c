"""What every node of a planned lab knows: its routes, and who is on its links."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from harness.runtime.stack import Interface, Plug
from harness.topology.plan import LabPlan, NodePlan


@dataclass(frozen=True)
class Way:
    """How a node sends to an address: from which interface, to which next hop."""

    out: Interface
    hop: IPv4Address


class Network:
    """The nodes of a plan, joined."""

    def __init__(self, lab: LabPlan) -> None:
        """Join what is on one wire or one bridge."""
        self.lab = lab
        self._beside: dict[Plug, list[Plug]] = defaultdict(list)
        masters = {
            Plug(node.name, port): Plug(node.name, interface.name)
            for node in lab.nodes
            for interface in node.stack.interfaces
            for port in interface.ports
        }
        segments: dict[Plug, list[Plug]] = defaultdict(list)
        for link in lab.links:
            inner, outer = masters.get(link.a, link.a), masters.get(link.b, link.b)
            # Of a link's two ends only the outer, a box's LAN, can be a bridge.
            segments[outer].append(inner)
        for outer, inners in segments.items():
            plugs = [outer, *inners]
            for plug in plugs:
                self._beside[plug] = [each for each in plugs if each != plug]

    def node(self, name: str) -> NodePlan:
        """Return the node of that name."""
        return self.lab.node(name)

    def way(self, node: NodePlan, to: IPv4Address) -> Way | None:
        """Return how a node sends to an address, by its longest prefix; None for no route."""
        stack = node.stack
        known: list[tuple[IPv4Network, IPv4Address]] = [
            (interface.address.network, to) for interface in stack.interfaces
        ]
        known += [(route.to, route.via) for route in stack.routes]
        if stack.gateway is not None:
            known.append((IPv4Network("0.0.0.0/0"), stack.gateway))
        matching = [(network.prefixlen, hop) for network, hop in known if to in network]
        if not matching:
            return None
        # Of two routes of one length the kernel takes the one made first.
        _, hop = max(matching, key=lambda route: route[0])
        for interface in stack.interfaces:
            if hop in interface.address.network:
                return Way(interface, hop)
        return None

    def neighbour(self, node: NodePlan, way: Way) -> Plug | None:
        """Return whoever answers for the next hop's address on that link."""
        for plug in self._beside[Plug(node.name, way.out.name)]:
            if self.interface(plug).address.ip == way.hop:
                return plug
        return None

    def interface(self, plug: Plug) -> Interface:
        """Return the interface that a plug is."""
        for interface in self.node(plug.node).stack.interfaces:
            if interface.name == plug.interface:
                return interface
        raise KeyError(plug)


def owns(node: NodePlan, address: IPv4Address) -> bool:
    """Whether the address is one of the node's own."""
    return any(interface.address.ip == address for interface in node.stack.interfaces)
