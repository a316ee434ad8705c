"""What a person's ticket names, and what the gateway says when it is asked for a mapping."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from harness.prediction.dial import by_proxy
from harness.prediction.network import Network
from harness.prediction.walk import Granted, World, walk
from harness.topology.model import Site, Topology
from harness.topology.plan import SERVICES, box_nodes, plan
from harness.words import Role

RDP_PORT = 3389
"""What the novice's ticket always says (KB301529; KB307711 for a novice that listens elsewhere)."""

STUN_PORT = 3478

LOWEST_MAPPED = 1024
"""The mapping daemon's policy refuses every port below."""

# What the mapping daemon refuses as a WAN address, since nobody outside could use the mapping: the
# special-purpose registry of RFC 6890, with the blocks of AS112 and 6to4 relays.
_RESERVED = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)


@dataclass(frozen=True)
class Options:
    """What the two may agree on beyond the topology.

    ``expert_port`` is where the expert listens by Windows Messenger; 0 is some port above 1024
    that nobody has opened by hand (KB306298).
    """

    expert_port: int = 0


@dataclass(frozen=True)
class Candidate:
    """One address of a ticket; ``port`` None is a dynamic one."""

    address: IPv4Address
    port: int | None

    def __str__(self) -> str:
        """Write it as a sentence does."""
        if self.port is None:
            return f"{self.address} (dynamic port)"
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Ticket:
    """The addresses that a person's ticket names, in its order.

    ``listens`` is the port that the person listens on; None is a dynamic one. ``mapped_by`` is the
    node that granted a mapping, and ``why`` says in one sentence why it did or why none did.
    """

    role: Role
    addresses: tuple[Candidate, ...]
    listens: int | None
    mapped_by: str | None
    why: str


def ticket(topology: Topology, role: Role, options: Options | None = None) -> Ticket:
    """Return what a person's ticket names; the expert makes one by Windows Messenger only."""
    return write_ticket(Network(plan(topology)), role, options or Options())


def write_ticket(network: Network, role: Role, options: Options) -> Ticket:
    """Do the same on a network that is planned already."""
    site = network.lab.topology.sites[role]
    port = RDP_PORT if role is Role.NOVICE else options.expert_port or None
    listens = site.listens if site.listens is not None else port
    own = Candidate(site.address, port)
    refusal = _refusal(network.lab.topology, role, port)
    if refusal is None:
        gateway, _ = next(box_nodes(role, site))
        external = Candidate(_wan(network, gateway), port)
        why = f"{gateway} maps {external} to the {role}"
        return Ticket(role, _each_once(own, external), listens, gateway, why)
    seen = _reflexive(network, role, site)
    reflexive = () if seen is None else (Candidate(seen, port),)
    return Ticket(role, _each_once(own, *reflexive), listens, None, refusal)


def granted(ticket: Ticket) -> dict[str, Granted]:
    """Return the mapping that the ticket's maker was granted, by the node that did."""
    if ticket.mapped_by is None:
        return {}
    own = ticket.addresses[0]
    return {ticket.mapped_by: Granted(own.port, own.address)}


def _refusal(topology: Topology, role: Role, port: int | None) -> str | None:
    """Say why the host's default gateway maps nothing; None where it does."""
    site, link = topology.sites[role], topology.internet.links[role]
    boxes = list(box_nodes(role, site))
    if not boxes:
        return f"nothing is mapped: no device is between the {role} and the internet"
    name, device = boxes[0]
    if device.proxy is not None:
        return f"nothing is mapped: {name} is a proxy, so the {role} has no default gateway"
    if not device.maps_ports:
        return f"nothing is mapped: {name} offers no mapping protocol"
    if port is not None and port < LOWEST_MAPPED:
        return f"nothing is mapped: {name} maps no port below {LOWEST_MAPPED}"
    wan = boxes[1][1].subnet.host if len(boxes) > 1 else link.site
    if any(wan in block for block in _RESERVED):
        return f"nothing is mapped: {name} refuses, for its WAN address {wan} is reserved"
    return None


def _reflexive(network: Network, role: Role, site: Site) -> IPv4Address | None:
    """Return the address that the reflector sees the host by; None where they cannot talk.

    A site with a proxy asks through it: its host has no other way to the services.
    """
    world = World(network)
    services = network.lab.services
    if site.proxy is None:
        journey = walk(world, role.value, services, STUN_PORT)
    else:
        journey = by_proxy(world, role, site, services, STUN_PORT)
    arrived = journey.node == SERVICES and journey.taken
    return journey.syn.source if arrived else None


def _wan(network: Network, name: str) -> IPv4Address:
    return next(
        interface.address.ip
        for interface in network.node(name).stack.interfaces
        if interface.name == "wan"
    )


def _each_once(*candidates: Candidate) -> tuple[Candidate, ...]:
    return tuple(dict.fromkeys(candidates))
