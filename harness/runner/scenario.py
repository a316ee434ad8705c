"""The scenarios of one lab, from bring-up to tear-down, in a process of their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.assistance.methods import assist
from harness.assistance.people import Person, ProxyServer, Services, Terms
from harness.errors import ScenarioError
from harness.judge.evidence import (
    Call,
    capture_control,
    journey_controls,
    mirrored,
    observe,
    removal_controls,
    trace_controls,
)
from harness.judge.journey import Event, Sighting, origin
from harness.judge.model import Control, Observed
from harness.kb import Variant
from harness.lab.lab import Lab
from harness.lab.program import Facts
from harness.protocol.pcapng import Frame
from harness.runner import evidence
from harness.runner.programs import SERVICES_OF, Programs, believes_refusal
from harness.runtime.node import Maker
from harness.runtime.pool import Message, Send
from harness.topology.model import Topology
from harness.topology.plan import plan, proxy_node
from harness.words import Method, Role, chain_name


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
    def stands_for(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Both chains as the article would name them: a real router is what it is claimed to be."""
        return self.topology.novice.stands_for, self.topology.expert.stands_for

    @property
    def variant(self) -> Variant:
        """What the two people do otherwise than by default."""
        sites = self.topology.sites.items()
        clients = tuple(role for role, site in sites if site.proxy_client)
        return Variant(expert_port=self.terms.expert_port, proxy_client=clients)


def proxies_of(topology: Topology) -> dict[Role, str | None]:
    """Return the node of each site's proxy, None where it has none."""
    return {role: proxy_node(role, site) for role, site in topology.sites.items()}


@dataclass(frozen=True)
class Stage:
    """A lab in which everything is ready for a scenario, and its two people.

    ``observe`` joins what the diallers know of some attempts with what was seen of them so far.
    """

    scenario: Scenario
    lab: Lab
    novice: Person
    expert: Person
    services: Services
    observe: Callable[[Sequence[Call]], Observed]


Script = Callable[[Stage], Awaitable[list[Call]]]
"""What the two people do; returns every attempt, in the order in which they began."""


async def by_method(stage: Stage) -> list[Call]:
    """Be the script of a scenario: its method, end to end."""
    scenario = stage.scenario
    return await assist(scenario.method, stage.novice, stage.expert, stage.services, scenario.terms)


def perform(
    scenarios: Mapping[int, Scenario],
    maker: Maker,
    capture: bool,
    send: Send,
    script: Script = by_method,
) -> None:
    """Play scenarios of one topology by a script, by number, one after the other in one lab.

    Each but the first begins when the lab is as it was when it came up. Sends for each, with its
    number as ``"scenario"``: ``{"began": t}``, ``{"event": ..., "node": ...}`` for each step,
    ``{"file": name}`` and the content for each file of evidence, and at last ``{"outcome": {...}}``
    with ``observed`` or ``error``, ``controls``, ``evidence`` (CPU seconds spent on it), and the
    times ``began``, ``ready`` and ``over`` (CLOCK_MONOTONIC, seconds). Bring-up is the first one's
    time, tear-down the last one's. With ``capture`` every interface is captured.
    """
    lab: Lab | None = None
    turns = [_Turn(number, scenario, send) for number, scenario in scenarios.items()]
    first = turns[0]
    first.begin()
    try:
        with Lab(plan(first.scenario.topology), maker, first.told, capture) as lab:
            for turn in turns:
                if turn is not first:
                    turn.begin()
                    lab.renew(turn.told)
                turn.play(lab, script, last=turn is turns[-1])
    except ScenarioError as failure:
        for turn in turns:
            if not turn.over:
                turn.fail(str(failure), lab.controls if lab else [])


