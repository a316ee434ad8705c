"""One person's line to the Messenger relay: sign in, send a ticket, receive the other's.

The relay stands for the Messenger service: both dial out to it on TCP 1863, and it carries
tickets, never the session. Each message is one JSON object a line: a client's first is
``{"name": ...}``, answered by ``{"welcome": name}``; then ``{"to": name, "ticket": base64}`` goes
in and ``{"from": name, "ticket": base64}`` comes out.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from harness.nodes.program import Refusal
from harness.nodes.way import ProxyServer, open_streams
from harness.protocol.incident import MAX_BYTES
from harness.protocol.proxying import ProxyRefusal

PORT = 1863
LINE_LIMIT = 2 * MAX_BYTES
DEADLINE = 5.0
"""Seconds to wait for the relay, or for the other side's ticket through it."""


class Line:
    """A signed-in connection to the relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use :meth:`sign_in` instead."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def sign_in(cls, via: ProxyServer | None, server: str, name: str) -> Line:
        """Dial out to the relay and say who is calling.

        Raises:
            Refusal: it cannot be reached.
        """
        line = None
        try:
            async with asyncio.timeout(DEADLINE):
                line = cls(*await open_streams(via, server, PORT, LINE_LIMIT))
                await line._write({"name": name})
                await line._read("welcome")
        except (OSError, TimeoutError, ProxyRefusal, Refusal) as error:
            if line is not None:
                line.close()
            why = str(error) or f"no answer within {DEADLINE:g} s"
            raise Refusal(f"the relay {server}:{PORT} cannot be reached: {why}") from error
        return line

    async def send(self, recipient: str, ticket: bytes) -> None:
        """Send a ticket to somebody.

        Raises:
            Refusal: the relay has hung up.
        """
        try:
            await self._write({"to": recipient, "ticket": base64.b64encode(ticket).decode()})
        except OSError as error:
            raise Refusal(f"the relay broke off: {error.strerror or error}") from error

    async def receive(self) -> bytes:
        """Wait for a ticket.

        Raises:
            Refusal: none came within :data:`DEADLINE`, or it is not one.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                message = await self._read("ticket")
        except TimeoutError as error:
            raise Refusal(f"no ticket came through the relay within {DEADLINE:g} s") from error
        try:
            return base64.b64decode(message["ticket"], validate=True)
        except (ValueError, TypeError) as error:
            raise Refusal("the relay delivered something that is not a ticket") from error

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _write(self, message: dict[str, str]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def _read(self, key: str) -> dict[str, Any]:
        try:
            message = json.loads(await self._reader.readline())
        except (OSError, ValueError, RecursionError) as error:
            raise Refusal(f"the relay broke off: {error}") from error
        if not isinstance(message, dict) or key not in message:
            raise Refusal(f"the relay answered something without {key!r}")
        return message
