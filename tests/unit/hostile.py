"""Routers on the loopback interface that say what a test makes them say, and how they say it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address
from typing import TypeVar

from loopback import HOST, PATIENCE, Peer, resets, served

from harness.nodes.igd.sockets import HostSockets
from harness.protocol.igd.reply import HttpLimits

_T = TypeVar("_T")

ROUTER = IPv4Address(HOST)
FOREIGN = "127.0.0.2"
"""Another host, as far as a URL can tell."""

SOCKETS = HostSockets(ROUTER)
LIMITS = HttpLimits(seconds=PATIENCE, size=1 << 18, head_size=8192, head_lines=50)
"""Tight limits of size; on a busy machine what is over them may take its time to come."""

HASTE = replace(LIMITS, seconds=0.4)
"""For routers that are never done, so that a test of them is short."""

MIB = 1 << 20
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


def run(play: Callable[[], Awaitable[_T]]) -> _T:
    """Run a play in a loop of its own; one that would not end fails."""

    async def patiently() -> _T:
        async with asyncio.timeout(PATIENCE):
            return await play()

    return asyncio.run(patiently())


@dataclass
class Cost:
    """What a piece of a test cost: seconds, and the bytes that Python had at most."""

    seconds: float = 0.0
    peak: int = 0


@contextmanager
def costing() -> Iterator[Cost]:
    """Measure the block."""
    cost = Cost()
    tracemalloc.start()
    started = time.monotonic()
    try:
        yield cost
    finally:
        cost.seconds = time.monotonic() - started
        _, cost.peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()


# --- HTTP


@dataclass(frozen=True)
class Request:
    """What a router was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return cls(method, path, headers, body)


def http(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """Return a reply with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def replies(data: bytes | Callable[[Request], bytes]) -> Peer:
    """Return a router that hears the request, says this, and hangs up."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await Request.read(reader)
        writer.write(data if isinstance(data, bytes) else data(request))
        await writer.drain()

    return peer


def hurries(data: bytes) -> Peer:
    """Return a router that answers before it is asked, and never hears the question."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await never_reads(reader, writer)

    return peer


def never_ends(head: bytes, piece: bytes) -> Peer:
    """Return a router that says the head, and then the piece again and again."""
    pieces = piece * max(1, 4096 // len(piece))

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Request.read(reader)
        writer.write(head)
        while True:
            writer.write(pieces)
            await writer.drain()
            # Draining does not wait while there is room, and its reader runs in the same loop.
            await asyncio.sleep(0)

    return peer


async def never_reads(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection, and neither hear nor say anything."""
    await asyncio.Event().wait()


def drips(head: bytes, drop: bytes) -> Peer:
    """Return a router that says the head, and then a drop every 10 ms."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Request.read(reader)
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.01)

    return peer


def breaks_off(data: bytes) -> Peer:
    """Return a router that says this and then resets the connection."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Request.read(reader)
        writer.write(data)
        await writer.drain()
        await resets(reader, writer)

    return peer


@asynccontextmanager
async def foreign_host() -> AsyncIterator[Foreign]:
    """Be another host, that counts who comes."""
    foreign = Foreign()

    async def peer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        foreign.callers += 1
        writer.write(http(b"<root/>"))

    async with served(peer, FOREIGN) as port:
        foreign.url = f"http://{FOREIGN}:{port}/rootDesc.xml"
        yield foreign


@dataclass
class Foreign:
    """Another host's URL, and how many have connected to it."""

    url: str = ""
    callers: int = 0


# --- UPnP


@dataclass
class Igd:
    """A gateway: its description, what it answers to each action, and what it was asked.

    An action's answer is a fault's code, the arguments of an answer, or a whole reply. A list of
    answers is given one after the other, the last again and again.
    """

    description: bytes
    actions: dict[str, Answer | list[Answer]]
    asked: list[Request] = field(default_factory=list)

    def peer(self) -> Peer:
        return replies(self._answer)

    def called(self, action: str) -> list[bytes]:
        """Return the bodies that an action was called with."""
        return [each.body for each in self.asked if f"<u:{action} ".encode() in each.body]

    def _answer(self, request: Request) -> bytes:
        self.asked.append(request)
        if request.method == "GET":
            return http(self.description)
        name = request.headers["soapaction"].strip('"').rpartition("#")[2]
        answer = self.actions[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, bytes):
            return answer
        if isinstance(answer, int):
            return http(fault(answer), "500 Internal Server Error")
        return http(response(name, answer))


Answer = int | bytes | dict[str, str]


def service(kind: str = SERVICE, control: str = "/ctl", event: str = "/evt") -> str:
    """Return a service of a description."""
    return (
        f"<service><serviceType>{kind}</serviceType><serviceId>urn:x:{kind[-20:]}</serviceId>"
        f"<controlURL>{control}</controlURL><eventSubURL>{event}</eventSubURL>"
        "<SCPDURL>/scpd.xml</SCPDURL></service>"
    )


def description(
    services: Iterable[str] | None = None, name: str = "Router", before: str = ""
) -> bytes:
    """Return a device description, the services two devices deep, as gateways have them."""
    listed = "".join([service()] if services is None else services)
    return (
        f'<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">{before}<device>'
        "<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>"
        f"<friendlyName>{name}</friendlyName><manufacturer>Maker</manufacturer>"
        "<modelName>Model</modelName><modelNumber>1.2</modelNumber>"
        "<serialNumber>0815</serialNumber><UDN>uuid:1</UDN><deviceList><device><deviceList><device>"
        f"<serviceList>{listed}</serviceList></device></deviceList></device></deviceList>"
        "</device></root>"
    ).encode()


def envelope(content: str) -> bytes:
    """Return a SOAP envelope."""
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Body>{content}</s:Body></s:Envelope>"
    ).encode()


