"""Nodes that are network namespaces of this process, with a folder each for a disk."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import ScenarioError
from harness.runtime.netns import NetNs
from harness.runtime.node import Part
from harness.runtime.process import fork_program, spawn_daemon

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian has daemons; an ordinary user's PATH lacks it."""

GONE_DEADLINE = 2.0
"""Seconds that a killed process has to be gone; it takes about a millisecond."""


def program(name: str) -> Callable[[], None]:
    """Return the start of a node program; importing it before a fork spares each child that."""
    start: Callable[[], None] = importlib.import_module(f"harness.nodes.{name}").start
    return start


class NamespaceNode:
    """A network namespace; the processes that were started in it are children of this one."""

    def __init__(self, disk: Path, namespace: NetNs | None = None) -> None:
        """Make the disk, and the namespace unless one is given."""
        self.namespace = namespace or NetNs.create()
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
        """Kill every process, those too that outlived a parent; return how many are left."""
        self.end_own()
        wait = Retrying(
            retry=retry_if_result(bool),
            stop=stop_after_delay(GONE_DEADLINE),
            wait=wait_fixed(0.001),
            retry_error_callback=_last_result,
        )
        return wait(_kill_all_in, self.namespace)

    def end_own(self) -> None:
        """Kill and reap every process that was started here."""
        for pid in self._programs:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for process in self._daemons:
            process.kill()
            process.wait()
        self._programs.clear()
        self._daemons.clear()


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
            node.end_own()


def _kill_all_in(namespace: NetNs) -> int:
    """Kill the processes that are in a network namespace; return how many there were."""
    found = list(_processes_in(namespace))
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended by itself
    return len(found)


def _processes_in(namespace: NetNs) -> Iterator[int]:
    here = os.fstat(namespace.fd).st_ino
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = (folder / "ns" / "net").stat().st_ino == here
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is not ours
        if inside:
            yield int(folder.name)


def _last_result(state: RetryCallState) -> int:
    if state.outcome is None:
        raise ValueError("no attempt was made")
    result: int = state.outcome.result()
    return result
