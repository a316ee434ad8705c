"""Judges a bundle again: with nothing but its files, on any machine, without root.

Observation and verdict are derived anew from transcript, kernel log, capture and definition, by the
functions that the run used. A bundle that was altered is ``invalid``: it does not show what was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import DefinitionError
from harness.judge.evidence import Logged, calls, capture_control, observe, trace_controls
from harness.judge.model import Control, ScenarioResult
from harness.judge.verdict import judge
from harness.protocol import pcapng
from harness.protocol.pcapng import CaptureError
from harness.runner import evidence
from harness.runner.bundle import CONTROLS, TRANSCRIPT, VERDICT, Bundle, unpack
from harness.runner.record import documented_answer, predicted_answer
from harness.runner.results_folder import BUNDLES
from harness.runner.scenario import Scenario
from harness.topology.plan import proxy_node
from harness.words import Role, Verdict

_CONTROL_LIST = TypeAdapter(tuple[Control, ...])


@dataclass(frozen=True)
class Judged:
    """What the run said of a scenario, and what its bundle says."""

    path: Path
    before: ScenarioResult
    now: ScenarioResult

    @property
    def agrees(self) -> bool:
        """Whether both come to the same verdict and answer."""
        return _essence(self.before) == _essence(self.now)


def bundles(path: Path) -> Iterator[Path]:
    """Yield the bundles that a path names: itself, or those of a results folder.

    Raises:
        DefinitionError: there are none.
    """
    if (path / VERDICT).is_file():
        yield path
        return
    found = sorted(file.parent for file in (path / BUNDLES).rglob(VERDICT))
    if not found:
        raise DefinitionError(f"{path} is neither a bundle ({VERDICT}) nor a results folder")
    yield from found


def rejudge(path: Path) -> Judged:
    """Judge one bundle.

    Raises:
        DefinitionError: it is no bundle.
    """
    bundle = unpack(path)
    return Judged(path, bundle.result, _judge(bundle))


def _judge(bundle: Bundle) -> ScenarioResult:
    before = bundle.result
    if before.observed is None:
        # Nothing was observed then; nothing can be now.
        return before
    if bundle.altered is not None:
        return _invalid(before, f"the bundle was altered: {bundle.altered}")
    try:
        return _derive(bundle)
    except (CaptureError, ValidationError, ValueError, KeyError, TypeError) as error:
        said = str(error).splitlines()
        return _invalid(before, f"the bundle cannot be read: {said[0] if said else error!r}")


def _derive(bundle: Bundle) -> ScenarioResult:
    """Derive everything but times from the files of a bundle."""
    scenario = bundle.definition.scenario()
    files = bundle.files
    logged = [Logged.read(line) for line in _lines(files[evidence.KERNEL])]
    sightings = [seen for each in logged if (seen := each.sighting()) is not None]
    made = calls(_lines(files[TRANSCRIPT]))
    observed = observe(made, sightings, _proxies(scenario))
    controls = list(_CONTROL_LIST.validate_json(files[CONTROLS]))
    derived = trace_controls(observed)
    if evidence.CAPTURE in files:
        frames = list(pcapng.read(BytesIO(files[evidence.CAPTURE])))
        seen_on = sorted({frame.interface for frame in frames})
        derived.append(capture_control(frames, seen_on, lost=0))
    known = {control.name for control in controls if control.passed}
    controls += [each for each in derived if not each.passed or each.name not in known]
    documented = documented_answer(scenario)
    verdict, why = judge(documented, observed, controls)
    return bundle.result.model_copy(
        update={
            "documented": documented,
            "predicted": predicted_answer(scenario),
            "observed": observed,
            "controls": tuple(controls),
            "verdict": verdict,
            "why": why,
        }
    )


def _proxies(scenario: Scenario) -> Mapping[Role, str | None]:
    sites = {Role.NOVICE: scenario.topology.novice, Role.EXPERT: scenario.topology.expert}
    return {role: proxy_node(role, site) for role, site in sites.items()}


def _invalid(before: ScenarioResult, why: str) -> ScenarioResult:
    return before.model_copy(update={"verdict": Verdict.INVALID, "why": why})


def _lines(content: bytes) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def _essence(result: ScenarioResult) -> tuple[object, ...]:
    answer = result.observed.answer if result.observed is not None else None
    return result.verdict, answer
