"""The plan of a lab: every node, interface, address, route and link, before anything runs.

Pure data made from a topology by rule, the same for every runtime. Names say the role: a host's
interface is ``eth0``, a device has ``lan`` and ``wan``, the core router one ``to-SITE`` each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface

from harness.runtime.node import Part
from harness.runtime.stack import Interface, Link, Plug, Route, Stack
from harness.topology.model import Device, IspLink, Site, Topology
from harness.words import Role

INTERNET = "internet"
SERVICES = "services"

INTERNET_SERVES = ("UDP 67", "UDP 53", "TCP 53")
"""Where the internet's DHCP and DNS server listens: real routers ask it."""


class Kind(StrEnum):
    """What a node is there for."""

    HOST = "host"
    DEVICE = "device"
    GEAR = "gear"
    INTERNET = "internet"
    SERVICES = "services"


_PARTS = {Kind.HOST: Part.ENDPOINT, Kind.INTERNET: Part.INTERNET, Kind.SERVICES: Part.SERVICES}


@dataclass(frozen=True)
class NodePlan:
    """One node: its network stack, and the device that it plays.

    ``inward`` is where a hand-made forward of a box goes: to the next address inward, but past
    firewalls, behind which addresses are not translated. ``device`` of a host is the firewall that
    is on it. ``stranger`` is the TCP port on which a host answers without holding an invitation.
    ``listens`` is what listens there beside that, in every lab.
    """

    name: str
    kind: Kind
    stack: Stack
    device: Device | None = None
    inward: IPv4Address | None = None
    stranger: int | None = None
    listens: tuple[str, ...] = ()

    @property
    def part(self) -> Part:
        """What it is equipped for."""
        if self.kind is Kind.DEVICE and self.device is not None:
            if self.device.proxy is not None:
                return Part.PROXY
            return Part.GATEWAY_UPNP if self.device.maps_ports else Part.GATEWAY
        return _PARTS[self.kind]


@dataclass(frozen=True)
class LabPlan:
    """All nodes and links of one lab."""

    topology: Topology
    nodes: tuple[NodePlan, ...]
    links: tuple[Link, ...]
    _by_name: dict[str, NodePlan] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the nodes by name."""
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})

    def node(self, name: str) -> NodePlan:
        """Return the node of that name; KeyError where there is none."""
        return self._by_name[name]

    @property
    def own(self) -> tuple[NodePlan, ...]:
        """The nodes that the lab makes: all but real routers."""
        return tuple(node for node in self.nodes if node.kind is not Kind.GEAR)

    @property
    def own_links(self) -> tuple[Link, ...]:
        """The links that the lab makes: between its own nodes."""
        gear = self.gear
        return tuple(
            link for link in self.links if link.a.node not in gear and link.b.node not in gear
        )

    @property
    def gear(self) -> frozenset[str]:
        """The nodes that are real routers."""
        return frozenset(node.name for node in self.nodes if node.kind is Kind.GEAR)

    @property
    def gear_wires(self) -> dict[Plug, Plug]:
        """The real routers' own plugs, by the plug of a node of the lab that each is wired to."""
        gear = self.gear
        ends = [(link.a, link.b) for link in self.links] + [(link.b, link.a) for link in self.links]
        return {near: far for near, far in ends if far.node in gear and near.node not in gear}

    @property
    def services(self) -> IPv4Address:
        """The address of the mail server and the Messenger relay."""
        return self.topology.internet.services.site


def plan(topology: Topology) -> LabPlan:
    """Lay out a topology as nodes and links."""
    internet = topology.internet
    nodes: list[NodePlan] = []
    links: list[Link] = []
    core: list[Interface] = []
    routes: list[Route] = []
    listens: list[str] = []
    for role, site, link in (
        (Role.NOVICE, topology.novice, internet.novice),
        (Role.EXPERT, topology.expert, internet.expert),
    ):
        outermost = _add_site(role, site, link, nodes, links)
        if link.routed is not None:
            routes.append(Route(link.routed, link.site))
        # A real router's wire stays, whichever person is behind it.
        name = role.value if site.gear is None else site.gear.name
        listens += [] if site.gear is None else INTERNET_SERVES
        core.append(_join_core(name, outermost, link, links))
    router = internet.services.router
    nodes.append(_host(SERVICES, internet.services.site, router, Kind.SERVICES, router.ip))
    core.append(_join_core(SERVICES, Plug(SERVICES, "eth0"), internet.services, links))
    stack = Stack(tuple(core), None, forwards=True, routes=tuple(routes))
    serves = tuple(dict.fromkeys(listens))
    nodes.append(NodePlan(INTERNET, Kind.INTERNET, stack, listens=serves))
    return LabPlan(topology, tuple(nodes), tuple(links))


