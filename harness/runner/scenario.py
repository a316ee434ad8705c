"""One scenario, from bring-up to tear-down, in a process of its own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.assistance.methods import Call, assist
from harness.assistance.people import INVITATION, Person, ProxyServer, Services, Terms
from harness.errors import ScenarioError
from harness.judge.journey import Event, Sighting, attempt, origin
from harness.judge.model import Control, Observed, Winner
from harness.kb import Variant
from harness.lab.lab import Lab
from harness.runtime.pool import Send
from harness.topology.model import Site, Topology, chain_name
from harness.topology.plan import SERVICES, plan, proxy_node
from harness.words import Answer, Method, Role

READY_DEADLINE = 10.0

LOG_KEPT = 100_000
"""Characters kept of a daemon's log, its end: a message is a datagram, and a kernel may allow
little more than that."""

# A service that a method does not need is not there to help it.
_SERVICES = {
    Method.FILE: ("reflector",),
    Method.EMAIL: ("reflector", "mail"),
    Method.MESSENGER: ("reflector", "relay"),
}
TRACE_CONTROL = "every attempt's end was seen"


@dataclass(frozen=True)
class Scenario:
    """A topology and a method."""

    method: Method
    topology: Topology
    terms: Terms

    @property
    def novice(self) -> tuple[str, ...]:
        """The novice's chain of devices."""
        return self.topology.novice.names

    @property
    def expert(self) -> tuple[str, ...]:
        """The expert's chain of devices."""
        return self.topology.expert.names

    @property
    def id(self) -> str:
        """``METHOD/NOVICE+EXPERT``, and ``@`` what departs from the default, if anything does."""
        chains = f"{chain_name(self.novice)}+{chain_name(self.expert)}"
        return f"{self.method}/{chains}{self.variant.suffix}"

    @property
    def variant(self) -> Variant:
        """What the two people do otherwise than by default."""
        sites = {Role.NOVICE: self.topology.novice, Role.EXPERT: self.topology.expert}
        clients = tuple(role for role, site in sites.items() if site.proxy_client)
        return Variant(expert_port=self.terms.expert_port, proxy_client=clients)


def perform(scenario: Scenario, scratch: Path, send: Send) -> None:
    """Bring the lab up, play the scenario, tear the lab down, and send what was seen.

    Sends ``{"event": ..., "node": ...}`` for each step, ``{"file": name, "text": ...}`` for each
    file of evidence, and at last ``{"outcome": {...}}`` with ``observed`` or ``error``,
    ``controls``, and the times ``began``, ``ready`` and ``over`` (CLOCK_MONOTONIC, seconds).
    """
    began = time.monotonic()
    ready = began
    lab = Lab(plan(scenario.topology), scratch, lambda node, event: send({**event, "node": node}))
    observed: Observed | None = None
    error: str | None = None
    try:
        with lab:
            play = _Play(scenario, lab)
            lab.check()
            ready = time.monotonic()
            try:
                observed = asyncio.run(play.run())
            finally:
                over = time.monotonic()
                _send_evidence(lab, send)
    except ScenarioError as failure:
        error = str(failure)
        over = time.monotonic()
    outcome = {
        "observed": observed.model_dump(mode="json") if observed is not None else None,
        "error": error,
        "controls": [control.model_dump(mode="json") for control in lab.controls],
        "began": began,
        "ready": ready,
        "over": over,
    }
    send({"outcome": outcome})


