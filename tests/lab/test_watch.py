"""The kernels' logs are read so that a SYN's beginning is known when its end is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from worlds import in_lab, topology

from harness.judge.evidence import Logged
from harness.judge.journey import Event, Sighting, origin
from harness.lab import watch
from harness.lab.lab import Lab
from harness.runtime.nflog import LogSocket


def test_a_syn_that_sets_out_while_the_logs_are_read_is_known_with_its_end() -> None:
    """The novice's log has been read already when its SYN leaves, its end's log has not."""

    async def play(lab: Lab) -> list[tuple[str, bool]]:
        told: list[tuple[str, bool]] = []

        def tell(sighting: Sighting) -> None:
            if sighting.event is Event.ENDED:
                told.append((sighting.node, origin(lab.watch.sightings, sighting) is not None))

        lab.watch.follow(tell)
        real = watch._read
        with lab.namespaces["novice"].entered():
            dialling = socket.socket()
        dialling.setblocking(False)

        def read(node: str, sock: LogSocket) -> Iterator[Logged]:
            found = list(real(node, sock))
            if node == "novice" and dialling.getsockname()[1] == 0:
                site = str(lab.plan.topology.internet.expert.site)
                assert dialling.connect_ex((site, 3389)) != 0
            return iter(found)

        with pytest.MonkeyPatch.context() as patch, dialling:
            patch.setattr(watch, "_read", read)
            lab.watch.drain()
        return told

    assert in_lab(topology("direct", "nat"), play) == [["expert.nat", True]]
