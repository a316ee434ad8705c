"""Judges a bundle again: with nothing but its files, on any machine, without root.

Observation and verdict are derived anew from transcript, kernel log, capture and definition, by the
functions that the run used. A bundle that was altered is ``invalid``: it does not show what was. It
is known by its checksums and, where those were mended, by what its files say against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError

from harness.errors import DefinitionError
from harness.judge.evidence import (
    Line,
    Logged,
    calls,
    capture_control,
    journey_controls,
    observe,
    trace_controls,
)
from harness.judge.model import Control, Results, ScenarioResult
from harness.judge.verdict import judge, summarize
from harness.protocol import pcapng
from harness.protocol.pcapng import CaptureError, Frame
from harness.report.results_file import first_error
from harness.report.wording import plain
from harness.runner import evidence
from harness.runner.bundle import CONTROLS, TRANSCRIPT, VERDICT, Bundle, nodes, read, unpack
from harness.runner.contradictions import Evidence, contradictions
from harness.runner.record import documented_answer, predicted_answer
from harness.runner.results_folder import BUNDLES, RESULTS
from harness.runner.scenario import proxies_of
from harness.words import End, Verdict

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
    facts: _Facts = _Facts()

    @classmethod
    def read(cls, line: bytes) -> Line:
        """Return the keys that a line has, each with a value of its kind."""
        return cls.model_validate_json(line).model_dump(exclude_unset=True)


_LOGGED = TypeAdapter(dict[str, str])
_CONTROL_LIST = TypeAdapter(tuple[Control, ...])


@dataclass(frozen=True)
class Found:
    """A bundle that is to be judged.

    ``told`` is what the results folder's ``results.json`` says of it. ``trouble`` is set where that
    and the bundles that there are do not go together.
    """

    path: Path
    told: ScenarioResult | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class Judged:
    """What the run said of a scenario, and what its bundle says."""

    path: Path
    before: ScenarioResult
    now: ScenarioResult


def bundles(path: Path) -> Iterator[Found]:
    """Yield the bundles that a path names: itself, or those of a results folder.

    Raises:
        DefinitionError: there are none, or ``results.json`` is none.
    """
    try:
        if (path / VERDICT).exists():
            yield Found(path)
            return
        told = _results(path / RESULTS)
        folders = dict.fromkeys(sorted(each.parent for each in (path / BUNDLES).rglob(VERDICT)))
    except OSError as error:
        raise DefinitionError(f"{plain(str(path))}: {error.strerror}") from error
    if told is None and not folders:
        raise DefinitionError(
            f"{plain(str(path))} is neither a bundle ({VERDICT}) nor a results folder"
        )
    listed = {} if told is None else {path / BUNDLES / each.id: each for each in told.scenarios}
    for folder, scenario in listed.items():
        yield Found(folder, scenario, None if folder in folders else "it has no bundle")
    stray = None if told is None else f"{RESULTS} does not have this scenario"
    for folder in folders:
        if folder not in listed:
            yield Found(folder, trouble=stray)


def rejudge(found: Found) -> Judged:
    """Judge one bundle.

    Raises:
        DefinitionError: it is no bundle, and nothing else says what it was.
    """
    if found.told is not None and found.trouble is not None:
        return Judged(found.path, found.told, _invalid(found.told, found.trouble))
    try:
        bundle = unpack(found.path)
    except DefinitionError as error:
        if found.told is None:
            raise
        return Judged(found.path, found.told, _invalid(found.told, f"its bundle is none: {error}"))
    before = found.told or bundle.result
    if found.trouble is not None:
        now = _invalid(before, found.trouble)
    elif before != bundle.result:
        now = _invalid(before, f"{RESULTS} has another result of it than its bundle's {VERDICT}")
    else:
        now = _judge(bundle)
    return Judged(found.path, before, now)


def _judge(bundle: Bundle) -> ScenarioResult:
    before = bundle.result
    if bundle.altered is not None:
        return _invalid(before, f"the bundle was altered: {bundle.altered}")
    if before.observed is None:
        if before.verdict is not Verdict.ERROR:
            return _invalid(before, f"{VERDICT} says {before.verdict}, and that nothing was seen")
        # Nothing was observed then; nothing can be now.
        return before
    try:
        return _derive(bundle)
    except (ValueError, KeyError, TypeError) as error:
        return _invalid(before, f"the bundle cannot be read: {_reason(error)}")


def _derive(bundle: Bundle) -> ScenarioResult:
    """Derive everything but times from the files of a bundle."""
    shown = _show(bundle)
    why = next(contradictions(shown, nodes(shown.scenario.topology)), None)
    if why is not None:
        return _invalid(bundle.result, f"the bundle contradicts itself: {why}")
    derived = trace_controls(shown.observed)
    if shown.frames is not None:
        proxies = proxies_of(shown.scenario.topology)
        derived += journey_controls(shown.made, shown.observed, shown.frames, proxies)
        seen_on = sorted({frame.interface for frame in shown.frames})
        derived.append(capture_control(shown.frames, seen_on, lost=0))
    controls = list(shown.controls)
    known = {control.name for control in controls if control.passed}
    controls += [each for each in derived if not each.passed or each.name not in known]
    documented = documented_answer(shown.scenario)
    verdict, why = judge(documented, shown.observed, controls)
    return bundle.result.model_copy(
        update={
            "documented": documented,
            "predicted": predicted_answer(shown.scenario),
            "observed": shown.observed,
            "controls": tuple(controls),
            "verdict": verdict,
            "why": why,
        }
    )


def _show(bundle: Bundle) -> Evidence:
    """Read every file of a bundle.

    Raises:
        ValueError: a file is not what it should be.
        KeyError: a file or a part of it is missing.
    """
    scenario, files = bundle.definition.scenario(), bundle.files
    logged = [Logged.read(_LOGGED.validate_json(line)) for line in _lines(files, evidence.KERNEL)]
    sightings = [seen for each in logged if (seen := each.sighting()) is not None]
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
        frames=_frames(files),
        controls=_CONTROL_LIST.validate_json(files[CONTROLS]),
        made=made,
        observed=observe(made, sightings, proxies_of(scenario.topology)),
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


def _results(path: Path) -> Results | None:
    """Read ``results.json``; an interrupted run has none."""
    if not path.exists():
        return None
    where = plain(str(path))
    try:
        results = Results.model_validate_json(read(path))
    except ValidationError as error:
        raise DefinitionError(f"{where}: {first_error(error)}") from error
    except DefinitionError as error:
        raise DefinitionError(f"{where}: {error}") from error
    if results.summary != summarize(results.scenarios):
        raise DefinitionError(f"{where}: its summary does not count its scenarios")
    return results


def _reason(error: ValueError | KeyError | TypeError) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, ValidationError):
        return first_error(error)
    return " ".join(str(error).split())


def _invalid(before: ScenarioResult, why: str) -> ScenarioResult:
    return before.model_copy(update={"verdict": Verdict.INVALID, "why": why})
