"""The way out of a host: straight, or through its site's proxy."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.protocol import proxying
from harness.protocol.proxying import ProxyRefusal


@dataclass(frozen=True)
class ProxyServer:
    """A proxy: what it speaks (``http`` or ``socks5``), and where."""

    protocol: str
    address: IPv4Address
    port: int


async def open_streams(
    via: ProxyServer | None, server: str, port: int, limit: int = 2**16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a server on TCP, through the proxy where there is one.

    Raises:
        OSError: nobody answers, or whoever does refuses.
        ProxyRefusal: the proxy does not connect.
    """
    if via is None:
        return await asyncio.open_connection(server, port, limit=limit)
    reader, writer = await asyncio.open_connection(str(via.address), via.port, limit=limit)
    try:
        await tunnel(reader, writer, via, IPv4Address(server), port)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    via: ProxyServer,
    address: IPv4Address,
    port: int,
) -> None:
    """Ask a proxy that one is connected to for a connection to somebody else.

    Raises:
        ProxyRefusal: it does not connect, or does not speak its protocol.
    """
    try:
        if via.protocol == "http":
            writer.write(proxying.http_connect(address, port))
            head = await reader.readuntil(b"\r\n\r\n")
            proxying.check_http_answer(head)
        else:
            writer.write(proxying.GREETING)
            answer = await reader.readexactly(proxying.GREETING_ANSWER_BYTES)
            proxying.check_socks_greeting(answer)
            writer.write(proxying.socks_connect(address, port))
            proxying.check_socks_reply(await reader.readexactly(proxying.REPLY_BYTES))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise ProxyRefusal("it closed the connection without an answer") from error
    except asyncio.LimitOverrunError as error:
        raise ProxyRefusal("its answer is too long") from error


def blocking_socket(
    via: ProxyServer | None, server: str, port: int, timeout: float
) -> socket.socket:
    """Connect as :func:`open_streams` does, for a library that wants a blocking socket.

    Raises:
        OSError: nobody answers, or the proxy does not connect.
    """
    if via is None:
        return socket.create_connection((server, port), timeout)
    sock = socket.create_connection((str(via.address), via.port), timeout)
    try:
        _ask(sock, via, IPv4Address(server), port)
    except ProxyRefusal as refusal:
        sock.close()
        raise OSError(f"the proxy did not connect: {refusal}") from refusal
    except BaseException:
        sock.close()
        raise
    return sock


def _ask(sock: socket.socket, via: ProxyServer, address: IPv4Address, port: int) -> None:
    if via.protocol == "http":
        sock.sendall(proxying.http_connect(address, port))
        head = b""
        # A byte at a time: what follows the head belongs to the tunnel.
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(sock, 1)
            if len(head) > proxying.MAX_HEAD:
                raise ProxyRefusal("its answer is too long")
        proxying.check_http_answer(head)
    else:
        sock.sendall(proxying.GREETING)
        proxying.check_socks_greeting(_exactly(sock, proxying.GREETING_ANSWER_BYTES))
        sock.sendall(proxying.socks_connect(address, port))
        proxying.check_socks_reply(_exactly(sock, proxying.REPLY_BYTES))


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ProxyRefusal("it closed the connection without an answer")
        data += chunk
    return data
