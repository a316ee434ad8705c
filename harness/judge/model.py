"""The shape of ``results.json``.

The field names are a contract with other programs (docs/results.md): fields may be added, none is
renamed or removed without raising :data:`SCHEMA`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.words import Answer, End, Method, Role, Verdict

SCHEMA: Final = 1

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Record(BaseModel):
    """A frozen record; fields that a later harness added are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
    """What real TCP did: every attempt, in order, with its end."""

    answer: Literal[Answer.YES, Answer.NO]
    winner: Winner | None
    attempts: tuple[Attempt, ...]


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


class Run(Record):
    """Which run this was, on what, and for how long.

    ``bundling`` is the CPU seconds that the harness itself spent on writing bundles.
    """

    id: str
    started: datetime
    seconds: Seconds
    bundling: Seconds = 0.0
    runtime: str
    jobs: Annotated[int, Field(ge=1)]
    versions: dict[str, str]
    host: dict[str, str]


class Summary(Record):
    """How many scenarios got each verdict."""

    agrees: int = 0
    differs: int = 0
    undocumented: int = 0
    invalid: int = 0
    error: int = 0


class Results(Record):
    """The whole of ``results.json``."""

    # The contract calls the version number of the layout "schema".
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    layout: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    run: Run
    scenarios: tuple[ScenarioResult, ...]
    summary: Summary
