"""One scenario, from bring-up to tear-down, in a process of its own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.assistance.methods import Call, assist
from harness.assistance.people import INVITATION, Person, Services, Terms
from harness.errors import ScenarioError
from harness.judge.journey import Event, Sighting, attempt, origin
from harness.judge.model import Control, Observed, Winner
from harness.lab.lab import Lab
from harness.runtime.pool import Send
from harness.topology.model import Topology, chain_name
from harness.topology.plan import SERVICES, plan
from harness.words import Answer, Method, Role

READY_DEADLINE = 10.0

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
        """``METHOD/NOVICE+EXPERT``."""
        return f"{self.method}/{chain_name(self.novice)}+{chain_name(self.expert)}"


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
        novice, expert = (
            Person(role, program, _PathDisk(lab.disk(role.value)))
            for role, program in self._people.items()
        )
        calls = await assist(scenario.method, novice, expert, services, scenario.terms)
        lab.watch.drain()
        observed = _observe(calls, lab.watch.sightings)
        lab.controls += _trace_controls(observed)
        return observed

    def _abandon(self, sighting: Sighting) -> None:
        """Tell a dialler that a rule has ended its SYN, so that it need not wait for patience."""
        if sighting.event is Event.ENDED and (sent := origin(self._lab.watch.sightings, sighting)):
            node, port = sent
            self._people[Role(node)].post("abandon", local_port=port)


def _observe(calls: Sequence[Call], sightings: Sequence[Sighting]) -> Observed:
    """Join what the diallers know with what the kernels saw."""
    attempts = tuple(attempt(call.dialler, call.dialled, sightings) for call in calls)
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
        send({"file": f"{name}.miniupnpd.log", "text": text})
