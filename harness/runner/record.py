"""What came of one scenario, gathered from its messages and judged when it has ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from harness.judge.model import (
    Control,
    Documented,
    Predicted,
    ScenarioResult,
    Timing,
)
from harness.judge.verdict import judge
from harness.kb import claim_for, statements_for
from harness.prediction import Options, predict
from harness.runner.gathered import Gathered
from harness.runner.results_folder import ResultsFolder
from harness.runner.scenario import Scenario
from harness.runtime.meter import CpuMeter
from harness.runtime.pool import Message
from harness.words import Answer, Verdict, chain_name


@dataclass(frozen=True)
class Ended:
    """How a lab's process ended.

    ``status`` is negative for the signal that ended it, ``at`` is CLOCK_MONOTONIC, ``cpu`` one
    scenario's share of its CPU seconds; ``last`` is set for the last of the lab's scenarios.
    """

    status: int
    at: float
    cpu: float
    last: bool


class Record:
    """What came of one scenario: what was gathered of it, and how its lab ended."""

    def __init__(self, scenario: Scenario, bundling: CpuMeter) -> None:
        """Begin with nothing; ``bundling`` counts what writing bundles takes."""
        self.scenario = scenario
        self._bundling = bundling
        self.began = False
        self._gathered = Gathered(scenario)

    def take(self, message: Message, content: bytes = b"") -> None:
        """Keep what a message says, and the content that came with it."""
        self.began = self.began or "began" in message
        self._gathered.take(message, content)

    def result(self, folder: ResultsFolder, ended: Ended | None) -> ScenarioResult:
        """Judge the scenario and write its bundle.

        ``ended`` says how its lab's process ended; None where the world ended before.

        Raises:
            RunError: the bundle cannot be written.
        """
        scenario = self.scenario
        observed, controls = self._gathered.observed, self._gathered.controls
        documented = documented_answer(scenario)
        if observed is None:
            verdict, why = Verdict.ERROR, self._explain(ended)
        else:
            verdict, why = judge(documented, observed, controls)
        timing = self._timing(ended)
        result = ScenarioResult(
            id=scenario.id,
            method=scenario.method,
            novice=scenario.novice,
            expert=scenario.expert,
            documented=documented,
            predicted=predicted_answer(scenario),
            observed=observed,
            controls=controls,
            verdict=verdict,
            why=why,
            seconds=_total(timing),
            timing=timing,
            bundle=folder.bundle(scenario.id),
        )
        with self._bundling:
            self._gathered.write(folder, result)
        return result

    def _explain(self, ended: Ended | None) -> str:
        trouble = self._gathered.trouble
        if self._gathered.outcome is not None:
            return _with_failed(str(trouble), self._gathered.controls)
        if not self.began and ended is not None:
            return "its lab ended before its turn: see the scenario before it"
        last = next((line for line in reversed(self._gathered.lines) if "event" in line), None)
        after = f"; the last that was heard: {last['node']} {last['event']}" if last else ""
        if ended is None:
            return f"the sealed world ended before it did{after}"
        if trouble is not None:
            return f"{trouble}{after}"
        if ended.status == -signal.SIGKILL:
            return f"it was killed at its deadline{after}"
        return f"its process ended with status {ended.status}{after}"

    def _timing(self, ended: Ended | None) -> Timing | None:
        outcome = self._gathered.outcome
        if outcome is None or ended is None:
            return None
        began, ready, over = (outcome[key] for key in ("began", "ready", "over"))
        return Timing(
            bring_up=round(ready - began, 6),
            scenario=round(over - ready, 6),
            tear_down=round(ended.at - over, 6) if ended.last else 0.0,
            cpu=round(ended.cpu, 6),
            evidence=round(outcome["evidence"], 6),
        )


def documented_answer(scenario: Scenario) -> Documented | None:
    """Return what the article says of a scenario: its tables, where they speak, else its prose.

    Of several statements one with a definite answer is taken. The tables say nothing of the port
    that the expert listens on, so they speak of a scenario whichever it is; of a proxy's client
    they do not speak, and nothing of the article of a router without a public address.
    """
    if scenario.topology.internet.reserved:
        return None
    if not scenario.variant.proxy_client:
        claim = claim_for(scenario.method, *scenario.stands_for)
        if claim is not None:
            return Documented(answer=claim.answer, claim=claim.id, source=claim.source)
    novice, expert = map(chain_name, scenario.stands_for)
    statements = sorted(
        statements_for(f"{scenario.method}/{novice}+{expert}{scenario.variant.suffix}"),
        key=lambda statement: statement.answer is Answer.DEPENDS,
    )
    if not statements:
        return None
    first = statements[0]
    return Documented(answer=first.answer, claim=first.id, source=first.source)


def predicted_answer(scenario: Scenario) -> Predicted:
    """Return what the model of devices and methods says of a scenario."""
    options = Options(expert_port=scenario.terms.expert_port)
    prediction = predict(scenario.topology, scenario.method, options)
    return Predicted(answer=prediction.answer, why=prediction.why)


def _with_failed(error: str, controls: tuple[Control, ...]) -> str:
    """Add to an error the failed control that is likely behind it."""
    failed = [control for control in controls if not control.passed]
    return f"{error} ({failed[0].node}: {failed[0].detail})" if failed else error


def _total(timing: Timing | None) -> float:
    return 0.0 if timing is None else round(timing.bring_up + timing.scenario, 6)