class _PathDisk:
    """A node's disk that is a folder of ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def put(self, name: str, content: bytes) -> None:
        (self._folder / name).write_bytes(content)


class _Play:
    """The programs of one scenario, and the eye kept on them."""

    def __init__(self, scenario: Scenario, lab: Lab) -> None:
        """Start every program that the method needs; a service it does not need is not there."""
        self._scenario = scenario
        self._lab = lab
        self._people = {role: lab.start(role.value, role.value) for role in Role}
        self._services = {name: lab.start(SERVICES, name) for name in _SERVICES[scenario.method]}
        self._strangers = [
            (lab.start(node.name, "stranger"), node.stranger)
            for node in lab.plan.nodes
            if node.stranger is not None
        ]

    async def run(self) -> Observed:
        """Play it."""
        lab, scenario = self._lab, self._scenario
        for program in self._people.values():
            await program.connect()
        services = Services(lab.plan.services, Role.EXPERT.value, secrets.token_urlsafe(9))
        for name, service in self._services.items():
            await service.connect()
            if name == "mail":
                service.write({services.mailbox: services.mailbox_password})
        for name, service in self._services.items():
            if await service.expect("ready", READY_DEADLINE) is None:
                raise ScenarioError(f"the {name} did not start within {READY_DEADLINE:g} s")
        for stranger, port in self._strangers:
            await stranger.connect()
            await stranger.ask("listen", READY_DEADLINE, port=port)
        lab.watch.follow(self._abandon)
        novice, expert = (self._person(role) for role in Role)
        calls = await assist(scenario.method, novice, expert, services, scenario.terms)
        lab.watch.drain()
        observed = self._observe(calls)
        lab.controls += _trace_controls(observed)
        return observed

    def _person(self, role: Role) -> Person:
        lab, site = self._lab, self._site(role)
        firewall = site.host_firewall
        opens = firewall is not None and firewall.opened_by_remote_assistance
        proxy = None
        if site.proxy is not None and site.proxy.proxy is not None:
            server = site.proxy.proxy
            address = site.proxy.subnet.address.ip
            proxy = ProxyServer(server.protocol.value, address, server.port)
        return Person(
            role,
            self._people[role],
            _PathDisk(lab.disk(role.value)),
            firewall=_HostFirewall(lab, role.value) if opens else None,
            proxy=proxy,
            proxy_client=site.proxy_client,
        )

    def _site(self, role: Role) -> Site:
        topology = self._scenario.topology
        return topology.novice if role is Role.NOVICE else topology.expert

    def _abandon(self, sighting: Sighting) -> None:
        """Tell a dialler that a rule has ended its SYN, so that it need not wait for patience."""
        if sighting.event is Event.ENDED and (sent := origin(self._lab.watch.sightings, sighting)):
            node, syn = sent
            # The host's own, or its proxy's: both are named after the role.
            dialler = self._people[Role(node.partition(".")[0])]
            dialler.post("abandon", address=str(syn.destination), port=syn.destination_port)

    def _observe(self, calls: Sequence[Call]) -> Observed:
        """Join what the diallers know with what the kernels saw."""
        sightings = self._lab.watch.sightings
        proxies = {role: proxy_node(role, self._site(role)) for role in Role}
        attempts = tuple(
            attempt(call.dialler, call.dialled, sightings, proxies[call.dialler]) for call in calls
        )
        proven = [call for call in calls if call.dialled.proven is not None]
        if not proven:
            return Observed(answer=Answer.NO, winner=None, attempts=attempts)
        first = min(proven, key=lambda call: call.dialled.proven or 0.0)
        winner = Winner(
            dialler=first.dialler,
            address=first.dialled.address,
            port=first.dialled.port,
            seconds=round(first.dialled.seconds, 6),
        )
        return Observed(answer=Answer.YES, winner=winner, attempts=attempts)


class _HostFirewall:
    """The firewall that is on a host of the lab."""

    def __init__(self, lab: Lab, node: str) -> None:
        self._lab = lab
        self._node = node

    def open(self, port: int) -> None:
        self._lab.open_port(self._node, port)

    def close(self, port: int) -> None:
        self._lab.close_port(self._node, port)


def _trace_controls(observed: Observed) -> list[Control]:
    """A "No" counts only where every attempt's end was seen."""
    if observed.answer is Answer.YES:
        return []
    return [
        Control(
            name=TRACE_CONTROL,
            node=each.ended_at or each.dialler.value,
            passed=bool(each.ended_at),
            detail=f"{each.dialler} to {each.address}:{each.port}: {each.how}",
        )
        for each in observed.attempts
    ]


def _send_evidence(lab: Lab, send: Send) -> None:
    for role in Role:
        invitation = lab.disk(role.value) / INVITATION
        if invitation.exists():
            name = f"{role}.MsRcIncident"
            send({"file": name, "text": invitation.read_text(encoding="ascii")})
    for name, text in lab.daemon_logs().items():
        send({"file": f"{name}.log", "text": text[-LOG_KEPT:]})
