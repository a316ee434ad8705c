"""What a lab that a test plays in was heard to do, and its bundle."""

from __future__ import annotations

import json

from harness.judge.model import Control, Observed, ScenarioResult
from harness.judge.verdict import judge
from harness.plugin.asked import BY_HAND
from harness.runner import bundle
from harness.runner.environment import environment
from harness.runner.record import without_paths
from harness.runner.results_folder import ResultsFolder
from harness.runner.scenario import Scenario
from harness.runtime.pool import Message
from harness.words import Verdict


class Heard:
    """Gathers the messages of one lab (see :func:`harness.runner.scenario.perform`)."""

    def __init__(self, scenario: Scenario) -> None:
        """Begin with nothing."""
        self._scenario = scenario
        self._lines: list[Message] = []
        self._files: dict[str, bytes] = {}
        self._outcome: Message | None = None
        self._failed: str | None = None
        self._status: int | None = None

    def take(self, message: Message, content: bytes) -> None:
        """Keep what a message says, and the content that came with it."""
        if "file" in message:
            self._files[message["file"]] = content
        elif "node" in message:
            self._lines.append(message)
        elif "outcome" in message:
            self._outcome = message["outcome"]
        elif "failed" in message:
            self._failed = without_paths(message["failed"])
        elif "ended" in message:
            self._status = message["ended"]

    def write(self, folder: ResultsFolder) -> ScenarioResult:
        """Write the bundle, and return what it says: no claim, no prediction, no "agrees".

        Raises:
            RunError: it cannot be written.
        """
        result = self._result(folder)
        lines = sorted(self._lines, key=lambda line: float(line["t"]))
        transcript = "".join(json.dumps(line) + "\n" for line in lines).encode()
        seen = {bundle.TRANSCRIPT: transcript, **self._files}
        if self._failed is not None:
            seen[bundle.TRACEBACK] = self._failed.encode()
        for name, content in bundle.pack(self._scenario, result, environment(), seen).items():
            folder.write(f"{result.bundle}/{name}", content)
        return result

    def _result(self, folder: ResultsFolder) -> ScenarioResult:
        scenario, outcome = self._scenario, self._outcome or {}
        controls = tuple(Control.model_validate(each) for each in outcome.get("controls", ()))
        observed, verdict, why = None, Verdict.ERROR, self._trouble()
        if outcome.get("observed") is not None:
            observed = Observed.model_validate(outcome["observed"])
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

    def _trouble(self) -> str:
        if self._outcome is not None:
            return without_paths(str(self._outcome["error"]))
        if self._failed is not None:
            return f"the harness failed: {self._failed.strip().splitlines()[-1]}"
        return f"its process ended with status {self._status}"
