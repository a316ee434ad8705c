"""What every node program is: commands in and replies and events out, one JSON object a line.

A command is ``{"id": n, "do": name, ...}``. Each gets exactly one reply, ``{"id": n, ...}`` or
``{"id": n, "error": "one line"}``. Events, ``{"event": name, "t": seconds, ...}``, come at any
time; ``t`` is CLOCK_MONOTONIC, the same for all programs of one machine.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, BinaryIO

Facts = dict[str, Any]
Command = Callable[..., Awaitable[Mapping[str, Any] | None]]

LINE_LIMIT = 1 << 20


class Refusal(Exception):
    """A command that could not be done; the text is one line for a person."""


class Console:
    """The program's standard streams, as events, commands and replies."""

    def __init__(self, output: BinaryIO) -> None:
        """Write to ``output``; commands are read when :meth:`serve` is awaited."""
        self._output = output

    def tell(self, event: str, **facts: object) -> None:
        """Report an event."""
        self._write({"event": event, "t": time.monotonic(), **facts})

    async def serve(self, commands: Mapping[str, Command]) -> None:
        """Obey commands, each in a task of its own, until the harness closes the stream."""
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.TaskGroup() as tasks:
            while line := await reader.readline():
                command: Facts = json.loads(line)
                tasks.create_task(self._obey(commands, command))

    async def _obey(self, commands: Mapping[str, Command], command: Facts) -> None:
        number, name = command.pop("id"), command.pop("do")
        try:
            facts = await commands[name](**command)
        except Refusal as refusal:
            self._write({"id": number, "error": str(refusal)})
        except Exception as error:  # noqa: BLE001 - a defect of ours must be answered, not hang
            traceback.print_exc()
            self._write({"id": number, "error": f"{type(error).__name__}: {error}"})
        else:
            self._write({"id": number, **(facts or {})})

    def _write(self, message: Facts) -> None:
        self._output.write(json.dumps(message).encode() + b"\n")
        self._output.flush()


def run(main: Callable[[Console], Awaitable[None]]) -> None:
    """Run a node program on this process's standard streams."""

    async def start() -> None:
        await main(Console(sys.stdout.buffer))

    asyncio.run(start())