def box_nodes(role: Role, site: Site) -> Iterator[tuple[str, Device]]:
    """Yield node name and device for each box of a site, host outward."""
    names = [device.name for device in site.boxes]
    for position, device in enumerate(site.boxes):
        again = names[:position].count(device.name)
        suffix = f".{again + 1}" if again else ""
        yield f"{role}.{device.name}{suffix}", device


def proxy_node(role: Role, site: Site) -> str | None:
    """Return the node of a site's proxy, if it has one."""
    return next((name for name, device in box_nodes(role, site) if device.proxy is not None), None)


def _add_site(
    role: Role, site: Site, link: IspLink, nodes: list[NodePlan], links: list[Link]
) -> Plug:
    """Add the site's nodes and inner links; return the plug that faces the internet."""
    boxes = list(box_nodes(role, site))
    inner_router = boxes[0][1].subnet.address if boxes else link.router
    gateway = _gateway(boxes[0][1] if boxes else None, inner_router)
    host = _host(role.value, site.address, inner_router, Kind.HOST, gateway)
    if site.host_firewall is not None:
        host = replace(host, device=site.chain[0])
    nodes.append(host)
    outward, inward = Plug(role.value, "eth0"), site.address
    behind: list[Route] = []
    for position, (name, device) in enumerate(boxes):
        further = boxes[position + 1][1] if position + 1 < len(boxes) else None
        uplink = further.subnet.address if further is not None else link.router
        own = further.subnet.host if further is not None else link.site
        ports: tuple[str, ...] = ()
        if position == 0 and site.neighbours:
            ports = ("lan-host", *(f"lan-{index}" for index in range(len(site.neighbours))))
            links.append(Link(outward, Plug(name, ports[0])))
            for neighbour, port in zip(site.neighbours, ports[1:], strict=True):
                node = f"{role}.{neighbour.name}"
                nodes.append(
                    _host(
                        node,
                        neighbour.address,
                        inner_router,
                        Kind.HOST,
                        gateway,
                        neighbour.stranger,
                    )
                )
                links.append(Link(Plug(node, "eth0"), Plug(name, port)))
        else:
            links.append(Link(outward, Plug(name, "lan")))
        interfaces = (
            Interface("lan", device.subnet.address, ports),
            Interface("wan", _in_subnet(own, uplink)),
        )
        stack = Stack(
            interfaces,
            _gateway(further, uplink),
            forwards=device.proxy is None,
            routes=tuple(behind),
        )
        kind = Kind.DEVICE if device.gear is None else Kind.GEAR
        nodes.append(NodePlan(name, kind, stack, device=device, inward=inward))
        # What is behind a box that does not translate is reached through it.
        inside = [*(route.to for route in behind), device.subnet.network]
        behind = [Route(network, own) for network in inside] if device.firewall else []
        # A forward goes past it, too: what is behind it is known by its own address.
        outward, inward = Plug(name, "wan"), inward if device.firewall else own
    return outward


def _gateway(box: Device | None, router: IPv4Interface) -> IPv4Address | None:
    """The default gateway of whoever is inside a box: a proxy passes nothing on, so it is none."""
    return None if box is not None and box.proxy is not None else router.ip


def _join_core(name: str, outermost: Plug, link: IspLink, links: list[Link]) -> Interface:
    interface = f"to-{name}"
    links.append(Link(outermost, Plug(INTERNET, interface)))
    return Interface(interface, link.router)


def _host(
    name: str,
    address: IPv4Address,
    router: IPv4Interface,
    kind: Kind,
    gateway: IPv4Address | None,
    stranger: int | None = None,
) -> NodePlan:
    eth0 = Interface("eth0", _in_subnet(address, router))
    return NodePlan(name, kind, Stack((eth0,), gateway, forwards=False), stranger=stranger)


def _in_subnet(address: IPv4Address, router: IPv4Interface) -> IPv4Interface:
    return IPv4Interface((address, router.network.prefixlen))
