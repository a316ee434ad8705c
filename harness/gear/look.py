"""What a router says of itself over UPnP: its answers to a search, and its description, kept whole.

It is asked before anything else happens, and whatever it answers is kept: the bundle of each
scenario has it, beside what the scenario made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
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


async def look_at(sockets: Sockets, gateway: IPv4Address, name: str) -> Look:
    """Search for everything that a router offers, and fetch the first description that it names.

    Raises:
        OSError: the search could not be sent.
    """
    answers = await search(
        sockets, IPv4Address(ssdp.GROUP), _ANY, _MX, _MX + _MARGIN, only_from=gateway
    )
    if not answers:
        return Look(0, {}, "no answer to a UPnP search")
    files = {f"{name}.discovery.txt": b"".join(map(_written, answers))}
    location = next(_locations(answers, gateway), None)
    if location is None:
        return Look(0, files, f"{len(answers)} answers to a UPnP search, none of use")
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


def _locations(answers: Iterable[SsdpAnswer], gateway: IPv4Address) -> Iterator[str]:
    for answer in answers:
        # One that is of no use is in the file all the same.
        with suppress(IgdError):
            yield answer.location(gateway)
