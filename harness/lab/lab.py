"""A running topology: its nodes, rules, daemons and programs, from bring-up to tear-down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from testinfra.host import Host

from harness.errors import ScenarioError
from harness.judge.evidence import seen_of_gear
from harness.judge.journey import Sighting
from harness.judge.model import Control
from harness.lab import miniupnpd, proxies, renewal
from harness.lab.controls import control_node, host_of, open_invitation
from harness.lab.daemon import Daemon, Service
from harness.lab.gear_probe import probe_gear
from harness.lab.probes import probe_sites
from harness.lab.program import NodeProgram, Told
from harness.lab.ruleset import closing, opening, ruleset
from harness.lab.watch import Watch
from harness.protocol.pcapng import Frame
from harness.runtime import nftables
from harness.runtime.capture import Capture
from harness.runtime.meter import CpuMeter
from harness.runtime.netns import NetNs
from harness.runtime.node import Maker, Node
from harness.runtime.wiring import wire
from harness.topology.plan import LabPlan, NodePlan

# Of the calling thread's namespace; a kernel may be built without it.
_CONNTRACK = Path("/proc/thread-self/net/nf_conntrack")


class Lab(AbstractContextManager["Lab"]):
    """One topology, brought up when the context is entered and gone when it is left."""

    def __init__(self, plan: LabPlan, maker: Maker, told: Told, capture: bool = False) -> None:
        """Prepare; nothing is made before the context is entered.

        With ``capture`` every frame on every interface is captured.
        """
        self.plan = plan
        self.controls: list[Control] = []
        self.loaded: dict[str, str] = {}
        self.evidence = CpuMeter()
        self._site_controls: list[Control] = []
        self.capture: Capture | None = None
        self._captured: list[Frame] = []
        self._captures = capture
        self._maker = maker
        self._told = told
        self._nodes: Mapping[str, Node] = {}
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Lab:
        """Make nodes and links, load rules, start daemons.

        Raises:
            ScenarioError: something could not be made.
        """
        plan = self.plan
        try:
            self._nodes = self._maker.make({node.name: node.part for node in plan.own})
            stacks = {node.name: node.stack for node in plan.own}
            wire(stacks, plan.own_links, self.namespaces, plan.gear_wires)
            for node in plan.own:
                self._load(node.name, ruleset(node))
            self.watch = Watch(self.namespaces)
            if self._captures:
                with self.evidence:
                    self.capture = Capture(self.namespaces)
            self._start_daemons()
        except BaseException:
            self._maker.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every process and every node."""
        self.end_capture()
        self._maker.close()

    def end_capture(self) -> None:
        """Capture nothing from now on: the sooner before the end, the less the end waits for it."""
        if self.capture is not None:
            self.capture.close()
            self.capture = None

    @property
    def namespaces(self) -> dict[str, NetNs]:
        """The network namespace of each node."""
        return {name: node.namespace for name, node in self._nodes.items()}

    def renew(self, told: Told) -> None:
        """Make the lab as it was when it came up: for the next scenario, which ``told`` is for.

        Raises:
            ScenarioError: something could not be made anew.
        """
        self._told = told
        self.controls = renewal.renew(self.plan, self._nodes)
        for node in self.plan.own:
            if node.device is not None:
                self._load(node.name, f"flush ruleset\n{ruleset(node)}")
        self.watch.forget()
        self._captured.clear()
        if self.capture is not None:
            self.capture.read()
        self._start_daemons()

    def captured(self) -> list[Frame]:
        """Return all that was captured since the lab came up, or was made anew."""
        if self.capture is not None:
            self._captured += self.capture.read()
        return self._captured

    def sightings(self) -> list[Sighting]:
        """Return what every kernel saw so far, a real router's read off the capture."""
        self.watch.drain()
        return self.watch.sightings + seen_of_gear(self.plan, self.captured())

    def disk(self, node: str) -> Path:
        """Return the folder that is a node's disk."""
        return self._nodes[node].disk

    def start(self, node: str, name: str) -> NodeProgram:
        """Start a program in a node."""
        log = f"{name}.log"
        streams = self._nodes[node].start(name, log)
        return NodeProgram(node, streams, self.disk(node) / log, self._told)

    def check(self) -> None:
        """Wait until every daemon listens, check every node, and record both as controls.

        ``loaded`` has each node's rules from then on, as nft lists them.
        """
        ports = {node.name: [*node.listens] for node in self.plan.own}
        for daemon in self._daemons:
            self.controls.append(daemon.control())
            ports[daemon.node] += daemon.service.listens
        for node in self.plan.own:
            with self.evidence:
                self.loaded[node.name] = self.rules(node.name)
                host = self._host(node.name)
                self.controls += control_node(host, node, ports[node.name])

    async def probe(self) -> None:
        """Show by packets that each site is what it should be, and record it: once for a lab."""
        if not self._site_controls:
            with self.evidence:
                self._site_controls = await probe_sites(self.plan, self.namespaces, self.watch)
                if self.plan.gear:
                    self._site_controls += await probe_gear(self.plan, self.namespaces, self.watch)
                self.watch.forget()
        self.controls += self._site_controls

    def check_invitation(self, node: str, port: int) -> None:
        """Check a host on which an invitation has just been opened, and record it."""
        with self.evidence:
            self.controls.append(open_invitation(self._host(node), node, port))

    def open_port(self, node: str, port: int) -> None:
        """Open a TCP port in the firewall that is on a host."""
        self._load(node, opening(port))

    def close_port(self, node: str, port: int) -> None:
        """Close it again."""
        self._load(node, closing(port))

    def daemon_logs(self) -> dict[str, str]:
        """Return what each daemon has said, by node and program."""
        return {f"{each.node}.{each.service.name}": each.log() for each in self._daemons}

    def rules(self, node: str) -> str:
        """Return a node's ruleset as loaded."""
        with self._nodes[node].namespace.entered():
            return nftables.listing()

    def connections(self) -> str:
        """Return what each node's kernel tracks of connections, as nf_conntrack lists it."""
        text = ""
        for name, namespace in self.namespaces.items():
            with namespace.entered():
                listed = _CONNTRACK.read_text(encoding="ascii") if _CONNTRACK.exists() else ""
            text += "".join(f"{name}: {line}\n" for line in listed.splitlines())
        return text

    def _host(self, node: str) -> Host:
        return host_of(node, self._nodes[node].namespace)

    def _load(self, node: str, rules: str) -> None:
        with self._nodes[node].namespace.entered():
            try:
                nftables.load(rules)
            except nftables.RulesetError as error:
                raise ScenarioError(f"{node}: its rules were refused: {error}") from error

    def _start_daemons(self) -> None:
        self._daemons = [
            Daemon(service, node.name, self._nodes[node.name])
            for node in self.plan.own
            for service in _services_of(node)
        ]


def _services_of(node: NodePlan) -> Iterator[Service]:
    device = node.device
    if device is not None and device.maps_ports:
        yield miniupnpd.service(node.name, device)
    if device is not None and device.proxy is not None:
        yield proxies.service(device, device.proxy)
