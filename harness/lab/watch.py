"""Collects what every node's kernel logs about packets, and knows at once when a SYN has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from harness.judge.evidence import Logged
from harness.judge.journey import Sighting
from harness.lab.ruleset import LOG_GROUP
from harness.runtime.netns import NetNs
from harness.runtime.nflog import LogSocket


class Watch:
    """One NFLOG socket for each node; what was logged, in the order in which it was read."""

    def __init__(self, namespaces: Mapping[str, NetNs]) -> None:
        """Begin to collect."""
        self.logged: list[Logged] = []
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

        A SYN's end may be read before its beginning: they are in different sockets, and the SYN may
        set out while they are read in turn. So all are read until none has more: the beginning of
        whatever was read was logged before it.
        """
        logged: list[Logged] = []
        while more := [each for node, sock in self._sockets.items() for each in _read(node, sock)]:
            logged += more
        fresh = [sighting for each in logged if (sighting := each.sighting()) is not None]
        self.logged += logged
        self.sightings += fresh
        for sighting in fresh:
            self._on_sighting(sighting)

    def forget(self) -> None:
        """Begin anew: forget every sighting, those that nobody has read yet among them."""
        self._on_sighting = lambda _: None
        self.drain()
        self.logged.clear()
        self.sightings.clear()

    def close(self) -> None:
        """Stop to collect."""
        for sock in self._sockets.values():
            sock.close()


def _read(node: str, sock: LogSocket) -> Iterator[Logged]:
    return (Logged(node, record.prefix, record.packet) for record in sock.read())
