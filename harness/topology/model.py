"""What a user writes: devices, the lab's internet, and topologies.

These are the shapes of the TOML files under ``topologies/``. What runs is made from them by
:mod:`harness.topology.plan`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from harness.topology.addresses import check_disjoint, check_host, check_router
from harness.words import Role, chain_name

# A name becomes part of a node's name, which is shown next to an interface as NODE/IFACE.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name is lower-case letters, digits and '-', a letter first, at most 31")
    return text


Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Name = Annotated[str, AfterValidator(_check_name)]


LAN_PREFIX = 24
"""The prefix of each LAN that is taken from a routed block."""


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
    """The link between the core router and one site (or the services).

    ``routed`` is a block of addresses that the internet routes to the site: a box that does not
    translate takes its LAN from it, 256 addresses each. ``reserved`` says that the addresses are
    meant to be such as no public host has, as a carrier's are behind its NAT (RFC 6598).
    """

    router: IPv4Interface
    site: IPv4Address
    routed: IPv4Network | None = None
    reserved: bool = False

    @model_validator(mode="after")
    def _site_is_in_the_subnet(self) -> IspLink:
        check_router(self.router, "router")
        if not (self.router.ip.is_global or self.reserved):
            raise ValueError(
                f"router {self.router.ip} is reserved: a UPnP daemon refuses to map on such a link"
            )
        check_host(self.site, self.router, "site")
        return self

    @model_validator(mode="after")
    def _block_has_lans_of_public_addresses(self) -> IspLink:
        if self.routed is None:
            return self
        if self.routed.prefixlen > LAN_PREFIX:
            raise ValueError(f"routed {self.routed} has no room for a LAN of 256 addresses")
        if not self.routed.is_global:
            raise ValueError(
                f"routed {self.routed} is reserved: a UPnP daemon refuses to map on such a link"
            )
        return self


class Internet(Definition):
    """The lab's internet: a core router with one link for each site and for the services."""

    novice: IspLink
    expert: IspLink
    services: IspLink

    @property
    def links(self) -> dict[Role, IspLink]:
        """Both sites' links, by who is there."""
        return {Role.NOVICE: self.novice, Role.EXPERT: self.expert}

    @model_validator(mode="after")
    def _services_have_no_boxes(self) -> Internet:
        if self.services.routed is not None:
            raise ValueError("services.routed: the services stand behind no box that could use it")
        return self

    @model_validator(mode="after")
    def _links_are_apart(self) -> Internet:
        check_disjoint(self.networks())
        return self

    @property
    def reserved(self) -> bool:
        """Whether a site has no public address."""
        return self.novice.reserved or self.expert.reserved

    def networks(self) -> list[tuple[str, IPv4Network]]:
        """Return every network of the internet with its name."""
        links = [(name, getattr(self, name)) for name in type(self).model_fields]
        named = [(f"the internet's {name} link", link.router.network) for name, link in links]
        blocks = [
            (f"the block routed to {name}", link.routed) for name, link in links if link.routed
        ]
        return named + blocks


class Unsolicited(StrEnum):
    """What a device does with an inbound SYN that nothing asked for (RFC 5382 REQ-4)."""

    DROP = "drop"
    REJECT = "reject"


class Forward(Definition):
    """A hand-made forward: TCP ``port`` on the WAN goes to ``to_port`` of the next host inward."""

    port: Port
    to_port: Port


class Mapping(StrEnum):
    """How a NAT chooses the external port of a connection (RFC 4787 4.1, RFC 5382 REQ-1)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class Filtering(StrEnum):
    """From whom a NAT lets packets in to a mapped port (RFC 4787 5, RFC 5382 REQ-3)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class Nat(Definition):
    """A NAT's translation; outbound is allowed, inbound only for what was asked for."""

    mapping: Mapping = Mapping.ENDPOINT_INDEPENDENT
    filtering: Filtering = Filtering.ADDRESS_AND_PORT_DEPENDENT
    unsolicited: Unsolicited
    forward: tuple[Forward, ...] = ()

    @model_validator(mode="after")
    def _each_port_is_forwarded_once(self) -> Nat:
        ports = [forward.port for forward in self.forward]
        for port in ports:
            if ports.count(port) > 1:
                raise ValueError(f"forward: port {port} is forwarded twice")
        return self

    @model_validator(mode="after")
    def _open_filtering_needs_a_port_that_stays(self) -> Nat:
        stays = self.mapping is Mapping.ENDPOINT_INDEPENDENT
        if not stays and self.filtering is not Filtering.ADDRESS_AND_PORT_DEPENDENT:
            raise ValueError(
                f"filtering {self.filtering.value} needs mapping endpoint-independent: "
                "otherwise each peer is shown another port, and no other peer can use it"
            )
        return self


class Firewall(Definition):
    """A box between LAN and WAN that translates nothing.

    ``inbound`` are the TCP ports that it opens from the WAN, ``outbound`` those that it allows
    from the LAN, all where it is not given.
    """

    unsolicited: Unsolicited
    inbound: tuple[Port, ...] = ()
    outbound: tuple[Port, ...] | None = None


