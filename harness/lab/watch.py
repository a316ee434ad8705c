"""Collects what every node's kernel logs about packets, and knows at once when a SYN has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from harness.judge.journey import Event, Sighting
from harness.lab.ruleset import ENDED, LOG_GROUP, SENT
from harness.protocol.packet import parse
from harness.runtime.netns import NetNs
from harness.runtime.nflog import LogSocket


class Watch:
    """One NFLOG socket for each node; the sightings in the order in which they were read."""

    def __init__(self, namespaces: Mapping[str, NetNs]) -> None:
        """Begin to collect."""
        self.sightings: list[Sighting] = []
        self._sockets = {
            node: LogSocket(namespace, LOG_GROUP) for node, namespace in namespaces.items()
        }
        self._on_sighting: Callable[[Sighting], None] = lambda _: None

    def follow(self, on_sighting: Callable[[Sighting], None]) -> None:
        """Read in the running loop from now on, and call back for each sighting."""
        self._on_sighting = on_sighting
        loop = asyncio.get_running_loop()
        for sock in self._sockets.values():
            loop.add_reader(sock.fileno(), self.drain)

    def drain(self) -> None:
        """Read what is there now in every node, and only then call back.

        A SYN's end may be read before its beginning: they are in different sockets. When all are
        read the beginning is known, for it was logged first.
        """
        fresh = [sighting for node, sock in self._sockets.items() for sighting in _read(node, sock)]
        self.sightings += fresh
        for sighting in fresh:
            self._on_sighting(sighting)

    def forget(self) -> None:
        """Begin anew: forget every sighting, those that nobody has read yet among them."""
        self.drain()
        self.sightings.clear()
        self._on_sighting = lambda _: None

    def close(self) -> None:
        """Stop to collect."""
        for sock in self._sockets.values():
            sock.close()


def _read(node: str, sock: LogSocket) -> Iterator[Sighting]:
    for logged in sock.read():
        packet = parse(logged.packet)
        if packet is None:
            continue
        if logged.prefix == SENT:
            yield Sighting(node, Event.SENT, "", packet)
        else:
            yield Sighting(node, Event.ENDED, logged.prefix.removeprefix(ENDED), packet)
