"""What a user writes: devices, the lab's internet, and topologies.

These are the shapes of the TOML files under ``topologies/``. What runs is made from them by
:mod:`harness.topology.plan`.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
# A name becomes part of a node's name, which is shown next to an interface as NODE/IFACE.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


_THIS_NETWORK = IPv4Network("0.0.0.0/8")


class Definition(BaseModel):
    """Frozen data that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Subnet(Definition):
    """A device's LAN: its own address and the one it gives to whoever is next inward."""

    address: IPv4Interface
    host: IPv4Address

    @model_validator(mode="after")
    def _host_is_in_the_subnet(self) -> Subnet:
        check_router(self.address, "address")
        check_host(self.host, self.address, "host")
        return self

    @property
    def network(self) -> IPv4Network:
        """The subnet's network."""
        return self.address.network


class IspLink(Definition):
    """The link between the core router and one site (or the services)."""

    router: IPv4Interface
    site: IPv4Address

    @model_validator(mode="after")
    def _site_is_in_the_subnet(self) -> IspLink:
        check_router(self.router, "router")
        if not self.router.ip.is_global:
            raise ValueError(
                f"router {self.router.ip} is reserved: a UPnP daemon refuses to map on such a link"
            )
        check_host(self.site, self.router, "site")
        return self


class Internet(Definition):
    """The lab's internet: a core router with one link for each site and for the services."""

    novice: IspLink
    expert: IspLink
    services: IspLink

    @model_validator(mode="after")
    def _links_are_apart(self) -> Internet:
        links = {name: getattr(self, name).router.network for name in type(self).model_fields}
        check_disjoint(list(links.items()))
        return self


class Unsolicited(StrEnum):
    """What a device does with an inbound SYN that nothing asked for (RFC 5382 REQ-4)."""

    DROP = "drop"
    REJECT = "reject"


class Forward(Definition):
    """A hand-made forward: TCP ``port`` on the WAN goes to ``to_port`` of the next host inward."""

    port: Port
    to_port: Port


class Nat(Definition):
    """A NAT's translation; outbound is allowed, inbound only for what was asked for."""

    unsolicited: Unsolicited
    forward: tuple[Forward, ...] = ()

    @model_validator(mode="after")
    def _each_port_is_forwarded_once(self) -> Nat:
        ports = [forward.port for forward in self.forward]
        for port in ports:
            if ports.count(port) > 1:
                raise ValueError(f"forward: port {port} is forwarded twice")
        return self


class Upnp(Definition):
    """A UPnP InternetGatewayDevice:1 in secure mode, its HTTP at TCP ``http_port`` on the LAN."""

    http_port: Port


class NatPmp(Definition):
    """A NAT-PMP server at UDP 5351 of the LAN address (RFC 6886)."""


class Device(Definition):
    """What a host can stand behind: one file under ``topologies/devices``."""

    name: Name
    title: str
    source: str
    note: str = ""
    lan: Subnet
    nat: Nat
    upnp: Upnp | None = None
    nat_pmp: NatPmp | None = None

    @property
    def maps_ports(self) -> bool:
        """Whether the device offers a port-mapping protocol."""
        return self.upnp is not None or self.nat_pmp is not None


class Neighbour(Definition):
    """Another host in the site's innermost LAN; ``stranger`` is a TCP port it answers on.

    The stranger speaks the first words of RDP and holds no invitation.
    """

    name: Name
    address: IPv4Address
    stranger: Port | None = None


class ChainLink(Definition):
    """A device in a chain: its name alone, or with its LAN overridden."""

    device: Name
    lan: Subnet | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"device": value} if isinstance(value, str) else value


class SiteFile(Definition):
    """A site as a topology file gives it: devices listed from the host outward."""

    chain: tuple[ChainLink, ...] = ()
    address: IPv4Address | None = None
    listens: Port | None = None
    neighbours: tuple[Neighbour, ...] = ()


class TopologyFile(Definition):
    """A topology file."""

    title: str = ""
    novice: SiteFile = SiteFile()
    expert: SiteFile = SiteFile()


class Site(Definition):
    """A host and its devices, resolved and checked.

    ``address`` is the host's own; ``listens`` is set where the novice listens on another port than
    its ticket says (KB307711: the port was changed and the invitation still carries 3389).
    """

    chain: tuple[Device, ...]
    address: IPv4Address
    listens: Port | None
    neighbours: tuple[Neighbour, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The chain's device names, host outward; empty for a direct host."""
        return tuple(device.name for device in self.chain)


class Topology(Definition):
    """A novice site and an expert site joined by the internet, checked and ready to plan."""

    title: str
    novice: Site
    expert: Site
    internet: Internet

    @property
    def name(self) -> str:
        """``NOVICE+EXPERT``, a chain's devices joined by commas, ``direct`` for none."""
        return f"{chain_name(self.novice.names)}+{chain_name(self.expert.names)}"

    @property
    def devices(self) -> tuple[Device, ...]:
        """Every device of both chains."""
        return self.novice.chain + self.expert.chain


def chain_name(chain: tuple[str, ...]) -> str:
    """Name a chain as scenario ids do."""
    return ",".join(chain) or "direct"


def check_host(host: IPv4Address, subnet: IPv4Interface, key: str) -> None:
    """Raise ValueError unless ``host`` can be a host of the subnet beside its router."""
    network = subnet.network
    if host not in network:
        raise ValueError(f"{key} {host} is outside its subnet {network}")
    if host == subnet.ip:
        raise ValueError(f"{key} {host} is the router's own address")
    _check_host_address(host, network, key)


def check_router(router: IPv4Interface, key: str) -> None:
    """Raise ValueError unless the router's own address can be one of its subnet."""
    _check_host_address(router.ip, router.network, key)


def _check_host_address(address: IPv4Address, network: IPv4Network, key: str) -> None:
    if address.is_loopback or address.is_multicast or address in _THIS_NETWORK:
        raise ValueError(f"{key} {address} is no address of a host (RFC 1122 3.2.1.3)")
    if address in (network.network_address, network.broadcast_address):
        raise ValueError(f"{key} {address} is not a host address of {network}")


def check_disjoint(named: list[tuple[str, IPv4Network]]) -> None:
    """Raise ValueError naming the first two networks that overlap."""
    for index, (name, network) in enumerate(named):
        for other_name, other in named[:index]:
            if network.overlaps(other):
                raise ValueError(
                    f"{name} ({network}) overlaps {other_name} ({other}); "
                    "give one of them another subnet"
                )
