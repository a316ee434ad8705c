"""What a router says of itself over UPnP: its answers to a search, and its description, kept whole.

It is asked before anything else happens, and whatever it answers is kept: the bundle of each
scenario has it, beside what the scenario made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from harness.nodes.igd.client import fetch
from harness.nodes.igd.control import LIMITS
from harness.nodes.igd.discovery import search
from harness.nodes.igd.sockets import Sockets
from harness.protocol import ssdp
from harness.protocol.igd.answer import SsdpAnswer
from harness.protocol.igd.description import parse_description
from harness.protocol.igd.errors import IgdError
from harness.protocol.igd.url import check

_ANY: Final = "ssdp:all"
_MX: Final = 2
_MARGIN: Final = 1.0


@dataclass(frozen=True)
class Look:
    """What a router said.

    ``http_port`` is where its web server is, 0 where it named none. ``files`` has what came, by the
    name that it gets in a bundle. ``summary`` is one line for people.
    """

    http_port: int
    files: dict[str, bytes]
    summary: str


async def look_at(sockets: Sockets, gateway: IPv4Address, name: str, searches: int) -> Look:
    """Search for everything that a router offers, and fetch the first description that it names.

    It is asked so many times at most, until it answers: its UPnP may be up later than all the rest,
    and a datagram can be lost (UDA 1.1 1.3.2).

    Raises:
        OSError: the search could not be sent.
    """
    answers: list[SsdpAnswer] = []
    for _ in range(searches):
        answers = await search(
            sockets, IPv4Address(ssdp.GROUP), _ANY, _MX, _MX + _MARGIN, only_from=gateway
        )
        if answers:
            break
    else:
        return Look(0, {}, "no answer to a UPnP search")
    files = {f"{name}.discovery.txt": b"".join(map(_written, answers))}
    location, why = _location(answers, gateway)
    if location is None:
        return Look(0, files, f"UPnP: none of {len(answers)} answers is of use: {why}")
    port = check(location, gateway, "LOCATION").port
    try:
        reply = await fetch(sockets, location, LIMITS, gateway)
    except IgdError as error:
        return Look(port, files, f"UPnP: {error}")
    files[f"{name}.description.xml"] = reply.body
    try:
        device = parse_description(reply.body)
    except IgdError as error:
        return Look(port, files, f"UPnP: the description: {error}")
    return Look(port, files, f"UPnP: {device.device_type}, {device.friendly_name}")


def _written(answer: SsdpAnswer) -> bytes:
    head = f"# from {answer.sender}:{answer.port}, {answer.size} bytes\n".encode()
    return head + answer.raw + b"\n"


def _location(answers: Iterable[SsdpAnswer], gateway: IPv4Address) -> tuple[str | None, str]:
    """Return the first location that is of use; None where none is, and why the last one is not."""
    why = ""
    for answer in answers:
        try:
            return answer.location(gateway), ""
        except IgdError as error:
            # The answer is in the file all the same.
            why = str(error)
    return None, why
