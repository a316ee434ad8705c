"""One HTTP exchange with a router that is not trusted, bounded in time, memory and reach.

A connection is made to the one address that is allowed and to no other. No redirect is followed,
no name is looked up. Whatever the router does, the exchange ends within its limits.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.nodes.igd.sockets import Sockets
from harness.protocol.igd.errors import IgdError, quoted
from harness.protocol.igd.reply import Headers, HttpLimits, HttpReply, ReplyReader, compose
from harness.protocol.igd.url import Target, check

_PIECE = 1 << 16


@dataclass(frozen=True)
class Exchange:
    """What was said to a URL and what came back, whole or not; the times are CLOCK_MONOTONIC.

    ``problem`` says in one line why the reply is none; None where it is one.
    """

    url: str
    request: bytes
    reply: bytes
    started: float
    ended: float
    problem: str | None


OnExchange = Callable[[Exchange], None]


async def fetch(
    sockets: Sockets,
    url: str,
    limits: HttpLimits,
    allowed: IPv4Address,
    method: str = "GET",
    headers: Headers = (),
    body: bytes = b"",
    on_exchange: OnExchange | None = None,
) -> HttpReply:
    """Ask a URL, which has to be on ``allowed``; return the reply, whatever its status.

    ``on_exchange`` is given every exchange that was begun, also one that failed.

    Raises:
        IgdError: the URL leads elsewhere, or no whole reply came within the limits.
    """
    target = check(url, allowed, "URL")
    request = compose(method, target, headers, body)
    reader = ReplyReader(limits)
    started = time.monotonic()
    problem: str | None = "the exchange was broken off"
    try:
        reply = await _bounded(sockets, target, request, reader, limits)
        problem = None
    except IgdError as error:
        problem = str(error)
        raise IgdError(f"{method} {quoted(url)}: {error}") from error
    else:
        return reply
    finally:
        if on_exchange is not None:
            ended = time.monotonic()
            on_exchange(Exchange(url, request, reader.raw, started, ended, problem))


async def _bounded(
    sockets: Sockets, target: Target, request: bytes, reader: ReplyReader, limits: HttpLimits
) -> HttpReply:
    """Make the exchange within its time; say by one line where it ended if it did not succeed."""
    stage = "connecting"
    loop = asyncio.get_running_loop()
    try:
        with sockets.tcp() as sock:
            async with asyncio.timeout(limits.seconds):
                await loop.sock_connect(sock, (str(target.address), target.port))
                stage = "connected"
                sending = asyncio.create_task(loop.sock_sendall(sock, request))
                try:
                    while reader.reply is None:
                        data = await loop.sock_recv(sock, _PIECE)
                        if data:
                            reader.feed(data)
                            # While bytes wait, receiving never does: the time would not be heard.
                            await asyncio.sleep(0)
                        else:
                            reader.close()
                finally:
                    # A router may answer before it has read all; if it reset the connection, then
                    # receiving says so as well.
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
    except TimeoutError as error:
        raise IgdError(_too_slow(stage, reader, limits)) from error
    except OSError as error:
        raise IgdError(_broken(stage, reader, error)) from error
    return reader.reply


def _too_slow(stage: str, reader: ReplyReader, limits: HttpLimits) -> str:
    if stage == "connecting":
        return f"no connection within {limits.seconds:g} s"
    if not reader.received:
        return f"no reply within {limits.seconds:g} s"
    return f"the reply is not complete after {limits.seconds:g} s and {reader.received} bytes"


def _broken(stage: str, reader: ReplyReader, error: OSError) -> str:
    # Not the error's own text: asyncio puts its words there.
    why = type(error).__name__ if error.errno is None else os.strerror(error.errno)
    if stage == "connecting":
        return f"no connection: {why}"
    return f"the connection broke after {reader.received} bytes of the reply: {why}"
