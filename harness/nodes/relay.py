"""The Messenger relay: a switchboard on TCP 1863 that carries tickets between those signed in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from harness.nodes import program
from harness.nodes.chat import LINE_LIMIT, PORT
from harness.nodes.program import Console


class Switchboard:
    """Who is signed in, and what waits for those who are not yet."""

    def __init__(self, console: Console) -> None:
        """Report every ticket to ``console``."""
        self._console = console
        self._lines: dict[str, asyncio.StreamWriter] = {}
        self._waiting: dict[str, list[dict[str, Any]]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one caller until it hangs up or says something that is not a message."""
        name = None
        try:
            name = str(json.loads(await reader.readline())["name"])
            self._lines[name] = writer
            await _write(writer, {"welcome": name})
            for message in self._waiting.pop(name, []):
                await _write(writer, message)
            while line := await reader.readline():
                message = json.loads(line)
                await self._carry(name, str(message["to"]), str(message["ticket"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self._console.tell("hung up", name=name, why=str(error) or type(error).__name__)
        finally:
            if name is not None and self._lines.get(name) is writer:
                del self._lines[name]
            writer.close()

    async def _carry(self, sender: str, recipient: str, ticket: str) -> None:
        message = {"from": sender, "ticket": ticket}
        self._console.tell("ticket", sender=sender, recipient=recipient, size=len(ticket))
        line = self._lines.get(recipient)
        if line is not None:
            try:
                await _write(line, message)
            except OSError as error:
                # The recipient has gone: that is not the sender's fault.
                self._console.tell("not delivered", recipient=recipient, why=str(error))
            else:
                return
        self._waiting.setdefault(recipient, []).append(message)


async def _write(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


async def main(console: Console) -> None:
    """Listen, say so, and serve until the harness closes the stream."""
    board = Switchboard(console)
    server = await asyncio.start_server(board.serve, "0.0.0.0", PORT, limit=LINE_LIMIT)
    console.tell("ready")
    await console.serve({})
    # Not "async with": from Python 3.12 on that waits until every caller has hung up.
    server.close()


def start() -> None:
    """Run the program on this process's standard streams."""
    program.run(main)


if __name__ == "__main__":
    start()
