"""A host that answers on a TCP port as Remote Desktop does, and holds no invitation.

It stands where an address of the ticket happens to exist: it confirms the X.224 connection, takes
whatever comes, and answers every message with bytes of the expected size.
"""

from __future__ import annotations

import asyncio
import secrets

from harness.nodes import program
from harness.nodes.program import Command, Console, Facts
from harness.protocol import tpkt
from harness.protocol.proof import MAC_BYTES, NONCE_BYTES


class Stranger:
    """A listener that never proves anything."""

    def __init__(self, console: Console) -> None:
        """Report every caller to ``console``."""
        self._console = console
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        """Answer on TCP ``port`` from now on."""
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, _ = writer.get_extra_info("peername")
        self._console.tell("caller", peer=peer)
        try:
            await self._read(reader)
            writer.write(tpkt.connection_confirm())
            while True:
                await self._read(reader)
                writer.write(tpkt.data(secrets.token_bytes(NONCE_BYTES + MAC_BYTES)))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, tpkt.TpktError):
            # The caller has seen that this is not its peer.
            self._console.tell("caller left", peer=peer)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        length = tpkt.body_length(await reader.readexactly(tpkt.HEADER_BYTES))
        await reader.readexactly(length)


async def main(console: Console) -> None:
    """Obey ``listen`` until the harness closes the stream."""
    stranger = Stranger(console)

    async def listen(port: int) -> Facts | None:
        await stranger.listen(port)
        return None

    commands: dict[str, Command] = {"listen": listen}
    await console.serve(commands)


def start() -> None:
    """Run the program on this process's standard streams."""
    program.run(main)


if __name__ == "__main__":
    start()
