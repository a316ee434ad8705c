"""Connections between the rig's hosts, from ports of the check's own choice.

Sockets that are opened here end with the check, by RST: nothing lingers on the router.
"""

from __future__ import annotations

import asyncio
import ctypes
import secrets
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.gear.card.check import Attempt, NotTested
from harness.gear.card.reach import BY_RST, Host, greeting
from harness.gear.rig import Station
from harness.lab.syns import Endpoint
from harness.words import End

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_RETURN = 0x06  # linux/filter.h
_BACKLOG = 16
_TOKEN = 32

Dial = asyncio.Task[None]
"""A connection that is being opened."""


@dataclass(frozen=True)
class Call:
    """A connection from the LAN to a host that listens; ``seen`` is its source as that saw it."""

    sock: socket.socket
    seen: Endpoint


@dataclass(frozen=True)
class Pair:
    """Both ends of a connection from the rig's ``lan`` to its ``far``.

    ``inside`` is the LAN host's endpoint, ``outside`` the same as ``far`` sees it, ``remote`` the
    endpoint of ``far``.
    """

    lan: socket.socket
    far: socket.socket
    inside: Endpoint
    outside: Endpoint
    remote: Endpoint


def end_of(sock: socket.socket) -> Endpoint:
    """Return a bound socket's own endpoint."""
    address, port = sock.getsockname()
    return Endpoint(IPv4Address(address), port)


def bound(attempt: Attempt, station: Station, port: int = 0) -> socket.socket:
    """Bind a TCP socket on a station for the length of the check; 0 is a free port.

    Raises:
        OSError: the port is taken.
    """
    sock = attempt.cleanup.enter_context(station.tcp(port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BY_RST)
    return sock


def shared(attempt: Attempt, station: Station, port: int = 0) -> socket.socket:
    """Bind as :func:`bound` does a port that several sockets of this kind may have.

    Raises:
        OSError: the port is taken by another kind.
    """
    with station.namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    attempt.cleanup.enter_context(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BY_RST)
    sock.bind((str(station.address), port))
    return sock


def silent(attempt: Attempt, station: Station) -> Endpoint:
    """Have a port of a station swallow every SYN until the check is over; return it.

    A port where nobody listens is answered by RST, and a firewall is not the rig's to set. So a
    socket listens whose filter lets nothing in. :func:`shared` gets a socket on the same port.
    """
    sock = shared(attempt, station)
    program = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN, 0, 0, 0), 8)
    pointer = struct.pack("HP", 1, ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
    sock.listen(_BACKLOG)
    return end_of(sock)


def dial(attempt: Attempt, sock: socket.socket, to: Endpoint) -> Dial:
    """Begin to connect a socket of the check's; what becomes of it, :func:`ended` tells."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(loop.sock_connect(sock, (str(to.address), to.port)))

    async def give_up() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    attempt.cleanup.push_async_callback(give_up)
    return task


async def ended(dialled: Dial, seconds: float) -> End:
    """Wait for a connection's end for some seconds; ``TIMEOUT`` where it is still being opened."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(dialled)
    except TimeoutError:
        return End.TIMEOUT
    except ConnectionRefusedError:
        return End.REFUSED
    except OSError:
        return End.UNREACHABLE
    return End.CONNECTED


async def call(attempt: Attempt, station: Station, host: Host, port: int = 0) -> Call | None:
    """Connect a LAN station to a host that listens; None where it does not answer in time."""
    seconds = attempt.rig.answer
    sock = bound(attempt, station, port)
    own = end_of(sock)
    to = Endpoint(host.station.address, host.port)
    end = await ended(dial(attempt, sock, to), seconds)
    said = (await greeting(sock, seconds)).split() if end is End.CONNECTED else []
    if len(said) != 3 or said[1] != host.token:
        attempt.note(f"{station.name} {own} -> {host.station.name} {to}: {end}, no greeting")
        return None
    address, _, source_port = said[2].partition(":")
    seen = Endpoint(IPv4Address(address), int(source_port))
    attempt.note(f"{station.name} {own} -> {host.station.name} {to}: seen as {seen}")
    return Call(sock, seen)


async def reaches(attempt: Attempt, host: Host, port: int = 0) -> Call:
    """Connect the rig's ``lan`` to a host of the internet, as the check needs it.

    Raises:
        NotTested: it does not get there.
    """
    made = await call(attempt, attempt.rig.lan, host, port)
    if made is None:
        raise NotTested(f"the LAN host does not reach {host.station.address} of the internet side")
    return made


async def pair(attempt: Attempt) -> Pair:
    """Connect the rig's ``lan`` to its ``far``; return both ends.

    Raises:
        NotTested: it does not get there.
    """
    rig = attempt.rig
    listener = bound(attempt, rig.far)
    listener.listen(_BACKLOG)
    lan = bound(attempt, rig.lan)
    remote = end_of(listener)
    dialled = dial(attempt, lan, remote)
    if await ended(dialled, rig.answer) is not End.CONNECTED:
        raise NotTested(f"the LAN host does not reach {remote} of the internet side")
    try:
        async with asyncio.timeout(rig.answer):
            far, (address, port) = await asyncio.get_running_loop().sock_accept(listener)
    except TimeoutError as error:
        raise NotTested(f"the LAN host is connected, but not to {remote}") from error
    attempt.cleanup.enter_context(far)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BY_RST)
    made = Pair(lan, far, end_of(lan), Endpoint(IPv4Address(address), port), remote)
    attempt.note(f"{made.inside} -> {remote}: seen as {made.outside}")
    return made


async def living(attempt: Attempt) -> Pair:
    """Connect as :func:`pair` does, and see that the connection carries bytes both ways.

    Raises:
        NotTested: it does not.
    """
    made = await pair(attempt)
    if not await lives(made, attempt.rig.answer):
        raise NotTested("a new connection carries nothing")
    return made


async def carries(sender: socket.socket, receiver: socket.socket, seconds: float) -> bool:
    """Tell whether what one end of a connection sends comes out at the other in time."""
    loop = asyncio.get_running_loop()
    token = secrets.token_bytes(_TOKEN)
    came = b""
    try:
        async with asyncio.timeout(seconds):
            await loop.sock_sendall(sender, token)
            while len(came) < len(token):
                data = await loop.sock_recv(receiver, len(token) - len(came))
                if not data:
                    return False
                came += data
    except OSError:  # it was ended, or TimeoutError: it is silent
        return False
    return came == token


async def lives(made: Pair, seconds: float) -> bool:
    """Tell whether a connection carries bytes inward and then outward."""
    return await carries(made.far, made.lan, seconds) and await carries(made.lan, made.far, seconds)
