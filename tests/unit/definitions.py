"""Devices, sites and topologies made in one line, and a topologies folder that may be broken."""

from __future__ import annotations

import shutil
from functools import cache
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from harness.topology.load import Library, default_folder
from harness.topology.model import (
    Device,
    Filtering,
    Firewall,
    Forward,
    HostFirewall,
    Internet,
    Mapping,
    Nat,
    NatPmp,
    Neighbour,
    Proxy,
    ProxyProtocol,
    Site,
    Subnet,
    Topology,
    Unsolicited,
    Upnp,
)
from harness.topology.plan import LabPlan, plan


@cache
def project() -> Library:
    """Return the project's own definitions."""
    return Library(default_folder())


@cache
def project_topologies() -> tuple[Path, ...]:
    """Return the file of every topology of the project."""
    folder = default_folder()
    files = [path for path in folder.rglob("*.toml") if path.parent != folder / "devices"]
    return tuple(sorted(path for path in files if path != folder / "internet.toml"))


def copy_of_project(parent: Path) -> Path:
    """Return a copy of the project's topologies folder, made in ``parent``."""
    return Path(shutil.copytree(default_folder(), parent / "topologies"))


def internet() -> Internet:
    """Return an internet without the project's addresses."""
    return Internet.model_validate(
        {
            "novice": {"router": "21.0.0.1/24", "site": "21.0.0.2", "routed": "24.0.0.0/16"},
            "expert": {"router": "22.0.0.1/24", "site": "22.0.0.2", "routed": "25.0.0.0/16"},
            "services": {"router": "23.0.0.1/24", "site": "23.0.0.10"},
        }
    )


def device(
    name: str = "box",
    lan: str = "10.1.1.1/24",
    host: str = "10.1.1.2",
    *,
    mapping: Mapping = Mapping.ENDPOINT_INDEPENDENT,
    filtering: Filtering = Filtering.ADDRESS_AND_PORT_DEPENDENT,
    unsolicited: Unsolicited = Unsolicited.DROP,
    forward: tuple[tuple[int, int], ...] = (),
    http_port: int | None = None,
    nat_pmp: bool = False,
) -> Device:
    """Make a NAT; ``forward`` has pairs of ``port`` and ``to_port``."""
    return Device(
        name=name,
        title=name,
        source="a test",
        lan=_subnet(lan, host),
        nat=Nat(
            mapping=mapping,
            filtering=filtering,
            unsolicited=unsolicited,
            forward=tuple(Forward(port=port, to_port=to_port) for port, to_port in forward),
        ),
        upnp=Upnp(http_port=http_port) if http_port is not None else None,
        nat_pmp=NatPmp() if nat_pmp else None,
    )


def firewall(
    name: str = "wall",
    lan: str = "24.0.0.1/24",
    host: str = "24.0.0.2",
    *,
    unsolicited: Unsolicited = Unsolicited.DROP,
    inbound: tuple[int, ...] = (),
    outbound: tuple[int, ...] | None = None,
) -> Device:
    """Make a firewall; its LAN is the first of the novice's routed block."""
    own = Firewall(unsolicited=unsolicited, inbound=inbound, outbound=outbound)
    return Device(name=name, title=name, source="a test", lan=_subnet(lan, host), firewall=own)


def host_firewall(
    name: str = "shield",
    *,
    unsolicited: Unsolicited = Unsolicited.DROP,
    opened_by_remote_assistance: bool = True,
) -> Device:
    """Make a firewall on the host itself."""
    own = HostFirewall(
        unsolicited=unsolicited, opened_by_remote_assistance=opened_by_remote_assistance
    )
    return Device(name=name, title=name, source="a test", host_firewall=own)


def proxy(
    name: str = "gate",
    lan: str = "10.9.9.1/24",
    host: str = "10.9.9.2",
    *,
    protocol: ProxyProtocol = ProxyProtocol.HTTP,
) -> Device:
    """Make a proxy."""
    own = Proxy(protocol=protocol, port=8080)
    return Device(name=name, title=name, source="a test", lan=_subnet(lan, host), proxy=own)


def three_devices() -> tuple[Device, Device, Device]:
    """Return a chain of three, host outward: inner, middle, outer."""
    return (
        device("inner", "10.1.1.1/24", "10.1.1.2"),
        device("middle", "10.2.2.1/25", "10.2.2.9"),
        device("outer", "10.3.3.1/16", "10.3.3.3"),
    )


def neighbour(name: str, address: str, stranger: int | None = None) -> Neighbour:
    """Make a neighbour."""
    return Neighbour(name=name, address=IPv4Address(address), stranger=stranger)


def site(
    *chain: Device,
    address: str | None = None,
    proxy_client: bool = False,
    neighbours: tuple[Neighbour, ...] = (),
) -> Site:
    """Make a site with at least one box."""
    box = next(each for each in chain if each.lan is not None)
    return Site(
        chain=chain,
        address=IPv4Address(address) if address is not None else box.subnet.host,
        listens=None,
        proxy_client=proxy_client,
        neighbours=neighbours,
    )


def direct_site(address: str, *chain: Device) -> Site:
    """Make a site without a box: a host on its ISP link, with or without a host firewall."""
    return Site(
        chain=chain,
        address=IPv4Address(address),
        listens=None,
        proxy_client=False,
        neighbours=(),
    )


def plan_of(novice: Site | None = None, expert: Site | None = None) -> LabPlan:
    """Plan the two sites on :func:`internet`; None is a direct host."""
    net = internet()
    return plan(
        Topology(
            title="a test",
            novice=novice or direct_site(str(net.novice.site)),
            expert=expert or direct_site(str(net.expert.site)),
            internet=net,
        )
    )


def _subnet(lan: str, host: str) -> Subnet:
    return Subnet(address=IPv4Interface(lan), host=IPv4Address(host))
