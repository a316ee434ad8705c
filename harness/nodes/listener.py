"""The listening side of an invitation: TCP 3389 on every address, open while it is open."""

from __future__ import annotations

import asyncio
from types import TracebackType

from harness.nodes import session
from harness.nodes.program import Console, Refusal


class Listener:
    """Listens for whoever holds one invitation, and reports everybody who came."""

    def __init__(self, console: Console, port: int) -> None:
        """Listen on TCP ``port``, or on a port of the kernel's choice above 1024 where it is 0."""
        self._console = console
        self._wanted = port
        self._key: bytes | None = None
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            return self._wanted
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def open(self) -> None:
        """Start to listen; who comes before :meth:`admit` is turned away.

        Raises:
            Refusal: the port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._serve, "0.0.0.0", self._wanted)
        except OSError as error:
            raise Refusal(f"cannot listen on TCP {self._wanted}: {error.strerror}") from error
        self._console.tell("listening", port=self.port)

    def admit(self, key: bytes) -> None:
        """Let in whoever proves to hold this key."""
        self._key = key

    async def close(self) -> None:
        """Stop to listen, and end the sessions."""
        if self._server is not None:
            self._server.close()
        for task in list(self._sessions):
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def __aenter__(self) -> Listener:
        """Start to listen."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen."""
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)
        peer, peer_port = writer.get_extra_info("peername")
        try:
            if self._key is None:
                raise session.PeerError("no invitation is open")
            async with asyncio.timeout(session.DEADLINE):
                exchange = await session.accept(reader, writer, self._key)
        except (session.PeerError, TimeoutError) as error:
            why = str(error) or f"no proof within {session.DEADLINE:g} s"
            self._console.tell("turned away", peer=peer, port=peer_port, why=why)
        else:
            self._console.tell("accepted", peer=peer, port=peer_port, session=exchange.session)
        finally:
            writer.close()
