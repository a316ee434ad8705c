"""The docker runtime as a run sees it: every node a container of this machine's engine."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from harness.errors import MachineError, ScenarioError
from harness.lab import machine
from harness.runner.runtimes import Body, Say
from harness.runtime import nftables
from harness.runtime.docker import cleanup, engine, images
from harness.runtime.docker.beside import beside
from harness.runtime.docker.containers import Containers, Mark
from harness.runtime.docker.ownership import Owner
from harness.runtime.node import Part
from harness.runtime.world import sealed
from harness.topology.model import Topology
from harness.topology.plan import plan


class DockerRuntime:
    """Makes labs of containers, and removes what a run leaves."""

    name = "docker"
    shares_labs = True

    def __init__(self, run: str) -> None:
        """``run`` is the run's id, which every container bears."""
        self._mark = Mark(run, Owner.current())

    def prepare(self, topologies: Collection[Topology], say: Say) -> None:
        """Check engine, kernel and wiring, remove orphans, and build the images that are missing.

        Raises:
            MachineError: this machine or its engine lacks something.
        """
        client = engine.connect()
        engine.check_wireable(client)
        nftables.library()
        with sealed(machine.probe, lambda _: None):
            pass
        cleanup.remove_orphans(client)
        parts = {node.part for topology in topologies for node in plan(topology).nodes}
        images.ensure(client, [images.Role(part.value) for part in sorted(parts)], say)
        try:
            self._try_one()
        finally:
            cleanup.remove_run(client, self._mark.run)
            client.close()

    @contextmanager
    def world(self, body: Body) -> Iterator[socket.socket]:
        """Run the body beside the engine; every container of the run is gone at the end."""
        try:
            with beside(body) as channel:
                yield channel
        finally:
            client = engine.connect()
            cleanup.remove_run(client, self._mark.run)
            client.close()

    def maker(self, job: str) -> Containers:  # noqa: ARG002 - the kernel tells labs apart
        """Make containers that bear the run's mark."""
        return Containers(self._mark)

    def _try_one(self) -> None:
        probe = Containers(self._mark)
        try:
            probe.make({"probe": Part.ENDPOINT})
        except ScenarioError as error:
            raise MachineError(
                f"containers cannot be wired here: {error}; {engine.BOXED}"
            ) from error
        finally:
            probe.close()
