"""What a host knows of its own network: its default gateway and its address."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address
from pathlib import Path

_ROUTES = Path("/proc/net/route")
_RTF_GATEWAY = 0x2


def default_gateway() -> IPv4Address | None:
    """Return the default route's next hop, or None where there is no default route."""
    for line in _ROUTES.read_text(encoding="ascii").splitlines()[1:]:
        _, destination, gateway, flags, *_ = line.split()
        if int(destination, 16) == 0 and int(flags, 16) & _RTF_GATEWAY:
            # The kernel prints the address as a number in the machine's byte order.
            return IPv4Address(struct.pack("=I", int(gateway, 16)))
    return None


def own_address(towards: IPv4Address) -> IPv4Address:
    """Return the address this host sends from to another; no packet is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((str(towards), 9))
        return IPv4Address(probe.getsockname()[0])
