"""A running topology: its nodes, rules, daemons and programs, from bring-up to tear-down."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from harness.errors import ScenarioError
from harness.judge.model import Control
from harness.lab import miniupnpd, proxies
from harness.lab.daemon import Daemon, Service
from harness.lab.program import NodeProgram, Told
from harness.lab.ruleset import closing, opening, ruleset
from harness.lab.watch import Watch
from harness.runtime import nftables
from harness.runtime.netns import NetNs
from harness.runtime.process import fork_program
from harness.runtime.wiring import wire
from harness.topology.plan import LabPlan, NodePlan


def program(name: str) -> Callable[[], None]:
    """Return the start of a node program; importing it before a fork spares each child that."""
    start: Callable[[], None] = importlib.import_module(f"harness.nodes.{name}").start
    return start


class Lab(AbstractContextManager["Lab"]):
    """One topology, brought up when the context is entered and gone when it is left.

    ``folder`` is empty and ends with the world; each node has its disk in it.
    """

    def __init__(self, plan: LabPlan, folder: Path, told: Told) -> None:
        """Prepare; nothing is made before the context is entered."""
        self.plan = plan
        self.controls: list[Control] = []
        self._folder = folder
        self._told = told
        self._namespaces: dict[str, NetNs] = {}
        self._daemons: list[Daemon] = []
        self._programs: list[NodeProgram] = []

    def __enter__(self) -> Lab:
        """Make namespaces and links, load rules, start daemons, and wait until all is ready.

        Raises:
            ScenarioError: something could not be made.
        """
        plan = self.plan
        self._namespaces = {node.name: NetNs.create() for node in plan.nodes}
        wire({node.name: node.stack for node in plan.nodes}, plan.links, self._namespaces)
        for node in plan.nodes:
            self.disk(node.name).mkdir(parents=True)
            with self._namespaces[node.name].entered():
                try:
                    nftables.load(ruleset(node))
                except nftables.RulesetError as error:
                    raise ScenarioError(f"{node.name}: its rules were refused: {error}") from error
        self.watch = Watch(self._namespaces)
        self._daemons = [
            Daemon(service, node.name, self._namespaces[node.name], self.disk(node.name))
            for node in plan.nodes
            for service in self._services_of(node)
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every process; the kernel ends the rest with this one."""
        for each in self._programs:
            each.kill()
        for daemon in self._daemons:
            daemon.process.kill()
            daemon.process.wait()

    def disk(self, node: str) -> Path:
        """Return the folder that is a node's disk."""
        return self._folder / node

    def start(self, node: str, name: str) -> NodeProgram:
        """Start a program in a node."""
        log = self.disk(node) / f"{name}.log"
        pid, streams = fork_program(self._namespaces[node], program(name), self.disk(node), log)
        started = NodeProgram(node, pid, streams, log, self._told)
        self._programs.append(started)
        return started

    def check(self) -> None:
        """Wait until every daemon is what its device says, and record it as controls."""
        self.controls += [daemon.control() for daemon in self._daemons]

    def open_port(self, node: str, port: int) -> None:
        """Open a TCP port in the firewall that is on a host."""
        with self._namespaces[node].entered():
            nftables.load(opening(port))

    def close_port(self, node: str, port: int) -> None:
        """Close it again."""
        with self._namespaces[node].entered():
            nftables.load(closing(port))

    def _services_of(self, node: NodePlan) -> Iterator[Service]:
        device, folder = node.device, self.disk(node.name)
        if device is not None and device.maps_ports:
            yield miniupnpd.service(node.name, device, folder)
        if device is not None and device.proxy is not None:
            yield proxies.service(device, device.proxy, folder)

    def daemon_logs(self) -> dict[str, str]:
        """Return what each daemon has said, by node and program."""
        return {f"{each.node}.{each.service.name}": each.log() for each in self._daemons}

    def rules(self, node: str) -> str:
        """Return a node's ruleset as loaded."""
        with self._namespaces[node].entered():
            return nftables.listing()
