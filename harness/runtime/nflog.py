"""The kernel's own word about packets: NFLOG (nfnetlink_log), one socket for each namespace.

A rule that says ``log group N prefix "..."`` hands the packet itself to whoever bound the group in
that namespace, together with the prefix: packet and rule in one message, about 0.02 ms after the
fact. Layouts: linux/netfilter/nfnetlink_log.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from harness.runtime.netns import NetNs

_NETLINK_NETFILTER = 12
_NLM_F_REQUEST_ACK = 0x5
_NLMSG_ERROR = 2
_SUBSYS_ULOG = 4 << 8
_MSG_PACKET = _SUBSYS_ULOG | 0
_MSG_CONFIG = _SUBSYS_ULOG | 1
_CFG_CMD = 1
_CFG_MODE = 2
_CFG_QTHRESH = 5
_CMD_BIND = 1
_COPY_PACKET = 2
_ATTR_PAYLOAD = 9
_ATTR_PREFIX = 10
_TYPE_MASK = 0x3FFF

# Enough for IPv4 and TCP headers with options, and for an ICMP error with what it quotes.
_SNAPLEN = 128
_BUFFER = 1 << 20
_RECEIVE = 1 << 16


@dataclass(frozen=True)
class Logged:
    """One packet that a rule logged: the rule's prefix and the packet from its IP header on."""

    prefix: str
    packet: bytes


class LogSocket:
    """Receives what the rules of one namespace log to one group."""

    def __init__(self, namespace: NetNs, group: int) -> None:
        """Bind the group in the namespace.

        Raises:
            OSError: the kernel has no nfnetlink_log, or somebody bound the group before.
        """
        with namespace.entered():
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
            )
            self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._configure(group, _attribute(_CFG_CMD, struct.pack("B", _CMD_BIND)))
        mode = struct.pack("!IBx", _SNAPLEN, _COPY_PACKET)
        self._configure(group, _attribute(_CFG_MODE, mode))
        # One packet at a time: by default the kernel gathers a hundred, or waits a second.
        self._configure(group, _attribute(_CFG_QTHRESH, struct.pack("!I", 1)))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Unbind the group."""
        self._socket.close()

    def __enter__(self) -> LogSocket:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Unbind the group."""
        self.close()

    def read(self) -> Iterator[Logged]:
        """Yield what has been logged so far; do not wait for more.

        Raises:
            OSError: ENOBUFS where the kernel had to discard records because nobody read them.
        """
        while True:
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return
            yield from _packets(data)

    def _configure(self, group: int, attribute: bytes) -> None:
        body = struct.pack("!BBH", socket.AF_INET, 0, group) + attribute
        header = struct.pack("=IHHII", 16 + len(body), _MSG_CONFIG, _NLM_F_REQUEST_ACK, 1, 0)
        self._socket.send(header + body)
        for kind, answer in _messages(self._socket.recv(_RECEIVE)):
            if kind == _NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", answer)
                if code:
                    raise OSError(-code, os.strerror(-code), f"NFLOG group {group}")
                return
        raise OSError(errno.EPROTO, "the kernel did not acknowledge", f"NFLOG group {group}")


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16:
            return
        yield kind, data[offset + 16 : offset + length]
        offset += length + (-length % 4)


def _packets(data: bytes) -> Iterator[Logged]:
    for kind, body in _messages(data):
        if kind != _MSG_PACKET:
            continue
        prefix, payload, offset = "", b"", 4
        while offset + 4 <= len(body):
            length, attribute = struct.unpack_from("=HH", body, offset)
            if length < 4:
                break
            value = body[offset + 4 : offset + length]
            if attribute & _TYPE_MASK == _ATTR_PREFIX:
                prefix = value.rstrip(b"\0").decode(errors="replace")
            elif attribute & _TYPE_MASK == _ATTR_PAYLOAD:
                payload = value
            offset += length + (-length % 4)
        yield Logged(prefix, payload)
