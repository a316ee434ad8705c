"""A UPnP gateway that lies, by script: SSDP, HTTP and SOAP of its own, in a router's namespace.

It speaks InternetGatewayDevice:1 and WANIPConnection:1, as the routers of the article's time did.
What it grants it really forwards, but for the lie that forwards nothing. The lies are in
:mod:`routers.lies`, the mappings in :mod:`routers.table`, what it serves in :mod:`routers.pages`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Final

from routers import pages
from routers.lies import Lie
from routers.table import Fault, Table

HTTP_PORT: Final = 49000
DESCRIPTION: Final = "/description.xml"
ELSEWHERE_PORT: Final = 49001
"""The port of the other host that it sends its readers to."""

FLOOD: Final = 2000
"""How often it answers a search where it floods."""

_GROUP = "239.255.255.250"
_SSDP_PORT = 1900
_LONGEST_BODY = 1 << 20
_IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
_TARGETS = {"ssdp:all": _IGD, "upnp:rootdevice": "upnp:rootdevice", _IGD: _IGD} | {
    pages.SERVICE: pages.SERVICE
}


class LyingIgd:
    """The gateway, on the interface ``lan`` whose address is given.

    ``elsewhere`` is the host that it sends its readers to where it does.
    """

    def __init__(self, lie: Lie, lan: IPv4Address, elsewhere: IPv4Address) -> None:
        """It has no mapping yet."""
        self._lie = lie
        self._lan = lan
        self._elsewhere = f"http://{elsewhere}:{ELSEWHERE_PORT}"
        self._table = Table(lie)

    async def serve(self) -> None:
        """Answer searches and requests for ever."""
        server = await asyncio.start_server(self._answer, str(self._lan), HTTP_PORT)
        async with server, asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve_forever())
            tasks.create_task(self._answer_searches())

    # --- SSDP ---

    async def _answer_searches(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lan")
            sock.bind(("", _SSDP_PORT))
            member = struct.pack("4s4s", socket.inet_aton(_GROUP), self._lan.packed)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            sock.setblocking(False)
            while True:
                data, sender = await loop.sock_recvfrom(sock, 2048)
                for answer in self._found(data):
                    await loop.sock_sendto(sock, answer, sender)

    def _found(self, data: bytes) -> list[bytes]:
        first, *lines = data.decode("latin-1").split("\r\n")
        fields = {line.partition(":")[0].strip().upper(): line.partition(":")[2] for line in lines}
        found = _TARGETS.get(fields.get("ST", "").strip())
        if not first.startswith("M-SEARCH ") or found is None:
            return []
        foreign = self._lie is Lie.FOREIGN_LOCATION
        base = self._elsewhere if foreign else f"http://{self._lan}:{HTTP_PORT}"
        count = FLOOD if self._lie is Lie.FLOOD else 1
        return [pages.search_answer(found, base + DESCRIPTION, number) for number in range(count)]

    # --- HTTP ---

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, path, body = await _request(reader)
            await self._respond(method, path, body, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError) as error:
            # Its reader left, or sends no HTTP: the next one is served all the same.
            sys.stdout.write(f"lying igd: {type(error).__name__}: {error}\n")
        finally:
            writer.close()

    async def _respond(
        self, method: str, path: str, body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if (method, path) == ("GET", DESCRIPTION):
            await self._describe(writer)
        elif (method, path) == ("GET", pages.SCPD):
            writer.write(pages.reply("200 OK", pages.scpd()))
        elif (method, path) == ("POST", pages.CONTROL):
            peer = IPv4Address(writer.get_extra_info("peername")[0])
            writer.write(await self._control(body, peer))
        else:
            writer.write(pages.reply("404 Not Found", b""))

    async def _describe(self, writer: asyncio.StreamWriter) -> None:
        match self._lie:
            case Lie.HUGE:
                for piece in pages.huge():
                    writer.write(piece)
                    await writer.drain()
            case Lie.DRIP:
                for piece in pages.drip():
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pages.DRIP_SECONDS)
            case Lie.REDIRECT:
                writer.write(pages.redirect(self._elsewhere + DESCRIPTION))
            case _:
                writer.write(pages.reply("200 OK", self._description()))

    def _description(self) -> bytes:
        match self._lie:
            case Lie.ENTITIES:
                return pages.entities()
            case Lie.MANY_SERVICES:
                return pages.description(services=pages.MANY_SERVICES)
            case Lie.BINARY_NAME:
                return pages.description(name=pages.BINARY_NAME)
            case Lie.MARKUP_NAME:
                return pages.description(name=pages.MARKUP_NAME)
            case Lie.FOREIGN_CONTROL:
                return pages.description(control=self._elsewhere + pages.CONTROL)
            case _:
                return pages.description()

    async def _control(self, body: bytes, peer: IPv4Address) -> bytes:
        try:
            action, arguments = _called(body)
            return pages.result(action, await self._table.act(action, arguments, peer))
        except Fault as fault:
            return pages.fault(fault.code, fault.text)


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    """Read a request: method, path and body.

    Raises:
        ValueError: it is none, or too long.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    fields = {line.partition(":")[0].lower(): line.partition(":")[2] for line in lines}
    length = int(fields.get("content-length", "0"))
    if not 0 <= length <= _LONGEST_BODY:
        raise ValueError(f"a body of {length} bytes")
    return method, path, await reader.readexactly(length)


def _called(body: bytes) -> tuple[str, Mapping[str, str]]:
    """Return the action that a SOAP envelope calls, and its arguments.

    Raises:
        Fault: it calls none of this service.
    """
    try:
        found = ET.fromstring(body).find("{http://schemas.xmlsoap.org/soap/envelope/}Body/*")
    except ET.ParseError as error:
        raise Fault(402, "Invalid Args") from error
    if found is None or not found.tag.startswith(f"{{{pages.SERVICE}}}"):
        raise Fault(401, "Invalid Action")
    arguments = {argument.tag: argument.text or "" for argument in found}
    return found.tag.partition("}")[2], arguments
