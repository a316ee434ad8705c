"""The runtimes a run can choose from: what each needs, and where its labs are made."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

from harness.lab import machine
from harness.runtime.namespaces import Namespaces
from harness.runtime.node import Maker
from harness.runtime.world import SCRATCH, sealed
from harness.topology.model import Topology

Body = Callable[[socket.socket], None]
Say = Callable[[str], None]


class Runtime(Protocol):
    """What nodes are made of, as a run sees it."""

    name: str

    shares_labs: bool
    """Whether one lab serves the methods of a topology: where bringing one up is dear."""

    def prepare(self, topologies: Collection[Topology], say: Say) -> None:
        """Check what the topologies need of this machine.

        What takes long is told by ``say``.

        Raises:
            MachineError: it cannot run them.
        """

    def world(self, body: Body) -> AbstractContextManager[socket.socket]:
        """Run ``body``, which makes labs; the context is the channel it sends on.

        Raises:
            MachineError: it cannot be run here.
        """

    def maker(self, job: str) -> Maker:
        """Return what makes the nodes of one job's lab; called in the job's own process."""


class NamespacesRuntime:
    """Every node a network namespace in a sealed world."""

    name = "namespaces"
    shares_labs = False

    def prepare(self, topologies: Collection[Topology], say: Say) -> None:  # noqa: ARG002
        """Check that every program is installed."""
        machine.check_programs(topologies)

    def world(self, body: Body) -> AbstractContextManager[socket.socket]:
        """Seal a world and run the body in it."""
        return sealed(machine.probe, body)

    def maker(self, job: str) -> Maker:
        """Make nodes with disks on the world's own scratch space."""
        return Namespaces(SCRATCH / job)


def choose(name: str, run: str) -> Runtime:
    """Return the runtime of that name for the run of that id."""
    if name == NamespacesRuntime.name:
        return NamespacesRuntime()
    # Its library takes 0.2 s to import, which no other runtime should wait for.
    from harness.runner.docker import DockerRuntime  # noqa: PLC0415

    return DockerRuntime(run)
