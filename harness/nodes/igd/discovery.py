"""The SSDP search: one M-SEARCH, and the answers that come until the time is up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from ipaddress import IPv4Address
from typing import Final

from harness.nodes.igd.sockets import Sockets
from harness.protocol import ssdp
from harness.protocol.igd.answer import MOST_BYTES, SsdpAnswer

MOST_ANSWERS: Final = 64
"""Answers that one search keeps; a gateway with many devices inside gives about fifteen."""

_DATAGRAM = 1 << 16


async def search(
    sockets: Sockets,
    target: IPv4Address,
    st: str,
    mx: int,
    deadline: float,
    only_from: IPv4Address | None = None,
    most: int = MOST_ANSWERS,
) -> list[SsdpAnswer]:
    """Send an M-SEARCH to an address or group; return what came, good and bad, in its order.

    ``mx`` is what devices are told, ``deadline`` the seconds from now that the search lasts. It
    ends earlier with ``most`` answers. With ``only_from``, the datagrams of everybody else are
    neither kept nor counted. Datagrams may be lost: who needs an answer searches again.

    Raises:
        OSError: the search could not be sent.
    """
    answers: list[SsdpAnswer] = []
    with sockets.udp() as sock:
        await send_search(sock, target, ssdp.search(str(target), st, mx))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while len(answers) < most:
                    answer = await receive(sock)
                    if only_from in (None, answer.sender):
                        answers.append(answer)
    return answers


async def send_search(sock: socket.socket, target: IPv4Address, request: bytes) -> None:
    """Send a search from a bound socket; to a group, through the interface of its address.

    Raises:
        OSError: it could not be sent.
    """
    if target.is_multicast:
        own, _ = sock.getsockname()
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ssdp.TTL)
    await asyncio.get_running_loop().sock_sendto(sock, request, (str(target), ssdp.PORT))


async def receive(sock: socket.socket) -> SsdpAnswer:
    """Wait for the next datagram that comes to a socket; the caller brings the deadline.

    Raises:
        OSError: on a connected socket, an ICMP error came.
    """
    # While datagrams wait, receiving never does: without this a deadline would not be heard.
    await asyncio.sleep(0)
    data, (address, port) = await asyncio.get_running_loop().sock_recvfrom(sock, _DATAGRAM)
    return SsdpAnswer(IPv4Address(address), port, time.monotonic(), len(data), data[:MOST_BYTES])
