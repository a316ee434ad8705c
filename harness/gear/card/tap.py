"""What a host of the rig sees on its wires while a check is made, and packets sent by hand.

A socket tells what its kernel makes of an answer; a tap tells what came. Layouts: packet(7).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from harness.gear.card.check import NotTested
from harness.gear.card.packets import IcmpError, read_icmp_error
from harness.gear.rig import Station
from harness.lab.syns import Endpoint
from harness.protocol.packet import Packet, Segment, Unreachable, parse

_ETH_P_ALL = 0x0003
_ETH_P_IP = 0x0800
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_BUFFER = 1 << 22
# Of each packet the head: what an ICMP error quotes fits in (RFC 1812 4.3.2.3: 576 bytes).
_HEAD = 640
_AT_ONCE = 256
_LOOPBACK = "lo"

MOST = 1 << 14
"""Packets that are kept; a check that keeps more of them in its seconds cannot tell anything."""

COPIES: Final = 2
"""How often a packet is sent whose arrival is the question: one may be lost on the way."""


@dataclass(frozen=True)
class Seen:
    """An IPv4 packet on a wire.

    ``time`` is when it was read (CLOCK_MONOTONIC, seconds), ``mac`` who put it on the wire, and
    ``leaves`` says that it was this host. ``data`` begins with its IP header and may be cut short.
    """

    time: float
    interface: str
    mac: bytes
    leaves: bool
    data: bytes

    @cached_property
    def packet(self) -> Packet | None:
        """The head of a TCP segment, or of an ICMP error about one."""
        return parse(self.data)

    @cached_property
    def icmp(self) -> IcmpError | None:
        """The ICMP error that it is, whole; None where it is none."""
        return read_icmp_error(self.data)

    def comes_to(self, end: Endpoint) -> bool:
        """Whether it is a TCP segment to that endpoint which this host did not send itself."""
        packet = self.packet
        if self.leaves or not isinstance(packet, Segment):
            return False
        return (packet.destination, packet.destination_port) == end

    def is_syn(self, sequence: int) -> bool:
        """Whether it is the SYN of that number, or one made of it, that this host did not send."""
        packet = self.packet
        if self.leaves or not isinstance(packet, Segment):
            return False
        return packet.opens and packet.sequence == sequence

    def answers(self, sequence: int) -> bool:
        """Whether it is a SYN-ACK, a RST or an ICMP error about the SYN of that number."""
        match self.packet:
            case Segment() as segment:
                return not self.leaves and segment.answers(sequence)
            case Unreachable() as error:
                return not self.leaves and error.sequence == sequence
        return False


def _any(_: Seen) -> bool:
    return True


class Tap:
    """The packets that were seen so far and are to be kept, in their order."""

    def __init__(self, sock: socket.socket, keeps: Callable[[Seen], bool]) -> None:
        """Read from a packet socket; :func:`tap` makes one."""
        self.seen: list[Seen] = []
        self._socket = sock
        self._keeps = keeps
        self._news = asyncio.Event()

    async def first(self, wanted: Callable[[Seen], bool], seconds: float) -> Seen | None:
        """Return the first packet that is wanted, seen before or within the seconds; else None.

        Raises:
            NotTested: the wire is too busy to tell.
        """
        place = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    while place < len(self.seen):
                        if wanted(self.seen[place]):
                            return self.seen[place]
                        place += 1
                    if place >= MOST:
                        raise NotTested(f"more than {MOST} packets came: too many to tell")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None

    async def until(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until what was seen is enough, or the seconds are over.

        Raises:
            NotTested: the wire is too busy to tell.
        """
        await self.first(lambda _: done(), seconds)

    def read(self) -> None:
        """Read some of what has come; the running loop calls it as long as there is more."""
        for _ in range(_AT_ONCE):
            try:
                data, (interface, protocol, kind, _, mac) = self._socket.recvfrom(_HEAD)
            except BlockingIOError:
                break
            if protocol == _ETH_P_IP and interface != _LOOPBACK and len(self.seen) < MOST:
                leaves = kind == socket.PACKET_OUTGOING
                seen = Seen(time.monotonic(), interface, mac, leaves, data)
                if self._keeps(seen):
                    self.seen.append(seen)
        self._news.set()

    def put(self, packet: bytes, interface: str, mac: bytes) -> None:
        """Put a packet on a wire for a neighbour there, whatever addresses it has.

        Raises:
            OSError: the interface does not take it.
        """
        self._socket.sendto(packet, (interface, _ETH_P_IP, 0, 0, mac))


@contextmanager
def tap(station: Station, keeps: Callable[[Seen], bool] = _any) -> Iterator[Tap]:
    """Watch a host's wires until the block ends, in the running loop.

    ``keeps`` says which packets are of interest: all, where the watch is short.

    Raises:
        OSError: this process may open no packet sockets.
    """
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with station.namespace.entered():
        sock = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        made = Tap(sock, keeps)
        loop = asyncio.get_running_loop()
        loop.add_reader(sock, made.read)
        try:
            yield made
        finally:
            loop.remove_reader(sock)


def send(station: Station, packet: bytes) -> None:
    """Send a whole IPv4 packet from a host by its own routes.

    Raises:
        OSError: there is no way there, or this process may open no raw sockets.
    """
    with station.namespace.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
