"""What a lab asks of a runtime: nodes, and programs that run in them.

A lab knows these interfaces only. :mod:`harness.runtime.namespaces` and
:mod:`harness.runtime.docker.containers` have what is behind them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.runtime.netns import NetNs


class Part(StrEnum):
    """What a node is equipped for; on docker each has an image of its own."""

    ENDPOINT = "endpoint"
    GATEWAY = "gateway"
    GATEWAY_UPNP = "gateway-upnp"
    PROXY = "proxy"
    INTERNET = "internet"
    SERVICES = "services"


class Process(Protocol):
    """A program from disk that was started in a node."""

    def poll(self) -> int | None:
        """Return its exit status, negative for the signal that ended it; None while it runs."""


class Node(Protocol):
    """One network stack, a disk, and what runs there."""

    @property
    def namespace(self) -> NetNs:
        """Its network stack."""

    @property
    def disk(self) -> Path:
        """Its disk, as the harness reaches it; programs have it as working folder."""

    def start(self, program: str, log: str) -> socket.socket:
        """Start a node program (a module of :mod:`harness.nodes`); return our end of its streams.

        ``log``, a file on the disk, takes what it writes to standard error.

        Raises:
            ScenarioError: it cannot be started.
        """

    def spawn(self, command: Sequence[str], log: str) -> Process:
        """Start a program from disk; ``log``, a file on the disk, takes what it prints.

        Raises:
            ScenarioError: it cannot be started.
        """

    def end_all(self) -> int:
        """Kill every process of the node; return how many are left, which should be none."""


class Maker(Protocol):
    """Makes the nodes of one lab."""

    def make(self, parts: Mapping[str, Part]) -> Mapping[str, Node]:
        """Make one node for each name, with empty stacks and disks.

        Raises:
            ScenarioError: one could not be made.
        """

    def close(self) -> None:
        """End every node."""
