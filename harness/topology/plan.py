"""The plan of a lab: every node, interface, address, route and link, before anything runs.

Pure data made from a topology by rule, the same for every runtime. Names say the role: a host's
interface is ``eth0``, a device has ``lan`` and ``wan``, the core router one ``to-SITE`` each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface

from harness.runtime.stack import Interface, Link, Plug, Stack
from harness.topology.model import Device, IspLink, Site, Topology
from harness.words import Role

INTERNET = "internet"
SERVICES = "services"


class Kind(StrEnum):
    """What a node is there for."""

    HOST = "host"
    DEVICE = "device"
    INTERNET = "internet"
    SERVICES = "services"


@dataclass(frozen=True)
class NodePlan:
    """One node: its network stack, and the device that it plays.

    ``inward`` is the address of the next host inward of a device: the one a hand-made forward
    goes to. ``stranger`` is the TCP port on which a host answers without holding an invitation.
    """

    name: str
    kind: Kind
    stack: Stack
    device: Device | None = None
    inward: IPv4Address | None = None
    stranger: int | None = None


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
    def services(self) -> IPv4Address:
        """The address of the mail server and the Messenger relay."""
        return self.topology.internet.services.site


def plan(topology: Topology) -> LabPlan:
    """Lay out a topology as nodes and links."""
    internet = topology.internet
    nodes: list[NodePlan] = []
    links: list[Link] = []
    core: list[Interface] = []
    for role, site, link in (
        (Role.NOVICE, topology.novice, internet.novice),
        (Role.EXPERT, topology.expert, internet.expert),
    ):
        outermost = _add_site(role, site, link, nodes, links)
        core.append(_join_core(role.value, outermost, link, links))
    nodes.append(_host(SERVICES, internet.services.site, internet.services.router, Kind.SERVICES))
    core.append(_join_core(SERVICES, Plug(SERVICES, "eth0"), internet.services, links))
    nodes.append(NodePlan(INTERNET, Kind.INTERNET, Stack(tuple(core), None, forwards=True)))
    return LabPlan(topology, tuple(nodes), tuple(links))


def device_nodes(role: Role, site: Site) -> Iterator[tuple[str, Device]]:
    """Yield node name and device for each device of a site, host outward."""
    names = site.names
    for position, device in enumerate(site.chain):
        again = names[:position].count(device.name)
        suffix = f".{again + 1}" if again else ""
        yield f"{role}.{device.name}{suffix}", device


def _add_site(
    role: Role, site: Site, link: IspLink, nodes: list[NodePlan], links: list[Link]
) -> Plug:
    """Add the site's nodes and inner links; return the plug that faces the internet."""
    inner_router = site.chain[0].lan.address if site.chain else link.router
    nodes.append(_host(role.value, site.address, inner_router, Kind.HOST))
    outward, inward = Plug(role.value, "eth0"), site.address
    devices = list(device_nodes(role, site))
    for position, (name, device) in enumerate(devices):
        further = devices[position + 1 :]
        uplink = further[0][1].lan.address if further else link.router
        own = further[0][1].lan.host if further else link.site
        ports: tuple[str, ...] = ()
        if position == 0 and site.neighbours:
            ports = ("lan-host", *(f"lan-{index}" for index in range(len(site.neighbours))))
            links.append(Link(outward, Plug(name, ports[0])))
            for neighbour, port in zip(site.neighbours, ports[1:], strict=True):
                host = f"{role}.{neighbour.name}"
                nodes.append(
                    _host(host, neighbour.address, inner_router, Kind.HOST, neighbour.stranger)
                )
                links.append(Link(Plug(host, "eth0"), Plug(name, port)))
        else:
            links.append(Link(outward, Plug(name, "lan")))
        nodes.append(
            NodePlan(
                name,
                Kind.DEVICE,
                Stack(
                    (
                        Interface("lan", device.lan.address, ports),
                        Interface("wan", _in_subnet(own, uplink)),
                    ),
                    uplink.ip,
                    forwards=True,
                ),
                device=device,
                inward=inward,
            )
        )
        outward, inward = Plug(name, "wan"), own
    return outward


def _join_core(name: str, outermost: Plug, link: IspLink, links: list[Link]) -> Interface:
    interface = f"to-{name}"
    links.append(Link(outermost, Plug(INTERNET, interface)))
    return Interface(interface, link.router)


def _host(
    name: str, address: IPv4Address, router: IPv4Interface, kind: Kind, stranger: int | None = None
) -> NodePlan:
    eth0 = Interface("eth0", _in_subnet(address, router))
    return NodePlan(name, kind, Stack((eth0,), router.ip, forwards=False), stranger=stranger)


def _in_subnet(address: IPv4Address, router: IPv4Interface) -> IPv4Interface:
    return IPv4Interface((address, router.network.prefixlen))
