"""A node program as the lab sees it: ask, and be told."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import ScenarioError

Facts = dict[str, Any]
Told = Callable[[str, Facts], None]

LINE_LIMIT = 1 << 20


class NodeProgram:
    """One program running in a node, spoken to in JSON lines (see :mod:`harness.nodes.program`)."""

    def __init__(self, node: str, streams: socket.socket, log: Path, told: Told) -> None:
        """Take over a started program; ``told`` is called with the node and each event."""
        self.node = node
        self._streams = streams
        self._log = log
        self._told = told
        self._writer: asyncio.StreamWriter | None = None
        self._asked = 0
        self._replies: dict[int, asyncio.Future[Facts]] = {}
        self._events: list[Facts] = []
        self._news = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None
        self._ended: ScenarioError | None = None

    async def connect(self) -> None:
        """Begin to listen to the program."""
        reader, self._writer = await asyncio.open_connection(sock=self._streams, limit=LINE_LIMIT)
        self._reading = asyncio.create_task(self._read(reader))

    async def ask(self, do: str, deadline: float, **facts: object) -> Facts:
        """Give a command and wait for its reply.

        Raises:
            ScenarioError: the program refused, ended, or did not reply within ``deadline`` seconds.
        """
        if self._ended is not None:
            raise self._ended
        reply: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        self._replies[self.post(do, **facts)] = reply
        try:
            async with asyncio.timeout(deadline):
                answer = await reply
        except TimeoutError as error:
            raise ScenarioError(f"{self.node} did not {do} within {deadline:g} s") from error
        if "error" in answer:
            raise ScenarioError(f"{self.node} could not {do}: {answer['error']}")
        return answer

    def post(self, do: str, **facts: object) -> int:
        """Give a command whose reply nobody waits for; return its number."""
        self._asked += 1
        self._told(
            self.node, {"asked": do, "id": self._asked, "t": time.monotonic(), "facts": facts}
        )
        self.write({"id": self._asked, "do": do, **facts})
        return self._asked

    async def expect(self, event: str, deadline: float, **facts: object) -> Facts | None:
        """Wait for an event with these facts, past or to come; None at the deadline."""

        def found() -> Facts | None:
            for each in self._events:
                if each["event"] == event and facts.items() <= each.items():
                    return each
            return None

        try:
            async with asyncio.timeout(deadline), self._news:
                await self._news.wait_for(lambda: found() is not None or self._ended is not None)
        except TimeoutError:
            return None
        return found()

    @property
    def events(self) -> list[Facts]:
        """What it has told so far without being asked, each with its node."""
        return [{**event, "node": self.node} for event in self._events]

    def write(self, message: Facts) -> None:
        """Send one line to the program."""
        if self._writer is None:
            raise RuntimeError(f"{self.node}: connect() comes before write()")
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        why = "no word"
        try:
            while line := await reader.readline():
                await self._hear(json.loads(line))
        except OSError as error:
            # Its end of the socket was closed with something of ours unread.
            why = error.strerror or why
        except (ValueError, KeyError, TypeError) as error:
            why = f"it said what is no message: {error}"
        await self._has_ended(why)

    async def _hear(self, message: Facts) -> None:
        if "id" in message:
            number = message.pop("id")
            told = {"answered": number, "t": time.monotonic(), "facts": dict(message)}
            self._told(self.node, told)
            reply = self._replies.pop(number, None)
            if reply is not None and not reply.done():
                reply.set_result(message)
            return
        self._told(self.node, message)
        self._events.append(message)
        async with self._news:
            self._news.notify_all()

    async def _has_ended(self, why: str) -> None:
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = said[-1] if said else why
        self._ended = ScenarioError(f"{self.node}'s program ended: {last}")
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(self._ended)
        async with self._news:
            self._news.notify_all()
