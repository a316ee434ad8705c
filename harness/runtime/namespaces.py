"""Nodes that are network namespaces of this process, with a folder each for a disk."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.errors import ScenarioError
from harness.runtime.netns import NetNs
from harness.runtime.node import Part
from harness.runtime.process import fork_program, spawn_daemon

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian has daemons; an ordinary user's PATH lacks it."""


def program(name: str) -> Callable[[], None]:
    """Return the start of a node program; importing it before a fork spares each child that."""
    start: Callable[[], None] = importlib.import_module(f"harness.nodes.{name}").start
    return start


class NamespaceNode:
    """A network namespace; its processes are children of this one."""

    def __init__(self, disk: Path) -> None:
        """Make the namespace and the disk."""
        self.namespace = NetNs.create()
        self.disk = disk
        self._programs: list[int] = []
        self._daemons: list[subprocess.Popen[bytes]] = []
        disk.mkdir(parents=True)

    def start(self, name: str, log: str) -> socket.socket:
        """Fork a node program; see :class:`harness.runtime.node.Node`."""
        pid, streams = fork_program(self.namespace, program(name), self.disk, self.disk / log)
        self._programs.append(pid)
        return streams

    def spawn(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        """Start a program from disk; see :class:`harness.runtime.node.Node`."""
        environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
        try:
            process = spawn_daemon(self.namespace, command, self.disk, self.disk / log, environment)
        except OSError as error:
            raise ScenarioError(f"{command[0]} could not be started: {error.strerror}") from error
        self._daemons.append(process)
        return process

    def end_all(self) -> int:
        """Kill and reap every process that was started here: none can be left."""
        for pid in self._programs:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for process in self._daemons:
            process.kill()
            process.wait()
        self._programs.clear()
        self._daemons.clear()
        return 0


class Namespaces:
    """Makes nodes in this process; the kernel ends them with it."""

    def __init__(self, folder: Path) -> None:
        """``folder`` does not exist yet; the nodes' disks will be in it."""
        self._folder = folder
        self._nodes: list[NamespaceNode] = []

    def make(self, parts: Mapping[str, Part]) -> Mapping[str, NamespaceNode]:
        """Make the nodes; every one is equipped with all that the host has."""
        nodes = {name: NamespaceNode(self._folder / name) for name in parts}
        self._nodes += nodes.values()
        return nodes

    def close(self) -> None:
        """End every process; the kernel ends the rest with this one."""
        for node in self._nodes:
            node.end_all()
