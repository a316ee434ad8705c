"""What a client says to a proxy: HTTP CONNECT (RFC 9110 9.3.6) and SOCKS 5 (RFC 1928)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Final

MAX_HEAD: Final = 8192
"""The longest answer to a CONNECT that is read."""

GREETING: Final = bytes((5, 1, 0))
"""SOCKS 5, one method: no authentication (RFC 1928 3)."""

GREETING_ANSWER_BYTES: Final = 2
REPLY_BYTES: Final = 10
"""A reply whose bound address is IPv4, as a proxy's to an IPv4 request is (RFC 1928 6)."""

_CONNECT = 1
_IPV4 = 1

# RFC 1928 6.
_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


class ProxyRefusal(Exception):
    """The proxy did not connect; the text is its reason."""


def http_connect(address: IPv4Address, port: int) -> bytes:
    """Ask an HTTP proxy for a tunnel."""
    target = f"{address}:{port}"
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii")


def check_http_answer(head: bytes) -> None:
    """Check the status line of the answer; a 2xx opens the tunnel.

    Raises:
        ProxyRefusal: it does not.
    """
    line = head.split(b"\r\n", 1)[0].decode("latin-1")
    version, _, status = line.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ProxyRefusal("it does not speak HTTP")
    if not status.startswith("2"):
        raise ProxyRefusal(f"HTTP {status[:60]}")


def socks_connect(address: IPv4Address, port: int) -> bytes:
    """Ask a SOCKS proxy for a connection."""
    return struct.pack("!BBBB4sH", 5, _CONNECT, 0, _IPV4, address.packed, port)


def check_socks_greeting(answer: bytes) -> None:
    """Raise ProxyRefusal unless the proxy takes a client without authentication."""
    if answer != bytes((5, 0)):
        raise ProxyRefusal("it does not take a SOCKS 5 client without authentication")


def check_socks_reply(reply: bytes) -> None:
    """Raise ProxyRefusal unless the proxy has connected."""
    version, code, _, kind = reply[:4]
    if version != 5 or kind != _IPV4:
        raise ProxyRefusal("its reply is not one of SOCKS 5 with an IPv4 address")
    if code:
        raise ProxyRefusal(f"SOCKS {_REPLIES.get(code, f'reply {code}')}")
