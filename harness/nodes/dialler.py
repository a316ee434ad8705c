"""The dialling side: every address of a ticket at once, the first that proves itself wins.

[MS-RA] 3.1.5: the expert attempts all pairs of address and port, and uses the first connection
that succeeds. Source ports are ephemeral: two NATs that keep ports would let a simultaneous open
from 3389 to 3389 through, and a documented "No" would look like a "Yes".
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Iterable

from harness.nodes import session
from harness.nodes.program import Console
from harness.protocol.incident import Candidate
from harness.protocol.replies import Dialled
from harness.words import End

_ENDS = {
    errno.ECONNREFUSED: End.REFUSED,
    errno.ETIMEDOUT: End.TIMEOUT,
}


class Abandoned(Exception):
    """The harness has the kernel's word that this attempt's SYN will not arrive."""


class Dialler:
    """Dials the addresses of one ticket with one key."""

    def __init__(self, console: Console, key: bytes, patience: float) -> None:
        """Give each attempt ``patience`` seconds to connect."""
        self._console = console
        self._key = key
        self._patience = patience
        self._pending: dict[int, asyncio.Event] = {}

    async def dial(self, candidates: Iterable[Candidate]) -> list[Dialled]:
        """Dial every candidate and return each attempt's end, in the ticket's order."""
        async with asyncio.TaskGroup() as tasks:
            attempts = [tasks.create_task(self._attempt(each)) for each in candidates]
        return [attempt.result() for attempt in attempts]

    def abandon(self, local_port: int) -> None:
        """Stop to wait for the attempt that dials from this port; none is no error."""
        if event := self._pending.get(local_port):
            event.set()

    async def _attempt(self, candidate: Candidate) -> Dialled:
        started = time.monotonic()
        if candidate.ip is None:
            return Dialled(
                candidate.address,
                candidate.port,
                0,
                started,
                0.0,
                End.UNREACHABLE,
                "no name service knows this computer name",
            )
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            sock.bind(("0.0.0.0", 0))
            local_port: int = sock.getsockname()[1]
            self._console.tell(
                "dialling", address=candidate.address, port=candidate.port, local_port=local_port
            )
            end, detail, name = await self._try(sock, candidate, local_port)
        ended = time.monotonic()
        return Dialled(
            candidate.address,
            candidate.port,
            local_port,
            started,
            ended - started,
            end,
            detail,
            session=name,
            proven=ended if name is not None else None,
        )

    async def _try(
        self, sock: socket.socket, candidate: Candidate, local_port: int
    ) -> tuple[End, str, str | None]:
        try:
            await self._connect(sock, candidate, local_port)
        except TimeoutError:
            return End.TIMEOUT, f"no answer within {self._patience:g} s", None
        except Abandoned:
            return End.TIMEOUT, "given up: the SYN was seen to end on its way", None
        except OSError as error:
            end = _ENDS.get(error.errno or 0, End.UNREACHABLE)
            return end, (error.strerror or str(error)).lower(), None
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            async with asyncio.timeout(session.DEADLINE):
                exchange = await session.prove(reader, writer, self._key)
        except session.PeerError as error:
            return End.WRONG_PEER, str(error), None
        except TimeoutError:
            return End.WRONG_PEER, f"no proof within {session.DEADLINE:g} s", None
        else:
            return End.CONNECTED, "both sides hold the invitation", exchange.session
        finally:
            writer.close()

    async def _connect(self, sock: socket.socket, candidate: Candidate, local_port: int) -> None:
        gone = self._pending[local_port] = asyncio.Event()
        loop = asyncio.get_running_loop()
        connecting = asyncio.create_task(
            loop.sock_connect(sock, (candidate.address, candidate.port))
        )
        abandoned = asyncio.create_task(gone.wait())
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.wait((connecting, abandoned), return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise Abandoned
            await connecting
        finally:
            del self._pending[local_port]
            connecting.cancel()
            abandoned.cancel()
