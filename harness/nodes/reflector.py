"""The reflector on the lab's internet: tells a caller by STUN which address it is seen by."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

from harness.nodes import program
from harness.nodes.program import Console
from harness.nodes.way import ProxyServer, open_streams
from harness.protocol import stun
from harness.protocol.proxying import ProxyRefusal

_DEADLINE = 2.0


async def ask(via: ProxyServer | None, server: str) -> IPv4Address | None:
    """Return the address that the reflector sees this host by; None where it does not answer."""
    request = stun.request()
    try:
        async with asyncio.timeout(_DEADLINE):
            reader, writer = await open_streams(via, server, stun.PORT)
            try:
                writer.write(request)
                header = await reader.readexactly(stun.HEADER_BYTES)
                body = await reader.readexactly(stun.body_length(header))
            finally:
                writer.close()
        address, _ = stun.read_response(header + body, request)
    except (OSError, TimeoutError, ProxyRefusal, asyncio.IncompleteReadError, stun.StunError):
        return None
    return address


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    address, port = writer.get_extra_info("peername")
    try:
        request = await reader.readexactly(stun.HEADER_BYTES)
        writer.write(stun.response(request, IPv4Address(address), port))
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, stun.StunError):
        # Whoever does not ask is not answered; the connection is closed.
        return
    finally:
        writer.close()


async def main(console: Console) -> None:
    """Listen, say so, and serve until the harness closes the stream."""
    server = await asyncio.start_server(_serve, "0.0.0.0", stun.PORT)
    console.tell("ready")
    await console.serve({})
    # Not "async with": from Python 3.12 on that waits until every caller has hung up.
    server.close()


def start() -> None:
    """Run the program on this process's standard streams."""
    program.run(main)


if __name__ == "__main__":
    start()
