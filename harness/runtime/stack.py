"""One network stack as the wiring needs it: interfaces, addresses, a gateway, and the wires."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


@dataclass(frozen=True)
class Interface:
    """One interface; ``ports`` are the bridge's ports where it is a bridge, else empty."""

    name: str
    address: IPv4Interface
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A network and the next hop to it."""

    to: IPv4Network
    via: IPv4Address


@dataclass(frozen=True)
class Stack:
    """A node's interfaces, default gateway and further routes; whether it passes packets on."""

    interfaces: tuple[Interface, ...]
    gateway: IPv4Address | None
    forwards: bool
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Plug:
    """One end of a link: a node and the name of the interface (or bridge port) there."""

    node: str
    interface: str


@dataclass(frozen=True)
class Link:
    """A wire between two plugs."""

    a: Plug
    b: Plug
