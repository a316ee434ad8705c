"""SSDP discovery of an Internet Gateway Device (UPnP Device Architecture 1.0, section 1.2).

Where nothing else is said the search is the one that Windows XP sends (KB317843): IGD version 1,
answers within 3 seconds.
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "239.255.255.250"
PORT: Final = 1900
TTL: Final = 4
"""The multicast TTL that UPnP Device Architecture 1.0 sets."""

MX: Final = 3
"""Seconds within which a device answers, by the search's own request."""

_GATEWAY = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"


def search(host: str = GROUP, st: str = _GATEWAY, mx: int = MX) -> bytes:
    """Return an M-SEARCH, for gateways where nothing else is said.

    ``host`` is the address that it is sent to, ``st`` the search target, ``mx`` the seconds within
    which devices are to answer.
    """
    return (
        "M-SEARCH * HTTP/1.1\r\n"
        f"Host:{host}:{PORT}\r\n"
        f"ST:{st}\r\n"
        'Man:"ssdp:discover"\r\n'
        f"MX:{mx}\r\n"
        "\r\n"
    ).encode()