class HostFirewall(Definition):
    """A firewall on the host itself, as Windows XP's ICF: outbound allowed, inbound dropped.

    ``opened_by_remote_assistance`` says whether Remote Assistance opens its own port in it while
    an invitation is open.
    """

    unsolicited: Unsolicited
    opened_by_remote_assistance: bool


class ProxyProtocol(StrEnum):
    """What a proxy speaks: HTTP CONNECT (RFC 9110 9.3.6) or SOCKS 5 (RFC 1928)."""

    HTTP = "http"
    SOCKS5 = "socks5"


class Proxy(Definition):
    """A proxy server on a box that forwards nothing: the host has no other way out.

    ``connect_ports`` are the TCP ports that its policy lets a client connect to, all where it is
    not given; SOCKS proxies have no such policy here.
    """

    protocol: ProxyProtocol
    port: Port
    connect_ports: tuple[Port, ...] | None = None

    @model_validator(mode="after")
    def _only_http_has_a_policy(self) -> Proxy:
        if self.protocol is ProxyProtocol.SOCKS5 and self.connect_ports is not None:
            raise ValueError("connect_ports: only an http proxy has such a policy")
        return self


class Upnp(Definition):
    """A UPnP InternetGatewayDevice:1 in secure mode, its HTTP at TCP ``http_port`` on the LAN."""

    http_port: Port


class NatPmp(Definition):
    """A NAT-PMP server at UDP 5351 of the LAN address (RFC 6886)."""


class Gear(Definition):
    """What stands for a device is a real router: what the bench file says of it.

    ``claims`` is the device whose class its maker states, by name: the article's answers for that
    device are what it is held against.
    """

    model: str
    firmware: str
    claims: Name


class Device(Definition):
    """What a host can stand behind: one file under ``topologies/devices``, or a real router.

    It is exactly one of a NAT, a firewall, a host firewall and a proxy. A host firewall has no LAN;
    a firewall without one takes it from the site's routed block. Of ``gear`` nothing is built: the
    rest is what its maker claims, and what it was found to be.
    """

    name: Name
    title: str
    source: str
    note: str = ""
    lan: Subnet | None = None
    nat: Nat | None = None
    firewall: Firewall | None = None
    host_firewall: HostFirewall | None = None
    proxy: Proxy | None = None
    upnp: Upnp | None = None
    nat_pmp: NatPmp | None = None
    gear: Gear | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Device:
        kinds = ("nat", "firewall", "host_firewall", "proxy")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            said = f"has {' and '.join(given)}" if given else "has none"
            raise ValueError(f"a device has exactly one of {', '.join(kinds)}; this one {said}")
        if self.maps_ports and self.nat is None:
            raise ValueError("upnp and nat_pmp need nat: there is nothing else to map")
        if self.host_firewall is not None and self.lan is not None:
            raise ValueError("lan: a host firewall is on the host and has no LAN")
        if self.lan is None and (self.nat is not None or self.proxy is not None):
            raise ValueError("lan: this key is missing")
        return self

    @property
    def maps_ports(self) -> bool:
        """Whether the device offers a port-mapping protocol."""
        return self.upnp is not None or self.nat_pmp is not None

    @property
    def subnet(self) -> Subnet:
        """The LAN of a box; a host firewall has none, and asking for it is a mistake."""
        if self.lan is None:
            raise ValueError(f"{self.name} has no LAN")
        return self.lan


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
    proxy_client: bool = False
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
    ``proxy_client`` says whether Remote Assistance's own connection goes through the site's proxy.
    """

    chain: tuple[Device, ...]
    address: IPv4Address
    listens: Port | None
    proxy_client: bool
    neighbours: tuple[Neighbour, ...]

    @property
    def boxes(self) -> tuple[Device, ...]:
        """The devices that are boxes of their own, host outward: all but a host firewall."""
        return tuple(device for device in self.chain if device.host_firewall is None)

    @property
    def host_firewall(self) -> HostFirewall | None:
        """The firewall on the host itself, if it has one."""
        return self.chain[0].host_firewall if self.chain else None

    @property
    def proxy(self) -> Device | None:
        """The proxy of the chain, if it has one."""
        return next((device for device in self.chain if device.proxy is not None), None)

    @property
    def gear(self) -> Device | None:
        """The real router of the chain, if it has one."""
        return next((device for device in self.chain if device.gear is not None), None)

    @property
    def offers_mapping(self) -> bool | None:
        """Whether its host must be offered a mapping protocol; None where nobody can promise it.

        What a real router offers is for it to show.
        """
        box = next(iter(self.boxes), None)
        if box is not None and box.gear is not None:
            return None
        return box is not None and box.maps_ports

    @property
    def stands_for(self) -> tuple[str, ...]:
        """The chain's device names, of a real router the device that it is claimed to be."""
        return tuple(
            device.name if device.gear is None else device.gear.claims for device in self.chain
        )

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
    def sites(self) -> dict[Role, Site]:
        """Both sites, by who is there."""
        return {Role.NOVICE: self.novice, Role.EXPERT: self.expert}

    @property
    def devices(self) -> tuple[Device, ...]:
        """Every device of both chains."""
        return self.novice.chain + self.expert.chain
