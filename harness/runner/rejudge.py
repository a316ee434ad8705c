"""Judges a bundle again: with nothing but its files, on any machine, without root.

Observation and verdict are derived anew from transcript, kernel log, capture and definition, by the
functions that the run used. A bundle that was altered is ``invalid``: it does not show what was. It
is known by its checksums and, where those were mended, by what its files say against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.errors import DefinitionError
from harness.judge.evidence import (
    capture_control,
    journey_controls,
    removal_controls,
    trace_controls,
)
from harness.judge.model import Results, ScenarioResult
from harness.judge.verdict import judge, summarize
from harness.report.results_file import first_error
from harness.report.wording import plain
from harness.runner.bundle import VERDICT, Bundle, nodes, read, unpack
from harness.runner.contradictions import contradictions
from harness.runner.record import documented_answer, predicted_answer
from harness.runner.results_folder import BUNDLES, RESULTS
from harness.runner.scenario import proxies_of
from harness.runner.shown import show
from harness.words import Verdict


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
    shown = show(bundle)
    why = next(contradictions(shown, nodes(shown.scenario.topology)), None)
    if why is not None:
        return _invalid(bundle.result, f"the bundle contradicts itself: {why}")
    derived = trace_controls(shown.observed)
    derived += removal_controls(shown.transcript, shown.scenario.topology)
    if shown.frames is not None:
        proxies = proxies_of(shown.scenario.topology)
        derived += journey_controls(shown.made, shown.observed, shown.seen_frames, proxies)
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
