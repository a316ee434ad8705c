"""Which sockets listen in a namespace, by NETLINK_SOCK_DIAG (sock_diag(7)), as ``ss`` asks.

The tables under ``/proc/net`` have the same, but to show the dozen sockets of one namespace the
kernel walks over every connection slot that the machine has: a millisecond for each look.
Layouts: linux/inet_diag.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from harness.runtime.netns import NetNs

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_HEADER = struct.Struct("=IHHII")
_RECEIVE = 1 << 16

# The kernel's numbers of the states. An unconnected UDP socket is shown as closed.
_TCP_TIME_WAIT = 6
_TCP_CLOSE = 7
_TCP_LISTEN = 10
_ALL_STATES = (1 << 13) - 2

_PROTOCOLS = ((socket.IPPROTO_TCP, "TCP", _TCP_LISTEN), (socket.IPPROTO_UDP, "UDP", _TCP_CLOSE))
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def listening(namespace: NetNs) -> list[str]:
    """Return where something listens in a namespace, once for each socket.

    As ``TCP 5431``, ``UDP 1900``.

    Raises:
        OSError: the kernel does not answer.
    """
    with namespace.entered():
        return [
            f"{name} {port}"
            for protocol, name, state in _PROTOCOLS
            for family in _FAMILIES
            for port in _ports(family, protocol, 1 << state)
        ]


def unclosed(namespace: NetNs) -> int:
    """Return how many TCP sockets are in a namespace, but for those in TIME_WAIT.

    Raises:
        OSError: the kernel does not answer.
    """
    states = _ALL_STATES & ~(1 << _TCP_TIME_WAIT)
    with namespace.entered():
        return sum(1 for family in _FAMILIES for _ in _ports(family, socket.IPPROTO_TCP, states))


def _ports(family: int, protocol: int, states: int) -> Iterator[int]:
    """Yield the local port of each socket that is in one of the states, given as a bit mask."""
    request = struct.pack("=BBBxI", family, protocol, 0, states) + bytes(48)
    header = _HEADER.pack(
        _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0
    )
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as netlink:
        netlink.send(header + request)
        while True:
            for kind, body in _messages(netlink.recv(_RECEIVE)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", body)
                    if -code == errno.ENOENT:
                        return  # this kernel has no such family
                    raise OSError(-code, os.strerror(-code), "NETLINK_SOCK_DIAG")
                # Family, state, timer and retransmissions, a byte each; then the ports.
                (port,) = struct.unpack_from("!H", body, 4)
                yield port


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += length + (-length % 4)
