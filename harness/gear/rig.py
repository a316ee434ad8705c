"""Where the checks of a router's card stand: hosts on its LAN, and hosts on the internet side."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from harness.runtime.netns import NetNs


@dataclass(frozen=True)
class Station:
    """A host of the rig: its network namespace, and the address that it sends from.

    A socket made for it stays in its namespace, whoever uses it. Sockets are IPv4, do not block,
    and are bound; it has the shape of :class:`harness.nodes.igd.Sockets`.
    """

    name: str
    namespace: NetNs
    address: IPv4Address

    def tcp(self, port: int = 0) -> socket.socket:
        """Make a TCP socket bound to a port of its own, 0 for a free one.

        Raises:
            OSError: the port is taken.
        """
        return self._bound(socket.SOCK_STREAM, port)

    def udp(self, port: int = 0) -> socket.socket:
        """Make a UDP socket bound to a port of its own, 0 for a free one.

        Raises:
            OSError: the port is taken.
        """
        return self._bound(socket.SOCK_DGRAM, port)

    def _bound(self, kind: socket.SocketKind, port: int) -> socket.socket:
        with self.namespace.entered():
            sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        try:
            if kind is socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((str(self.address), port))
        except BaseException:
            sock.close()
            raise
        return sock


@dataclass(frozen=True)
class Rig:
    """A router with hosts on both sides.

    ``lan`` and ``neighbour`` are two hosts of its LAN, with a MAC address each. ``wan`` is the
    internet's own router, on the link of the router's WAN; ``far`` and ``other`` are further hosts
    of the internet, at public addresses of other networks. ``router`` is the router's LAN address
    and prefix, ``external`` its WAN address. ``answer`` is how many seconds a packet that was sent
    is waited for before silence counts; real things need more than the microseconds of a lab.
    """

    lan: Station
    neighbour: Station
    wan: Station
    far: Station
    other: Station
    router: IPv4Interface
    external: IPv4Address
    answer: float

    @property
    def gateway(self) -> IPv4Address:
        """The router's LAN address."""
        return self.router.ip
