"""Who is behind a port of the router's WAN: a host of the rig that says its name, or nobody.

A host that listens names itself with a token that only this check knows, and returns what it is
sent. So a stranger behind the port is never taken for the host that the mapping is for, and a
connection counts only when bytes went both ways.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from harness.gear.card.check import Attempt
from harness.gear.rig import Station
from harness.words import End

_AGAIN = 0.1
_BACKLOG = 64
_LONGEST_NAME = 256
_ECHOED = 512

BY_RST: Final = struct.pack("ii", 1, 0)
"""A socket's ``SO_LINGER``: its closing is a RST, and nothing lingers on the router."""


@dataclass(frozen=True)
class Arrival:
    """What came of one dial: how it ended, and the name of the host that answered, if any.

    ``source`` is the dialler as that host saw it, empty where it is not known.
    """

    end: End
    host: str = ""
    source: str = ""

    def __str__(self) -> str:
        """Say it in a word or two."""
        match self.end:
            case End.CONNECTED:
                return f"connected to {self.host}"
            case End.TIMEOUT:
                return "silence"
            case End.WRONG_PEER:
                return "answered by a stranger"
        return self.end.value


@asynccontextmanager
async def listening(station: Station, port: int) -> AsyncIterator[Host]:
    """Have a station accept connections on a port, say its name, and return what it is sent.

    Raises:
        OSError: the station's port is taken.
    """
    with station.tcp(port) as sock:
        sock.listen(_BACKLOG)
        host = Host(station, sock)
        task = asyncio.create_task(host.serve())
        try:
            yield host
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


