"""Peers on the loopback interface, good and bad, for tests that make real connections."""

from __future__ import annotations

import asyncio
import io
import json
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from harness.nodes.program import Console

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds that anything here may take before the test fails; all of it takes milliseconds."""

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


class Ear(io.BytesIO):
    """Hears what a console says."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self._news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def write(self, line: ReadableBuffer) -> int:
        event = json.loads(bytes(line))
        self.events.append(event)
        self._news.put_nowait(event)
        return len(bytes(line))

    def console(self) -> Console:
        return Console(self)

    async def hear(self, name: str, **facts: object) -> dict[str, Any]:
        """Wait for an event with these facts that was not waited for before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self._news.get()
                if event["event"] == name and facts.items() <= event.items():
                    return event


@asynccontextmanager
async def served(peer: Peer, host: str = HOST) -> AsyncIterator[int]:
    """Serve every caller with ``peer`` and yield the port; a peer that breaks off is no error."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await peer(reader, writer)
        writer.close()

    def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(called, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@contextmanager
def reserved_port(host: str = HOST) -> Iterator[int]:
    """Yield a port at which nobody listens.

    It stays ours, so that nobody is given it by the kernel; a server that sets SO_REUSEADDR, as
    asyncio's does, can listen on it.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, 0))
        yield sock.getsockname()[1]


@contextmanager
def hanging_port(host: str = HOST) -> Iterator[int]:
    """Yield a port whose SYNs are neither answered nor refused: its backlog is full."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        sock.listen(0)
        with socket.create_connection(sock.getsockname(), PATIENCE):
            # Readable once the one connection that fits is in the queue.
            assert select.select([sock], [], [], PATIENCE)[0]
            yield sock.getsockname()[1]


# --- peers that are not the invitation's


async def closes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""
    writer.close()


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST."""
    sock: socket.socket = writer.get_extra_info("socket")
    no_linger = b"\x01\0\0\0" + b"\0\0\0\0"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    writer.transport.abort()


async def is_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    while await reader.read(1 << 16):
        pass


async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


def says(data: bytes) -> Peer:
    """Return a peer that says this at once, then takes everything and says nothing."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await is_silent(reader, writer)

    return peer
