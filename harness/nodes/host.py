"""What a host knows of its own network: its default gateway and its address."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from ipaddress import IPv4Address
from pathlib import Path

_ROUTES = Path("/proc/net/route")
_RTF_GATEWAY = 0x2
_SIOCGIFADDR = 0x8915


def default_gateway() -> IPv4Address | None:
    """Return the default route's next hop, or None where there is no default route."""
    for line in _ROUTES.read_text(encoding="ascii").splitlines()[1:]:
        _, destination, gateway, flags, *_ = line.split()
        if int(destination, 16) == 0 and int(flags, 16) & _RTF_GATEWAY:
            # The kernel prints the address as a number in the machine's byte order.
            return IPv4Address(struct.pack("=I", int(gateway, 16)))
    return None


def own_address() -> IPv4Address:
    """Return this host's address, that of its only interface but ``lo``.

    Asked of the kernel's list of interfaces: a host behind a proxy has no route to anywhere.

    Raises:
        OSError: it has none.
    """
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for name in names:
            # Where tunnel modules are loaded, every namespace has a tunl0 or sit0 without address.
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode())
                return IPv4Address(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
    raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