class Host:
    """A station that listens.

    ``port`` is where, ``token`` what nobody else can say, ``visitors`` where each connection that
    was accepted came from, as ADDRESS:PORT.
    """

    def __init__(self, station: Station, sock: socket.socket) -> None:
        """Serve a socket that listens."""
        self.station = station
        self.port: int = sock.getsockname()[1]
        self.token = secrets.token_hex(8)
        self.visitors: list[str] = []
        self._sock = sock

    async def serve(self) -> None:
        """Accept until cancelled; connections that are open then are ended."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                connection, (address, port) = await loop.sock_accept(self._sock)
                self.visitors.append(f"{address}:{port}")
                tasks.create_task(self._answer(connection, self.visitors[-1]))

    async def _answer(self, connection: socket.socket, source: str) -> None:
        loop = asyncio.get_running_loop()
        with connection, suppress(ConnectionError):  # its dialler may leave as it likes
            hello = f"{self.station.name} {self.token} {source}\n"
            await loop.sock_sendall(connection, hello.encode())
            while data := await loop.sock_recv(connection, _ECHOED):
                await loop.sock_sendall(connection, data)


@asynccontextmanager
async def connection(
    station: Station, address: IPv4Address, port: int, seconds: float
) -> AsyncIterator[socket.socket]:
    """Open a TCP connection from a station; it is reset at the end.

    Raises:
        OSError: it was refused, or there is no way there.
        TimeoutError: nothing answered within the seconds.
    """
    with station.tcp() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BY_RST)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        yield sock


async def greeting(sock: socket.socket, seconds: float) -> str:
    """Return the line that a connection to a :class:`Host` begins with; empty where none comes."""
    loop = asyncio.get_running_loop()
    data = b""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            while b"\n" not in data and len(data) < _LONGEST_NAME:
                piece = await loop.sock_recv(sock, _LONGEST_NAME)
                if not piece:
                    break
                data += piece
    return data.partition(b"\n")[0].decode("latin-1")


async def exchange(sock: socket.socket, seconds: float) -> bool:
    """Tell whether what is sent on a connection to a :class:`Host` comes back in time."""
    loop = asyncio.get_running_loop()
    sent = secrets.token_bytes(_ECHOED)
    back = b""
    try:
        async with asyncio.timeout(seconds):
            await loop.sock_sendall(sock, sent)
            while len(back) < len(sent):
                data = await loop.sock_recv(sock, _ECHOED)
                if not data:
                    break
                back += data
    except (TimeoutError, ConnectionError):
        return False
    return back == sent


async def dial(attempt: Attempt, station: Station, port: int, *hosts: Host) -> Arrival:
    """Dial the router's WAN address from a station; say which host answered.

    Each step has the rig's ``answer`` seconds. The attempt is noted.
    """
    rig = attempt.rig
    to = rig.external
    try:
        async with connection(station, to, port, rig.answer) as sock:
            arrival = await _recognise(sock, rig.answer, hosts)
    except TimeoutError:
        arrival = Arrival(End.TIMEOUT)
    except ConnectionRefusedError:
        arrival = Arrival(End.REFUSED)
    except OSError as error:
        attempt.note(f"{station.name} -> {to}:{port}: {error.strerror}")
        arrival = Arrival(End.UNREACHABLE)
    attempt.note(f"{station.name} -> {to}:{port}: {arrival}")
    return arrival


async def _recognise(sock: socket.socket, seconds: float, hosts: tuple[Host, ...]) -> Arrival:
    said = await greeting(sock, seconds)
    name, _, rest = said.partition(" ")
    token, _, source = rest.partition(" ")
    if not any(host.station.name == name and host.token == token for host in hosts):
        return Arrival(End.WRONG_PEER)
    if not await exchange(sock, seconds):
        return Arrival(End.TIMEOUT)
    return Arrival(End.CONNECTED, name, source)


async def dial_until(
    attempt: Attempt,
    station: Station,
    port: int,
    *hosts: Host,
    wanted: Callable[[Arrival], bool],
    seconds: float | None = None,
) -> Arrival:
    """Dial until what comes of it is wanted, or the time is over; return the last arrival.

    The time is ``seconds``, by default that of two answers.
    """
    last = Arrival(End.TIMEOUT)

    async def once() -> bool:
        nonlocal last
        last = await dial(attempt, station, port, *hosts)
        return wanted(last)

    tries = AsyncRetrying(
        retry=retry_if_result(lambda done: not done),
        stop=stop_after_delay(2 * attempt.rig.answer if seconds is None else seconds),
        wait=wait_fixed(_AGAIN),
    )
    with suppress(RetryError):
        await tries(once)
    return last


async def opened(attempt: Attempt, port: int, *hosts: Host) -> Arrival:
    """Dial a new mapping's port from ``far`` until a host answers, for two answers' time."""
    return await dial_until(attempt, attempt.rig.far, port, *hosts, wanted=is_connected)


async def closed(attempt: Attempt, port: int, *hosts: Host) -> Arrival:
    """Dial a port from ``far`` until no host answers any more, for two answers' time."""
    return await dial_until(attempt, attempt.rig.far, port, *hosts, wanted=is_not_connected)


def is_connected(arrival: Arrival) -> bool:
    """Tell whether a host was reached."""
    return arrival.end is End.CONNECTED


def is_not_connected(arrival: Arrival) -> bool:
    """Tell whether no host was reached."""
    return arrival.end is not End.CONNECTED


async def host_on(attempt: Attempt, station: Station, port: int = 0) -> Host:
    """Have a station listen on a port, 0 for a free one, until the check is over.

    Raises:
        OSError: the station's port is taken.
    """
    return await attempt.cleanup.enter_async_context(listening(station, port))


async def seen_from_wan(attempt: Attempt, station: Station) -> IPv4Address | None:
    """Return the address that a LAN station's connection has on the internet; None for no way.

    It is seen by the rig's ``far`` host, to which the station connects.
    """
    rig = attempt.rig
    async with listening(rig.far, 0) as host:
        try:
            async with connection(station, rig.far.address, host.port, rig.answer) as sock:
                said = await greeting(sock, rig.answer)
        except (OSError, TimeoutError) as error:
            attempt.note(f"{station.name} -> {rig.far.address}:{host.port}: {error!r}")
            return None
    attempt.note(f"{station.name} -> {rig.far.address}:{host.port}: {said}")
    fields = said.split()
    if len(fields) != 3 or fields[1] != host.token:
        return None
    return IPv4Address(fields[2].partition(":")[0])
