"""The client of NAT-PMP and PCP servers: one question, repeated until it is answered.

The two protocols share a port and differ in how patient a client is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from ipaddress import IPv4Address

from harness.nodes.igd.sockets import Sockets
from harness.protocol import pcp

_DATAGRAM = 2048
"""Bytes read of an answer; a longer one is none in either protocol."""


def _anything(_answer: bytes) -> bool:
    return True


async def ask(
    sockets: Sockets,
    gateway: IPv4Address,
    request: bytes,
    first_retry: float,
    deadline: float,
    is_answer: Callable[[bytes], bool] = _anything,
) -> bytes | None:
    """Send a request until the gateway answers it; None where no answer came.

    It is repeated after ``first_retry`` seconds and then after twice as long each time, until
    ``deadline`` seconds have gone. What is no answer is passed over.

    Raises:
        OSError: it could not be sent, or an ICMP error says that nobody listens.
    """
    loop = asyncio.get_running_loop()
    with sockets.udp() as sock, contextlib.suppress(TimeoutError):
        sock.connect((str(gateway), pcp.PORT))
        async with asyncio.timeout(deadline):
            wait = first_retry
            while True:
                await loop.sock_sendall(sock, request)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        while True:
                            answer = await loop.sock_recv(sock, _DATAGRAM)
                            if is_answer(answer):
                                return answer
                            # While datagrams wait, receiving never does: no time would be heard.
                            await asyncio.sleep(0)
                wait *= 2
    return None
