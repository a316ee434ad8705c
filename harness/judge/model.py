"""The shape of ``results.json``.

The field names are a contract with other programs (docs/results.md): fields may be added, none is
renamed or removed without raising :data:`SCHEMA`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from harness.judge.card import Card
from harness.judge.record import Record, Seconds
from harness.words import Answer, End, Method, Role, Verdict

SCHEMA: Final = 1

Port = Annotated[int, Field(ge=0, le=65535)]


class Documented(Record):
    """What the article states for this scenario."""

    answer: Answer
    claim: str
    source: str


class Predicted(Record):
    """What the model of devices and methods says, computed without a packet."""

    answer: Literal[Answer.YES, Answer.NO]
    why: str


class Attempt(Record):
    """One dial of one address of a ticket.

    ``seconds`` is the attempt's length. ``ended_at`` names the node at which the SYN's journey
    ended and ``how`` says what happened there, in the kernel's word where there is one.
    """

    dialler: Role
    address: str
    port: Port
    seconds: Seconds
    end: End
    ended_at: str
    how: str


class Winner(Record):
    """The connection that counted: who dialled it, and where to."""

    dialler: Role
    address: str
    port: Port
    seconds: Seconds


class Observed(Record):
    """What real TCP did: every attempt, in order, with its end.

    ``told`` is what each person's computer was told by its gateway when it asked for a mapping, a
    line each.
    """

    answer: Literal[Answer.YES, Answer.NO]
    winner: Winner | None
    attempts: tuple[Attempt, ...]
    told: tuple[str, ...] = ()


class Control(Record):
    """A check, made before the scenario counts, that a node is what its definition says."""

    name: str
    node: str
    passed: bool
    detail: str


class Timing(Record):
    """Where a scenario's time went: wall seconds, and CPU seconds of all its processes.

    ``evidence`` is what of ``cpu`` went into controls, capture and bundle.
    """

    bring_up: Seconds
    scenario: Seconds
    tear_down: Seconds
    cpu: Seconds
    evidence: Seconds = 0.0


class ScenarioResult(Record):
    """One scenario's answers and verdict; ``why`` is the reason in one line."""

    id: str
    method: Method
    novice: tuple[str, ...]
    expert: tuple[str, ...]
    documented: Documented | None
    predicted: Predicted | None
    observed: Observed | None
    controls: tuple[Control, ...]
    verdict: Verdict
    why: str
    seconds: Seconds
    timing: Timing | None
    bundle: str | None


class Router(Record):
    """A real router that scenarios were run against.

    ``claims`` is the device whose class its maker states, ``gateway`` its LAN address, ``external``
    the one on its WAN. ``wan_addressing`` says how it got that: ``dhcp`` or ``static``.
    """

    name: str
    model: str
    firmware: str
    claims: str
    gateway: str
    external: str
    wan_addressing: str


class Run(Record):
    """Which run this was, on what, and for how long.

    ``bundling`` is the CPU seconds that the harness itself spent on writing bundles. ``routers``
    are the real ones that stood in for devices.
    """

    id: str
    started: datetime
    seconds: Seconds
    bundling: Seconds = 0.0
    runtime: str
    jobs: Annotated[int, Field(ge=1)]
    versions: dict[str, str]
    host: dict[str, str]
    routers: tuple[Router, ...] = ()


class Summary(Record):
    """How many scenarios got each verdict."""

    agrees: int = 0
    differs: int = 0
    undocumented: int = 0
    invalid: int = 0
    error: int = 0


class Results(Record):
    """The whole of ``results.json``; ``cards`` has a card for each real router."""

    # The contract calls the version number of the layout "schema".
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    layout: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    run: Run
    scenarios: tuple[ScenarioResult, ...]
    summary: Summary
    cards: tuple[Card, ...] = ()