def response(action: str, arguments: dict[str, str]) -> bytes:
    """Return the answer to an action."""
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in arguments.items())
    return envelope(f'<u:{action}Response xmlns:u="{SERVICE}">{inner}</u:{action}Response>')


def fault(code: object, text: str = "no") -> bytes:
    """Return a UPnP fault."""
    return envelope(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0">'
        f"<errorCode>{code}</errorCode><errorDescription>{text}</errorDescription>"
        "</UPnPError></detail></s:Fault>"
    )


# --- UDP

Says = Callable[[bytes, Callable[[bytes], None]], Coroutine[None, None, None]]


@asynccontextmanager
async def udp_server(says: Says, host: str = HOST) -> AsyncIterator[int]:
    """Be a UDP server; ``says`` is given each datagram and what sends one back. Yield the port."""
    loop = asyncio.get_running_loop()

    async def serve(sock: socket.socket) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                data, address = await loop.sock_recvfrom(sock, 1 << 16)
                tasks.create_task(says(data, partial(_send, sock, address)))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((host, 0))
        serving = asyncio.create_task(serve(sock))
        try:
            yield sock.getsockname()[1]
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


def _send(sock: socket.socket, address: tuple[str, int], datagram: bytes) -> None:
    # What does not fit is lost, as on any network.
    with suppress(BlockingIOError):
        sock.sendto(datagram, address)


def says(*datagrams: bytes) -> Says:
    """Return what answers each datagram with these."""

    async def answer(_data: bytes, send: Callable[[bytes], None]) -> None:
        for datagram in datagrams:
            send(datagram)

    return answer


def ssdp_answer(location: str, *headers: str) -> bytes:
    """Return an answer to a search."""
    st = "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1"
    lines = ["HTTP/1.1 200 OK", st, *headers, f"LOCATION: {location}", "", ""]
    return "\r\n".join(lines).encode("latin-1")


_FLOOD = """
import socket, sys
sock = socket.socket(fileno=0)
_, address = sock.recvfrom(1 << 16)
datagram = bytes.fromhex(sys.argv[1]) * int(sys.argv[2])
while True:
    sock.sendto(datagram, address)
"""


@contextmanager
def flood(datagram: bytes, times: int = 1, host: str = HOST) -> Iterator[int]:
    """Be a UDP server that answers the first datagram with this one, without end. Yield the port.

    It is a process of its own, so that whoever receives finds more as soon as he has read.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        command = [sys.executable, "-S", "-c", _FLOOD, datagram.hex(), str(times)]
        with subprocess.Popen(command, stdin=sock.fileno()) as child:
            try:
                yield sock.getsockname()[1]
            finally:
                child.kill()
