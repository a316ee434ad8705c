"""SSDP discovery of an Internet Gateway Device (UPnP Device Architecture 1.0, section 1.2).

The search is the one that Windows XP sends (KB317843): IGD version 1, answers within 3 seconds.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final
from urllib.parse import urlsplit

GROUP: Final = "239.255.255.250"
PORT: Final = 1900
TTL: Final = 4
"""The multicast TTL that UPnP Device Architecture 1.0 sets."""

MX: Final = 3
"""Seconds within which a device answers, by the search's own request."""

_TARGET = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
_LONGEST_LOCATION = 1024


class SsdpError(ValueError):
    """An answer that names no usable description."""


def search() -> bytes:
    """Return an M-SEARCH for gateways."""
    return (
        "M-SEARCH * HTTP/1.1\r\n"
        f"Host:{GROUP}:{PORT}\r\n"
        f"ST:{_TARGET}\r\n"
        'Man:"ssdp:discover"\r\n'
        f"MX:{MX}\r\n"
        "\r\n"
    ).encode("ascii")


def read_location(answer: bytes, gateway: IPv4Address) -> str:
    """Return the URL of the device description that an answer names.

    Only the gateway itself may describe the gateway: a URL on any other host is refused, so no
    answer makes the novice fetch from somebody else.

    Raises:
        SsdpError: there is no such URL in it.
    """
    head = answer.decode("latin-1").split("\r\n")
    if not head[0].startswith("HTTP/1.1 200"):
        raise SsdpError(f"not an answer to a search: {head[0][:40]!r}")
    for line in head[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            return _check(value.strip(), gateway)
    raise SsdpError("the answer has no LOCATION")


def _check(location: str, gateway: IPv4Address) -> str:
    if len(location) > _LONGEST_LOCATION or not location.isascii() or not location.isprintable():
        raise SsdpError("LOCATION is not a URL")
    try:
        url = urlsplit(location)
        port = url.port
    except ValueError as error:
        raise SsdpError(f"LOCATION is not a URL: {location[:80]!r}") from error
    # The authority as a whole: readers disagree on what a user or a backslash in it means.
    own = str(gateway) if port is None else f"{gateway}:{port}"
    if url.scheme != "http" or url.netloc != own or port == 0:
        raise SsdpError(f"LOCATION is not an http URL of the gateway {gateway}: {location[:80]!r}")
    return location
