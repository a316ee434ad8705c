"""Addresses and routes of an interface: read, and given to the kernel again as they were."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

SCOPE_LINK = 253
"""RT_SCOPE_LINK: an address that means something on its own link only."""

IFA_F_TENTATIVE = 0x40
"""An IPv6 address that the kernel still looks for on the link (RFC 4862 5.4)."""

IFA_F_STABLE_PRIVACY = 0x800
"""An IPv6 address that the kernel makes by RFC 7217; nobody else can set this flag."""

_RTPROT_KERNEL, _RTPROT_REDIRECT, _RTPROT_RA = 2, 1, 9
# They come again by themselves, with a router's next word.
_LEARNT = (_RTPROT_REDIRECT, _RTPROT_RA)
_RTN_UNICAST = 1
_RTM_F_CLONED = 0x200
_RTNH_F_ONLINK = 0x4

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class Address:
    """An address as the kernel tells it; ``proto`` says who made it (IFA_PROTO), 0 if unsaid."""

    family: int
    local: str
    prefix: int
    scope: int
    flags: int
    proto: int
    peer: str | None
    broadcast: str | None
    label: str | None

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.local}/{self.prefix}"


@dataclass(frozen=True)
class Route:
    """A route through one interface, by the kernel's own names and numbers (linux/rtnetlink.h)."""

    family: int
    to: str
    prefix: int
    table: int
    type: int
    scope: int
    proto: int
    tos: int
    flags: int
    priority: int | None
    gateway: str | None
    source: str | None
    metrics: tuple[tuple[str, int], ...]
    whole: bool
    """Whether this is all of it: no other nexthop, no encapsulation, no gateway of another family.
    """

    @property
    def default(self) -> bool:
        """Whether it leads everywhere."""
        return self.prefix == 0 and self.type == _RTN_UNICAST

    @property
    def passing(self) -> bool:
        """Whether it comes again by itself: a router says so, or it belongs to an address."""
        of_address = self.proto == _RTPROT_KERNEL and self.type != _RTN_UNICAST
        return of_address or self.proto in _LEARNT

    def __str__(self) -> str:
        """Return it as people write it."""
        return "the default route" if self.default else f"the route to {self.to}/{self.prefix}"


def addresses(netlink: IPRoute, index: int) -> tuple[Address, ...]:
    """Return the addresses of the interface with this index."""
    found = (
        message
        for family in _FAMILIES
        for message in netlink.get_addr(family=family)
        if message["index"] == index
    )
    return tuple(map(_address, found))


def routes(netlink: IPRoute, index: int) -> tuple[Route, ...]:
    """Return the routes of every table that go through the interface with this index."""
    found = (message for family in _FAMILIES for message in netlink.get_routes(family=family))
    return tuple(
        _route(message)
        for message in found
        if index in _interfaces(message) and not message["flags"] & _RTM_F_CLONED
    )


def way_to(netlink: IPRoute, address: str) -> int | None:
    """Return the index of the interface that packets to ``address`` leave by, if there is one."""
    try:
        (route,) = netlink.route("get", dst=address)
    except NetlinkError:
        return None
    index: int | None = route.get_attr("RTA_OIF")
    return index


def add_address(netlink: IPRoute, index: int, address: Address) -> None:
    """Give the interface an address that it had."""
    optional = {
        "address": address.peer,
        "broadcast": address.broadcast,
        "label": address.label,
        "proto": address.proto or None,
    }
    netlink.addr(
        "replace",
        family=address.family,
        index=index,
        local=address.local,
        prefixlen=address.prefix,
        scope=address.scope,
        flags=address.flags,
        **{key: value for key, value in optional.items() if value is not None},
    )


def delete_address(netlink: IPRoute, index: int, address: Address) -> None:
    """Take an address from the interface."""
    netlink.addr(
        "del",
        family=address.family,
        index=index,
        address=address.local,
        prefixlen=address.prefix,
    )


def add_route(netlink: IPRoute, index: int, route: Route) -> None:
    """Make a route through the interface that was there; it has to be a ``whole`` one."""
    optional = {
        "priority": route.priority,
        "gateway": route.gateway,
        "prefsrc": route.source,
        "metrics": dict(route.metrics) or None,
    }
    netlink.route(
        "replace",
        family=route.family,
        dst=route.to,
        dst_len=route.prefix,
        table=route.table,
        type=route.type,
        scope=route.scope,
        proto=route.proto,
        tos=route.tos,
        flags=route.flags,
        oif=index,
        **{key: value for key, value in optional.items() if value is not None},
    )


def _address(message: Any) -> Address:
    address, local = message.get_attr("IFA_ADDRESS"), message.get_attr("IFA_LOCAL")
    return Address(
        family=message["family"],
        local=local or address,
        prefix=message["prefixlen"],
        scope=message["scope"],
        flags=message.get_attr("IFA_FLAGS") or 0,
        proto=message.get_attr("IFA_PROTO") or 0,
        peer=address if local is not None and address != local else None,
        broadcast=message.get_attr("IFA_BROADCAST"),
        label=message.get_attr("IFA_LABEL"),
    )


def _route(message: Any) -> Route:
    family = message["family"]
    anywhere = "0.0.0.0" if family == socket.AF_INET else "::"
    metrics = message.get_attr("RTA_METRICS")
    parts = ("RTA_MULTIPATH", "RTA_NH_ID", "RTA_ENCAP", "RTA_VIA")
    return Route(
        family=family,
        to=message.get_attr("RTA_DST") or anywhere,
        prefix=message["dst_len"],
        table=message.get_attr("RTA_TABLE") or message["table"],
        type=message["type"],
        scope=message["scope"],
        proto=message["proto"],
        tos=message["tos"],
        flags=message["flags"] & _RTNH_F_ONLINK,
        priority=message.get_attr("RTA_PRIORITY"),
        gateway=message.get_attr("RTA_GATEWAY"),
        source=message.get_attr("RTA_PREFSRC"),
        metrics=tuple(
            (name.removeprefix("RTAX_").lower(), value)
            for name, value in (metrics["attrs"] if metrics is not None else ())
        ),
        whole=all(message.get_attr(part) is None for part in parts) and not message["src_len"],
    )


def _interfaces(message: Any) -> Iterator[int]:
    yield message.get_attr("RTA_OIF")
    for hop in message.get_attr("RTA_MULTIPATH") or ():
        yield hop["oif"]
