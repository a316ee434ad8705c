"""What the files of a bundle show: read with every length and kind checked, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from harness.judge.evidence import Call, Line, Logged, calls, mirrored, observe, seen_of_gear
from harness.judge.journey import Sighting
from harness.judge.model import Control, Observed, ScenarioResult
from harness.protocol import pcapng
from harness.protocol.pcapng import CaptureError, Frame
from harness.runner import evidence
from harness.runner.bundle import CONTROLS, TRANSCRIPT, Bundle
from harness.runner.scenario import Scenario, proxies_of
from harness.topology.model import Site
from harness.topology.plan import LabPlan, plan
from harness.words import End, Role

# A run's own bundle has a hundredth of these. They bound what a made-up one can cost.
_MAX_LINES = 20_000
_MAX_FRAMES = 50_000
_MAX_ATTEMPTS = 32


class _Attempt(BaseModel):
    """As :class:`harness.protocol.replies.Dialled` is written down."""

    address: str
    port: int
    local_port: int
    started: FiniteFloat
    seconds: FiniteFloat
    end: End
    detail: str
    via_proxy: bool
    session: str | None
    proven: FiniteFloat | None


class _Facts(BaseModel):
    """What a command or its reply says, as far as a judge needs it."""

    attempts: Annotated[tuple[_Attempt, ...], Field(max_length=_MAX_ATTEMPTS)] = ()
    offered: str | None = None


class _Line(BaseModel):
    """One line of a transcript, as far as a judge needs it; which keys it has is its meaning."""

    node: str
    event: str = ""
    asked: str = ""
    answered: int = 0
    id: int = 0
    session: str | None = None
    address: str = ""
    port: int = 0
    local_port: int = 0
    via_proxy: bool = False
    external: str = ""
    protocol: str = ""
    why: str = ""
    facts: _Facts = _Facts()

    @classmethod
    def read(cls, line: bytes) -> Line:
        """Return the keys that a line has, each with a value of its kind."""
        return cls.model_validate_json(line).model_dump(exclude_unset=True)


_LOGGED = TypeAdapter(dict[str, str])
_CONTROL_LIST = TypeAdapter(tuple[Control, ...])


@dataclass(frozen=True)
class Evidence:
    """All that a bundle shows, read; ``frames`` is None where the run captured nothing.

    ``result`` is what ``verdict.json`` says, ``observed`` what was derived from the rest.
    """

    scenario: Scenario
    nodes: Mapping[str, Any]
    result: ScenarioResult
    files: Mapping[str, bytes]
    transcript: Sequence[Line]
    logged: Sequence[Logged]
    sightings: Sequence[Sighting]
    frames: Sequence[Frame] | None
    controls: Sequence[Control]
    made: Sequence[Call]
    observed: Observed

    @property
    def lab(self) -> LabPlan:
        """The plan of the lab that it was played in."""
        return plan(self.scenario.topology)

    @property
    def seen_frames(self) -> Sequence[Frame]:
        """The frames that a journey can be rebuilt from; none where nothing was captured."""
        return mirrored(self.lab, self.frames or ())

    @property
    def sites(self) -> Mapping[Role, Site]:
        """Both people's sites."""
        return self.scenario.topology.sites


def show(bundle: Bundle) -> Evidence:
    """Read every file of a bundle, and derive from them again what was observed.

    Raises:
        ValueError: a file is not what it should be.
        KeyError: a file or a part of it is missing.
    """
    scenario, files = bundle.definition.scenario(), bundle.files
    logged = [Logged.read(_LOGGED.validate_json(line)) for line in _lines(files, evidence.KERNEL)]
    sightings = [seen for each in logged if (seen := each.sighting()) is not None]
    frames = _frames(files)
    lab = plan(scenario.topology)
    sightings += seen_of_gear(lab, frames or ())
    transcript: list[Line] = [_Line.read(line) for line in _lines(files, TRANSCRIPT)]
    made = calls(transcript)
    return Evidence(
        scenario=scenario,
        nodes=bundle.definition.nodes,
        result=bundle.result,
        files=files,
        transcript=transcript,
        logged=logged,
        sightings=sightings,
        frames=frames,
        controls=_CONTROL_LIST.validate_json(files[CONTROLS]),
        made=made,
        observed=observe(made, sightings, proxies_of(scenario.topology), transcript),
    )


def _frames(files: Mapping[str, bytes]) -> list[Frame] | None:
    content = files.get(evidence.CAPTURE)
    if content is None:
        return None
    frames = list(islice(pcapng.read(BytesIO(content)), _MAX_FRAMES + 1))
    if len(frames) > _MAX_FRAMES:
        raise CaptureError(f"{evidence.CAPTURE} has more than {_MAX_FRAMES} frames")
    return frames


def _lines(files: Mapping[str, bytes], name: str) -> list[bytes]:
    content = files[name]
    if content.count(b"\n") > _MAX_LINES:
        raise ValueError(f"{name} has more than {_MAX_LINES} lines")
    return content.splitlines()
