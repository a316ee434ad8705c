"""What a lab that a test plays in was heard to do, and its bundle."""

from __future__ import annotations

from harness.judge.model import ScenarioResult
from harness.judge.verdict import judge
from harness.plugin.asked import BY_HAND
from harness.runner.gathered import Gathered
from harness.runner.results_folder import ResultsFolder
from harness.runner.scenario import Scenario
from harness.runtime.pool import Message
from harness.words import Verdict


class Heard:
    """What came of one lab, and how it ended."""

    def __init__(self, scenario: Scenario) -> None:
        """Begin with nothing."""
        self._gathered = Gathered(scenario)
        self._status: int | None = None

    def take(self, message: Message, content: bytes) -> None:
        """Keep what a message says, and the content that came with it."""
        if "ended" in message:
            self._status = message["ended"]
        else:
            self._gathered.take(message, content)

    def write(self, folder: ResultsFolder) -> ScenarioResult:
        """Write the bundle, and return what it says: no claim, no prediction, no "agrees".

        Raises:
            RunError: it cannot be written.
        """
        result = self._result(folder)
        self._gathered.write(folder, result)
        return result

    def _result(self, folder: ResultsFolder) -> ScenarioResult:
        gathered, scenario = self._gathered, self._gathered.scenario
        outcome, observed, controls = gathered.outcome, gathered.observed, gathered.controls
        if observed is None:
            ended = f"its process ended with status {self._status}"
            verdict, why = Verdict.ERROR, gathered.trouble or ended
        else:
            verdict, why = judge(None, observed, controls)
        name = f"{scenario.id}{BY_HAND}"
        return ScenarioResult(
            id=name,
            method=scenario.method,
            novice=scenario.novice,
            expert=scenario.expert,
            documented=None,
            predicted=None,
            observed=observed,
            controls=controls,
            verdict=verdict,
            why=why,
            seconds=round(outcome["over"] - outcome["began"], 6) if outcome else 0.0,
            timing=None,
            bundle=folder.bundle(name),
        )
