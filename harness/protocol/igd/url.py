"""Which URLs a router may name: plain http on its own address, and nothing else.

LOCATION, URLBase, controlURL, SCPDURL and eventSubURL come from the router. One that leads to
another host would make the harness fetch from, or post to, whoever the router names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import urljoin

from harness.protocol.igd.errors import IgdError, quoted

LONGEST: Final = 1024
"""Characters of the longest URL that is taken."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)")
_HOST_AND_PORT = re.compile(r"(?P<host>[^:]*)(?::(?P<port>[0-9]{1,5}))?")
_HTTP_PORT = 80


@dataclass(frozen=True)
class Target:
    """Where a URL leads: address, TCP port, what the Host header and the request line say."""

    address: IPv4Address
    port: int
    host: str
    path: str


def check(url: str, allowed: IPv4Address, what: str) -> Target:
    """Return where a URL leads, which is ``allowed`` and nowhere else.

    ``what`` names the URL in the error: ``LOCATION``, ``controlURL``.

    Raises:
        IgdError: it leads elsewhere, or readers may disagree on where it leads.
    """

    def refusal(why: str) -> IgdError:
        return IgdError(f"{what} {quoted(url)} is not used: {why}")

    if len(url) > LONGEST:
        raise refusal(f"it has {len(url)} characters, at most {LONGEST} are taken")
    # Spaces and controls would end the request line early; readers differ on backslashes.
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise refusal("a character in it has no place in a URL")
    parts = _URL.fullmatch(url.partition("#")[0])
    if parts is None:
        raise refusal("it is no absolute URL")
    if parts["scheme"].lower() != "http":
        raise refusal(f"its scheme is {parts['scheme']}, not http")
    if "@" in parts["authority"]:
        raise refusal("it names a user")
    if parts["authority"].startswith("["):
        raise refusal(f"it is on an IPv6 address, not on {allowed}")
    place = _HOST_AND_PORT.fullmatch(parts["authority"])
    if place is None:
        raise refusal("its port is no number")
    if place["host"] != str(allowed):
        raise refusal(f"it is on another host than {allowed}")
    port = _HTTP_PORT if place["port"] is None else int(place["port"])
    if not 0 < port < 1 << 16:
        raise refusal(f"there is no port {port}")
    path = parts["rest"]
    return Target(allowed, port, parts["authority"], path if path.startswith("/") else f"/{path}")


def resolve(reference: str, base: str, allowed: IPv4Address, what: str) -> str:
    """Return the absolute URL of a reference in a description, checked as :func:`check` does.

    Raises:
        IgdError: the reference is empty, or leads to another host than ``allowed``.
    """
    if not reference:
        raise IgdError(f"{what} is empty")
    if len(reference) > LONGEST:
        raise IgdError(
            f"{what} {quoted(reference)} is not used: it has {len(reference)} characters,"
            f" at most {LONGEST} are taken"
        )
    try:
        url = urljoin(base, reference)
    except ValueError as error:
        raise IgdError(f"{what} {quoted(reference)} is not used: it is no URL") from error
    # urljoin drops tabs and line feeds, so what it was given is looked at, too.
    if not reference.isprintable():
        raise IgdError(
            f"{what} {quoted(reference)} is not used: a character in it has no place in a URL"
        )
    check(url, allowed, what)
    return url
