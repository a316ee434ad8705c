"""What was heard of one scenario while it was played, and the bundle that is written of it."""

from __future__ import annotations

import json

from harness.judge.model import Control, Observed, ScenarioResult
from harness.runner import bundle
from harness.runner.environment import environment
from harness.runner.paths import without_paths
from harness.runner.results_folder import ResultsFolder
from harness.runner.scenario import Scenario
from harness.runtime.pool import Message


class Gathered:
    """Gathers the messages of one scenario (see :func:`harness.runner.scenario.perform`).

    ``lines`` are the transcript's, as they came; ``outcome`` is None until it has been told.
    """

    def __init__(self, scenario: Scenario) -> None:
        """Begin with nothing."""
        self.scenario = scenario
        self.lines: list[Message] = []
        self.outcome: Message | None = None
        self._files: dict[str, bytes] = {}
        self._traceback: str | None = None

    def take(self, message: Message, content: bytes = b"") -> None:
        """Keep what a message says, and the content that came with it."""
        if "file" in message:
            self._files[message["file"]] = content
        elif "node" in message:
            self.lines.append(message)
        elif "outcome" in message:
            self.outcome = message["outcome"]
        elif "failed" in message:
            self._traceback = without_paths(message["failed"])

    @property
    def observed(self) -> Observed | None:
        """What was observed; None where nothing was."""
        observed = (self.outcome or {}).get("observed")
        return None if observed is None else Observed.model_validate(observed)

    @property
    def controls(self) -> tuple[Control, ...]:
        """The controls that were made, none before the outcome was told."""
        made = (self.outcome or {}).get("controls", ())
        return tuple(Control.model_validate(each) for each in made)

    @property
    def trouble(self) -> str | None:
        """Why it could not be played, or how the harness failed; None where neither was told."""
        if self.outcome is not None:
            return without_paths(str(self.outcome["error"]))
        if self._traceback is not None:
            return f"the harness failed: {self._traceback.strip().splitlines()[-1]}"
        return None

    def write(self, folder: ResultsFolder, result: ScenarioResult) -> None:
        """Write the bundle of a result.

        Raises:
            RunError: it cannot be written.
        """
        # What was read off the capture comes last, and belongs where it happened.
        in_order = sorted(self.lines, key=lambda line: float(line["t"]))
        transcript = "".join(json.dumps(line) + "\n" for line in in_order)
        seen = {bundle.TRANSCRIPT: transcript.encode(), **self._files}
        if self._traceback is not None:
            seen[bundle.TRACEBACK] = self._traceback.encode()
        for name, content in bundle.pack(self.scenario, result, environment(), seen).items():
            folder.write(f"{result.bundle}/{name}", content)