class _Turn:
    """One scenario's turn in a lab, and what is sent of it."""

    def __init__(self, number: int, scenario: Scenario, send: Send) -> None:
        self.scenario = scenario
        self.over = False
        self._number = number
        self._to_harness = send
        self._began = self._ready = 0.0

    def begin(self) -> None:
        """Its time begins now."""
        self._began = self._ready = time.monotonic()
        self._send({"began": self._began})

    def told(self, node: str, event: Facts) -> None:
        """Hear what a program of it tells."""
        self._send({**event, "node": node})

    def play(self, lab: Lab, script: Script, last: bool) -> None:
        """Play it in a lab that is up, and send what was seen."""
        played: Played | None = None
        error: str | None = None
        try:
            play = _Play(self.scenario, lab)
            lab.check()
            self._ready = time.monotonic()
            played = asyncio.run(play.run(script))
        except ScenarioError as failure:
            error = str(failure)
        over = time.monotonic()
        with lab.evidence:
            self._send_evidence(lab, played, last)
        evidence_cpu, lab.evidence.seconds = lab.evidence.seconds, 0.0
        observed = played.observed if played else None
        self._close(observed, error, lab.controls, over, evidence_cpu)

    def _send_evidence(self, lab: Lab, played: Played | None, last: bool) -> None:
        """Send every file of the bundle, and hold the capture against what was observed."""
        if (capture := lab.capture) is not None:
            frames, interfaces, lost = lab.captured(), capture.interfaces, capture.lost
            if last:
                lab.end_capture()
            lab.controls.append(capture_control(frames, interfaces, lost))
            seen = mirrored(lab.plan, frames)
            if played is not None:
                lab.controls += played.journey_controls(seen)
            file = evidence.capture_file(interfaces, frames, lost)
            self._send({"file": evidence.CAPTURE}, file)
            for node, line in evidence.exchanges(lab.plan, seen):
                self.told(node, line)
        for name, content in evidence.files(lab):
            self._send({"file": name}, content)

    def fail(self, error: str, controls: Sequence[Control]) -> None:
        """Send that it could not be played."""
        self._close(None, error, controls, time.monotonic(), 0.0)

    def _close(
        self,
        observed: Observed | None,
        error: str | None,
        controls: Sequence[Control],
        over: float,
        evidence_cpu: float,
    ) -> None:
        outcome = {
            "observed": observed.model_dump(mode="json") if observed is not None else None,
            "error": error,
            "controls": [control.model_dump(mode="json") for control in controls],
            "began": self._began or over,
            "ready": self._ready or over,
            "over": over,
            "evidence": evidence_cpu,
        }
        self._send({"outcome": outcome})
        self.over = True

    def _send(self, message: Message, content: bytes | None = None) -> None:
        self._to_harness({"scenario": self._number, **message}, content)


class _PathDisk:
    """A node's disk that is a folder of ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def put(self, name: str, content: bytes) -> None:
        (self._folder / name).write_bytes(content)


@dataclass(frozen=True)
class Played:
    """What came of a scenario: every attempt, and what they come to.

    ``proxies`` has the node of each site's proxy.
    """

    calls: Sequence[Call]
    observed: Observed
    proxies: Mapping[Role, str | None]

    def journey_controls(self, frames: Sequence[Frame]) -> Iterator[Control]:
        """Hold every attempt against a capture."""
        return journey_controls(self.calls, self.observed, frames, self.proxies)


class _Play:
    """The programs of one scenario, and the eye kept on them."""

    def __init__(self, scenario: Scenario, lab: Lab) -> None:
        """Start every program that the method needs; a service it does not need is not there."""
        self._scenario = scenario
        self._lab = lab
        self._programs = Programs(lab, SERVICES_OF[scenario.method])

    async def run(self, script: Script = by_method) -> Played:
        """Play it by a script."""
        lab, scenario = self._lab, self._scenario
        services = Services(lab.plan.services, Role.EXPERT.value, secrets.token_urlsafe(9))
        await self._programs.begin(services)
        await self._programs.search()
        await lab.probe()
        lab.watch.follow(self._abandon)
        novice, expert = (self._person(role) for role in Role)
        calls = await script(Stage(scenario, lab, novice, expert, services, self._observe))
        observed = self._observe(calls)
        lab.controls += trace_controls(observed)
        lab.controls += removal_controls(self._told(), scenario.topology)
        return Played(calls, observed, proxies_of(scenario.topology))

    def _observe(self, calls: Sequence[Call]) -> Observed:
        proxies = proxies_of(self._scenario.topology)
        return observe(calls, self._lab.sightings(), proxies, self._told())

    def _told(self) -> list[Facts]:
        people = self._programs.people.values()
        return [line for program in people for line in program.events]

    def _person(self, role: Role) -> Person:
        lab, site = self._lab, self._scenario.topology.sites[role]
        firewall = site.host_firewall
        opens = firewall is not None and firewall.opened_by_remote_assistance
        proxy = None
        if site.proxy is not None and site.proxy.proxy is not None:
            server = site.proxy.proxy
            address = site.proxy.subnet.address.ip
            proxy = ProxyServer(server.protocol.value, address, server.port)
        return Person(
            role,
            self._programs.people[role],
            _PathDisk(lab.disk(role.value)),
            firewall=_HostFirewall(lab, role.value) if opens else None,
            proxy=proxy,
            proxy_client=site.proxy_client,
            witness=lambda port: lab.check_invitation(role.value, port),
            believe_refusal=believes_refusal(site),
        )

    def _abandon(self, sighting: Sighting) -> None:
        """Tell a dialler that a rule has ended its SYN, so that it need not wait for patience."""
        if sighting.event is Event.ENDED and (sent := origin(self._lab.watch.sightings, sighting)):
            node, syn = sent
            # The host's own, or its proxy's: both are named after the role.
            dialler = self._programs.people[Role(node.partition(".")[0])]
            dialler.post("abandon", address=str(syn.destination), port=syn.destination_port)


class _HostFirewall:
    """The firewall that is on a host of the lab."""

    def __init__(self, lab: Lab, node: str) -> None:
        self._lab = lab
        self._node = node

    def open(self, port: int) -> None:
        self._lab.open_port(self._node, port)

    def close(self, port: int) -> None:
        self._lab.close_port(self._node, port)
