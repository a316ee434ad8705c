"""Sends SYNs from the lab's own process and finds where each one ended.

No program is started and nobody listens. A node answers a SYN to a closed port by RST. The kernel
logs that answer with the address that it goes to: the SYN's source as that node saw it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from harness.judge.journey import Ending, Event, Sighting, ending
from harness.lab.watch import Watch
from harness.protocol.packet import Segment
from harness.runtime.netns import NetNs
from harness.words import End

DEADLINE = 1.0
"""Seconds that all SYNs sent together have; each takes about 0.1 ms."""

_ANY = IPv4Address("0.0.0.0")
# Closing ends a connection that was made by RST, and nothing lingers (l_onoff, l_linger).
_BY_RST = struct.pack("ii", 1, 0)


class Endpoint(NamedTuple):
    """An address and a TCP port."""

    address: IPv4Address
    port: int

    def __str__(self) -> str:
        """Write it as ADDRESS:PORT."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Probe:
    """A SYN to send: from a TCP port of a node, from that address of it if one is given."""

    node: str
    port: int
    to: Endpoint
    source: IPv4Address = _ANY


@dataclass(frozen=True)
class Found:
    """Where a SYN ended.

    ``answered`` says that a RST or SYN-ACK came back to the sender. ``left_from`` is the source as
    it left, ``seen`` the source as whoever answered saw it; None where it did not leave, and where
    nobody answered.
    """

    ending: Ending
    answered: bool = False
    left_from: Endpoint | None = None
    seen: Endpoint | None = None

    def __str__(self) -> str:
        """Say where it ended and how."""
        lost = self.seen is not None and not self.answered
        return f"{self.ending.how}; the answer did not come back" if lost else self.ending.how


async def send(
    probes: Sequence[Probe], namespaces: Mapping[str, NetNs], watch: Watch
) -> dict[Probe, Found]:
    """Send SYNs, all at once, and return when each one's end is known, or after ``DEADLINE``.

    Every socket is closed by then. The watch keeps what it saw, and may be left following the
    running loop.
    """
    before = len(watch.sightings)
    flights: list[_Flight] = []
    try:
        for node, group in groupby(sorted(probes, key=attrgetter("node")), attrgetter("node")):
            with namespaces[node].entered():
                # Made in that node's namespace, a socket stays in it.
                flights += [_Flight(probe) for probe in group]
        for flight in flights:
            flight.leave()
        await _settle(flights, watch, before)
    finally:
        for flight in flights:
            flight.close()
    return {flight.probe: flight.found for flight in flights}


class _Flight:
    """One SYN under way, and its socket."""

    def __init__(self, probe: Probe) -> None:
        """Make the socket in the namespace that the caller is in."""
        self.probe = probe
        self.found = Found(Ending("", "the SYN was not seen leaving", left=False))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._outcome: int | None = None
        self._refused = False

    def leave(self) -> None:
        """Send the SYN."""
        probe = self.probe
        # One port sends to several destinations.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RST)
        try:
            self.socket.bind((str(probe.source), probe.port))
            self.socket.connect((str(probe.to.address), probe.to.port))
        except BlockingIOError:
            return
        except OSError as error:
            self._refused = True
            self.found = Found(_unsent(probe.node, error))

    @property
    def waits(self) -> bool:
        """Whether the socket has yet to say what became of the SYN."""
        return not self._refused and self._outcome is None

    def settle(self, sightings: Sequence[Sighting]) -> bool:
        """Find the SYN's end in what was seen so far; return whether there is no more to wait for.

        An answer must come back to the sender. An ICMP error need not: while the sender's
        connect() has not returned, the kernel only notes it.
        """
        if self._refused:
            return True
        # Whatever was seen: a socket that has its answer is not news again.
        heard = self._heard()
        syn = _syn_of(self.probe, sightings)
        if syn is None:
            return False
        end = ending(sightings, syn.sequence)
        answer = _answer_to(syn, sightings)
        seen = None if answer is None else Endpoint(answer.destination, answer.destination_port)
        answered = seen is not None and heard
        self.found = Found(end, answered, Endpoint(syn.source, syn.source_port), seen)
        return bool(end.node) if seen is None else answered

    def close(self) -> None:
        """Close the socket: by RST where somebody accepted."""
        self.socket.close()

    def _heard(self) -> bool:
        """Whether the sender has been answered by RST or SYN-ACK."""
        if self._outcome is None:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error or _connected(self.socket):
                self._outcome = error
        return self._outcome in (0, errno.ECONNREFUSED)


async def _settle(flights: Sequence[_Flight], watch: Watch, before: int) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE
    while True:
        # As a rule all is over when the last connect() returns, and nobody waits.
        watch.drain()
        sightings = watch.sightings[before:]
        pending = [flight for flight in flights if not flight.settle(sightings)]
        left = deadline - loop.time()
        if not pending or left <= 0:
            return
        await _news(pending, watch, left)


async def _news(pending: Sequence[_Flight], watch: Watch, seconds: float) -> None:
    """Wait until a kernel logs something or a socket gets an answer, no longer than ``seconds``."""
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    watch.follow(lambda _: news.set())
    waiting = [flight.socket for flight in pending if flight.waits]
    for sock in waiting:
        loop.add_writer(sock, news.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()
    finally:
        for sock in waiting:
            loop.remove_writer(sock)


def _unsent(node: str, error: OSError) -> Ending:
    """Say why a SYN was not sent; only a missing route is an end of its own."""
    if error.errno == errno.ENETUNREACH:
        return Ending(node, f"{node} has no route to it", left=False, end=End.UNREACHABLE)
    why = os.strerror(error.errno or 0)
    return Ending("", f"{node} could not send the SYN: {why}", left=False)


def _connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _sent(sightings: Sequence[Sighting]) -> Iterator[tuple[str, Segment]]:
    for each in sightings:
        if each.event is Event.SENT and isinstance(each.packet, Segment):
            yield each.node, each.packet


def _syn_of(probe: Probe, sightings: Sequence[Sighting]) -> Segment | None:
    """Return the SYN as it left its sender; None if none was seen to leave."""
    for node, packet in _sent(sightings):
        if (
            node == probe.node
            and packet.opens
            and packet.source_port == probe.port
            and (packet.destination, packet.destination_port) == probe.to
        ):
            return packet
    return None


def _answer_to(syn: Segment, sightings: Sequence[Sighting]) -> Segment | None:
    """Return the RST or SYN-ACK to a SYN; None if nobody sent one."""
    for _, packet in _sent(sightings):
        if packet.answers(syn.sequence):
            return packet
    return None
