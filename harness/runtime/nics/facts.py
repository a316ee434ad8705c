"""What the kernel says of an interface: enough to judge it, and to put it back as it was.

Everything is asked in the caller's network namespace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyroute2 import IPRoute

from harness.runtime.nics.addressing import Address, Route, addresses, routes
from harness.runtime.nics.settings import Setting, settings

# linux/if.h
IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_PROMISC = 0x100

SETTABLE_FLAGS = 0x4 | 0x20 | 0x80 | 0x100 | 0x200 | 0x1000 | 0x2000 | 0x4000 | 0x8000
"""The flags beside IFF_UP that a person can set: DEBUG, NOTRAILERS, NOARP, PROMISC, ALLMULTI,
MULTICAST, PORTSEL, AUTOMEDIA and DYNAMIC (linux/if.h)."""

ETHERNET = 1
"""ARPHRD_ETHER (linux/if_arp.h)."""

# A veth's IFLA_LINK is its other end, which does not stand on it.
_SIDE_BY_SIDE = ("veth",)


class Wanted(Protocol):
    """An interface that somebody asks for: its name, and a VLAN on it or None."""

    @property
    def name(self) -> str:
        """The interface's name on this machine."""

    @property
    def vlan(self) -> int | None:
        """The VLAN's number, 1 to 4094, where only that VLAN is meant."""


@dataclass(frozen=True)
class Facts:
    """An interface as it is now.

    ``flags`` are those of linux/if.h, ``promiscuity`` counts who asked for it. ``over`` names the
    master with its kind, ``uppers`` the interfaces that stand on this one, both as in this
    namespace.
    """

    index: int
    name: str
    kind: str | None
    hardware: int
    mac: str
    mtu: int
    flags: int
    promiscuity: int
    carrier: bool
    wireless: bool
    over: tuple[str, str] | None
    uppers: tuple[str, ...]
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]
    settings: tuple[Setting, ...]

    @property
    def up(self) -> bool:
        """Whether it is set up, with a link or without."""
        return bool(self.flags & IFF_UP)

    @property
    def loopback(self) -> bool:
        """Whether it is a loopback."""
        return bool(self.flags & IFF_LOOPBACK)


def names(netlink: IPRoute) -> list[str]:
    """Return the names of all interfaces, in the kernel's order."""
    return [link.get_attr("IFLA_IFNAME") for link in netlink.get_links()]


def facts_of(netlink: IPRoute, name: str, sysfs: Path = Path("/sys/class/net")) -> Facts | None:
    """Return what is known of the interface, or None where there is none of that name."""
    links = list(netlink.get_links())
    link = next((each for each in links if each.get_attr("IFLA_IFNAME") == name), None)
    if link is None:
        return None
    # Asking for this one makes the kernel settle its state first; the list of all does not.
    (link,) = netlink.link("get", index=link["index"])
    index = link["index"]
    return Facts(
        index=index,
        name=name,
        kind=_kind(link),
        hardware=link["ifi_type"],
        mac=link.get_attr("IFLA_ADDRESS") or "",
        mtu=link.get_attr("IFLA_MTU"),
        flags=link["flags"],
        promiscuity=link.get_attr("IFLA_PROMISCUITY") or 0,
        carrier=bool(link.get_attr("IFLA_CARRIER")),
        wireless=any((sysfs / name / sign).exists() for sign in ("phy80211", "wireless")),
        over=_master(link, links),
        uppers=tuple(
            each.get_attr("IFLA_IFNAME")
            for each in links
            if each.get_attr("IFLA_LINK") == index
            and each.get_attr("IFLA_LINK_NETNSID") is None
            and _kind(each) not in _SIDE_BY_SIDE
        ),
        addresses=addresses(netlink, index),
        routes=routes(netlink, index),
        settings=settings(name),
    )


def _kind(link: Any) -> str | None:
    info = link.get_attr("IFLA_LINKINFO")
    kind: str | None = info.get_attr("IFLA_INFO_KIND") if info is not None else None
    return kind


def _master(link: Any, links: Iterable[Any]) -> tuple[str, str] | None:
    index = link.get_attr("IFLA_MASTER")
    for each in links:
        if index is not None and each["index"] == index:
            return each.get_attr("IFLA_IFNAME"), _kind(each) or "unknown"
    return None
