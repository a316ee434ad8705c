"""One SYN's way through a planned lab, node by node, and the way back of its answer.

Each node does with the packet what its kernel does: rewrite, then route or take for itself, then
hold it against the device's rules. The packet is never sent; the plan is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address

from harness.prediction.network import Network, Way, owns
from harness.topology.model import Device, Unsolicited
from harness.topology.plan import NodePlan

LAN = "lan"
WAN = "wan"


class Fate(StrEnum):
    """What became of a SYN at the node at which it ended."""

    TAKEN = "taken"
    OWN = "own"
    NO_ROUTE = "no route"
    NO_HOST = "no host"
    UNSOLICITED = "unsolicited"
    OUTBOUND = "outbound"
    HOST_FIREWALL = "host firewall"
    PROXY = "proxy"
    NOT_FORWARDED = "not forwarded"
    NO_WAY_OUT = "no way out but the proxy"
    NO_PROXY = "proxy out of reach"
    POLICY = "proxy policy"


class Help(StrEnum):
    """What a device did to let an inbound SYN through."""

    MAPS = "maps"
    FORWARDS = "forwards"
    LETS_IN = "lets in"
    OPENED = "opened"


@dataclass(frozen=True)
class Syn:
    """A SYN as it is on one wire; ``port`` None is the expert's dynamic port.

    No rule made by hand names a dynamic port; only a rule for all ports, and the mapping that was
    asked for it, match.
    """

    source: IPv4Address
    to: IPv4Address
    port: int | None


@dataclass(frozen=True)
class Granted:
    """A mapping in force on a device: TCP ``port`` of its WAN leads to ``inward``."""

    port: int | None
    inward: IPv4Address


@dataclass(frozen=True)
class World:
    """The network and what the two people have had opened in it.

    ``mappings`` has the mapping granted by a device; ``opened`` the port that Remote Assistance
    opened in the firewall on a host, where there is one; each by the node's name.
    """

    network: Network
    mappings: Mapping[str, Granted] = field(default_factory=dict)
    opened: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Journey:
    """Where a SYN ended and how.

    ``syn`` is as it was there; ``rejected`` says whether the node said so. ``helped`` are the
    devices that let it in, in its order. ``proxy`` is the proxy that dialled in the host's place,
    or would have had to. Its answer needs no walk of its own: connection tracking takes it back the
    way that it came, and the loader refuses a site to which nothing leads back.
    """

    node: str
    fate: Fate
    syn: Syn
    rejected: bool = False
    helped: tuple[tuple[str, Help], ...] = ()
    proxy: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the node took the SYN for itself; whether it listens is not asked here."""
        return self.fate in (Fate.TAKEN, Fate.OWN)


def walk(world: World, start: str, to: IPv4Address, port: int | None) -> Journey:
    """Let a node dial an address and follow the SYN to its end.

    It does end: a packet goes outward in one site, once through the internet, and inward in one.
    """
    network = world.network
    node = network.node(start)
    if owns(node, to):
        return Journey(start, Fate.OWN, Syn(to, to, port))
    way = network.way(node, to)
    if way is None:
        return Journey(start, Fate.NO_ROUTE, Syn(_first_address(node), to, port), rejected=True)
    syn = Syn(way.out.address.ip, to, port)
    helped: list[tuple[str, Help]] = []
    while True:
        at = network.neighbour(node, way)
        if at is None:
            return Journey(node.name, Fate.NO_HOST, syn, True, tuple(helped))
        node = network.node(at.node)
        came = (syn.to, syn.port)
        syn, help_ = _rewritten_inward(world, node, at.interface, syn)
        helped += [(node.name, help_)] if help_ else []
        if owns(node, syn.to):
            break
        # The kernel does not count a translation to the very same address and port as one.
        translated = help_ is not None and (syn.to, syn.port) != came
        onward = _passed_on(world, node, at.interface, syn, translated=translated)
        if isinstance(onward, Journey):
            return replace(onward, helped=tuple(helped))
        way = onward
        if at.interface == WAN and help_ is None:
            helped.append((node.name, Help.LETS_IN))
        if node.device is not None and node.device.nat is not None and way.out.name == WAN:
            syn = replace(syn, source=way.out.address.ip)
    journey = _taken_in(world, node, at.interface, syn)
    if journey.taken and node.name in world.opened:
        helped.append((node.name, Help.OPENED))
    return replace(journey, helped=tuple(helped))


def _rewritten_inward(
    world: World, node: NodePlan, interface: str, syn: Syn
) -> tuple[Syn, Help | None]:
    """Apply a NAT's forwards and mappings, which ask for the port only (chain prerouting).

    The axes of a NAT play no part. Filtering (RFC 4787 5, RFC 5382 REQ-3) lets a packet in only to
    an external port from which the host inside has sent; a listener has sent nothing from its own.
    Mapping (RFC 4787 4.1, RFC 5382 REQ-1) chooses ports of outbound connections; it never moves a
    port that was mapped or forwarded on request.
    """
    device = node.device
    if device is None or device.nat is None or interface != WAN:
        return syn, None
    for forward in device.nat.forward:
        if forward.port == syn.port and node.inward is not None:
            return replace(syn, to=node.inward, port=forward.to_port), Help.FORWARDS
    granted = world.mappings.get(node.name)
    if granted is not None and granted.port == syn.port:
        return replace(syn, to=granted.inward), Help.MAPS
    return syn, None


def _passed_on(
    world: World, node: NodePlan, interface: str, syn: Syn, *, translated: bool
) -> Way | Journey:
    """Return where a router sends the SYN next, or where and why it ends (chain forward)."""
    device = node.device
    if not node.stack.forwards:
        fate = Fate.PROXY if device is not None and device.proxy else Fate.NOT_FORWARDED
        return Journey(node.name, fate, syn)
    way = world.network.way(node, syn.to)
    if way is None:
        return Journey(node.name, Fate.NO_ROUTE, syn, rejected=True)
    if device is None or translated:
        return way
    refusal = _refusal(device, interface, way.out.name, syn.port)
    return way if refusal is None else Journey(node.name, refusal, syn, _rejects(device))


def _refusal(device: Device, interface: str, out: str, port: int | None) -> Fate | None:
    """Say why a NAT or firewall does not pass on what it has not translated; None where it does."""
    firewall = device.firewall
    if interface == WAN:
        opened = firewall is not None and out == LAN and port in firewall.inbound
        return None if opened else Fate.UNSOLICITED
    if out != WAN:
        return Fate.NOT_FORWARDED
    allowed = firewall.outbound if firewall is not None else None
    return None if allowed is None or port in allowed else Fate.OUTBOUND


def _taken_in(world: World, node: NodePlan, interface: str, syn: Syn) -> Journey:
    """Hold a SYN for the node itself against the node's own rules (chain input)."""
    device = node.device
    if device is None or (interface == LAN and device.host_firewall is None):
        return Journey(node.name, Fate.TAKEN, syn)
    if device.host_firewall is not None:
        opened = node.name in world.opened and world.opened[node.name] == syn.port
        fate = Fate.TAKEN if opened else Fate.HOST_FIREWALL
    else:
        fate = Fate.PROXY if device.proxy is not None else Fate.UNSOLICITED
    return Journey(node.name, fate, syn, fate is not Fate.TAKEN and _rejects(device))


def _rejects(device: Device) -> bool:
    """Whether the device says so when it ends a packet; a proxy's box never does."""
    rules = device.nat or device.firewall or device.host_firewall
    return rules is not None and rules.unsolicited is Unsolicited.REJECT


def _first_address(node: NodePlan) -> IPv4Address:
    return node.stack.interfaces[0].address.ip
