"""The dialling side: every address of a ticket at once, the first that proves itself wins.

[MS-RA] 3.1.5: the expert attempts all pairs of address and port, and uses the first connection
that succeeds. Source ports are ephemeral: two NATs that keep ports would let a simultaneous open
from 3389 to 3389 through, and a documented "No" would look like a "Yes".
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.nodes import session
from harness.nodes.program import Console
from harness.nodes.way import ProxyServer, tunnel
from harness.protocol.incident import Candidate
from harness.protocol.proxying import ProxyRefusal
from harness.protocol.replies import Dialled
from harness.words import End

_ENDS = {
    errno.ECONNREFUSED: End.REFUSED,
    errno.ETIMEDOUT: End.TIMEOUT,
}


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class _Tried:
    end: End
    detail: str
    session: str | None = None


class Abandoned(Exception):
    """The harness has the kernel's word that this attempt's SYN will not arrive."""


class Dialler:
    """Dials the addresses of one ticket with one key."""

    def __init__(
        self, console: Console, key: bytes, patience: float, via: ProxyServer | None
    ) -> None:
        """Give each attempt ``patience`` seconds to connect, through a proxy if there is one."""
        self._via = via
        self._console = console
        self._key = key
        self._patience = patience
        self._pending: dict[tuple[str, int], asyncio.Event] = {}

    async def dial(self, candidates: Iterable[Candidate]) -> list[Dialled]:
        """Dial every candidate and return each attempt's end, in the ticket's order."""
        async with asyncio.TaskGroup() as tasks:
            attempts = [tasks.create_task(self._attempt(each)) for each in candidates]
        return [attempt.result() for attempt in attempts]

    def abandon(self, address: str, port: int) -> None:
        """Stop to wait for the attempt at this address; none is no error."""
        if event := self._pending.get((address, port)):
            event.set()

    async def _attempt(self, candidate: Candidate) -> Dialled:
        started = time.monotonic()
        tried = _Tried(End.UNREACHABLE, "no name service knows this computer name")
        local_port = 0
        if candidate.ip is not None:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.bind(("0.0.0.0", 0))
            local_port = sock.getsockname()[1]
            self._console.tell(
                "dialling",
                address=candidate.address,
                port=candidate.port,
                local_port=local_port,
                via_proxy=self._via is not None,
            )
            tried = await self._try(sock, candidate.ip, candidate.port)
        ended = time.monotonic()
        return Dialled(
            candidate.address,
            candidate.port,
            local_port,
            started,
            ended - started,
            tried.end,
            tried.detail,
            via_proxy=self._via is not None,
            session=tried.session,
            proven=ended if tried.session is not None else None,
        )

    async def _try(self, sock: socket.socket, address: IPv4Address, port: int) -> _Tried:
        try:
            streams = await self._until_abandoned(sock, address, port)
        except (TimeoutError, Abandoned, ProxyRefusal, OSError) as error:
            return self._not_connected(error)
        return await self._prove(*streams)

    def _not_connected(self, error: Exception) -> _Tried:
        if isinstance(error, Abandoned):
            return _Tried(End.TIMEOUT, "given up: the SYN was seen to end on its way")
        if isinstance(error, ProxyRefusal):
            return _Tried(End.REFUSED, f"the proxy did not connect: {error}")
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, TimeoutError) and number is None:
            return _Tried(End.TIMEOUT, f"no answer within {self._patience:g} s")
        return _Tried(_ENDS.get(number or 0, End.UNREACHABLE), os.strerror(number or 0).lower())

    async def _prove(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Tried:
        try:
            async with asyncio.timeout(session.DEADLINE):
                exchange = await session.prove(reader, writer, self._key)
        except session.PeerError as error:
            return _Tried(End.WRONG_PEER, str(error))
        except TimeoutError:
            return _Tried(End.WRONG_PEER, f"no proof within {session.DEADLINE:g} s")
        else:
            return _Tried(End.CONNECTED, "both sides hold the invitation", exchange.session)
        finally:
            writer.close()

    async def _until_abandoned(
        self, sock: socket.socket, address: IPv4Address, port: int
    ) -> _Streams:
        """Connect within the patience, or raise Abandoned when the harness says so."""
        gone = self._pending[(str(address), port)] = asyncio.Event()
        connecting = asyncio.create_task(self._connect(sock, address, port))
        abandoned = asyncio.create_task(gone.wait())
        try:
            await asyncio.wait(
                (connecting, abandoned),
                timeout=self._patience,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if connecting.done():
                return connecting.result()
            raise Abandoned if abandoned.done() else TimeoutError
        finally:
            del self._pending[(str(address), port)]
            abandoned.cancel()
            # It closes what it has opened when it is cancelled; nothing happens if it is done.
            connecting.cancel()

    async def _connect(self, sock: socket.socket, address: IPv4Address, port: int) -> _Streams:
        """Connect, through the proxy if there is one; on any failure the socket is closed."""
        target = (str(address), port)
        if self._via is not None:
            target = (str(self._via.address), self._via.port)
        try:
            await asyncio.get_running_loop().sock_connect(sock, target)
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        if self._via is not None:
            try:
                await tunnel(reader, writer, self._via, address, port)
            except BaseException:
                writer.close()
                raise
        return reader, writer
