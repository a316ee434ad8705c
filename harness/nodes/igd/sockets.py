"""Where a control point's sockets come from: this host, or a network namespace of the caller's."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol


class Sockets(Protocol):
    """Opens IPv4 sockets that are not blocking, not connected, and bound to one host's address.

    A socket stays in the network namespace that it was opened in, whoever uses it.
    """

    def udp(self) -> socket.socket:
        """Open a UDP socket on a free port."""

    def tcp(self) -> socket.socket:
        """Open a TCP socket on a free port."""


@dataclass(frozen=True)
class HostSockets:
    """Opens sockets in this process's own network namespace, on one of its addresses."""

    address: IPv4Address

    def udp(self) -> socket.socket:
        """Open a UDP socket on a free port.

        Raises:
            OSError: the address is not this host's.
        """
        return self._bound(socket.SOCK_DGRAM)

    def tcp(self) -> socket.socket:
        """Open a TCP socket on a free port.

        Raises:
            OSError: the address is not this host's.
        """
        return self._bound(socket.SOCK_STREAM)

    def _bound(self, kind: socket.SocketKind) -> socket.socket:
        sock = socket.socket(socket.AF_INET, kind)
        try:
            sock.setblocking(False)
            sock.bind((str(self.address), 0))
        except OSError:
            sock.close()
            raise
        return sock
