"""What came of one scenario, gathered from its messages and judged when it has ended."""

from __future__ import annotations

import json
import re
import signal
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from harness.judge.model import (
    Control,
    Documented,
    Observed,
    Predicted,
    ScenarioResult,
    Timing,
)
from harness.judge.verdict import judge
from harness.kb import claim_for, statements_for
from harness.prediction import Options, predict
from harness.runner import bundle
from harness.runner.environment import environment
from harness.runner.results_folder import ResultsFolder
from harness.runner.scenario import Scenario
from harness.runtime.meter import CpuMeter
from harness.runtime.pool import Message
from harness.words import Answer, Verdict, chain_name

# A traceback has its files in quotes, and Python's errors the paths that they are about.
# A path of one part alone tells nothing, and is a mere slash in many a line of code.
_QUOTED_PATH = re.compile(r"""(?<=["'])/[^"'\n/]+/[^"'\n]*(?=["'])""")

_SAME_ANYWHERE = ("/proc", "/sys", "/dev", "/run")


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
    """Gathers the messages of one scenario (see :func:`harness.runner.scenario.perform`)."""

    def __init__(self, scenario: Scenario, bundling: CpuMeter) -> None:
        """Begin with nothing; ``bundling`` counts what writing bundles takes."""
        self.scenario = scenario
        self._bundling = bundling
        self.began = False
        self._lines: list[Message] = []
        self._files: dict[str, bytes] = {}
        self._outcome: Message | None = None
        self._traceback: str | None = None

    def take(self, message: Message, content: bytes = b"") -> None:
        """Keep what a message says, and the content that came with it."""
        if "began" in message:
            self.began = True
        elif "file" in message:
            self._files[message["file"]] = content
        elif "node" in message:
            self._lines.append(message)
        elif "outcome" in message:
            self._outcome = message["outcome"]
        elif "failed" in message:
            self._traceback = without_paths(message["failed"])

    def result(self, folder: ResultsFolder, ended: Ended | None) -> ScenarioResult:
        """Judge the scenario and write its bundle.

        ``ended`` says how its lab's process ended; None where the world ended before.

        Raises:
            RunError: the bundle cannot be written.
        """
        scenario = self.scenario
        documented = documented_answer(scenario)
        observed, controls, error = self._seen(ended)
        if observed is None:
            verdict, why = Verdict.ERROR, error
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
            self._write_bundle(folder, result)
        return result

    def _seen(self, ended: Ended | None) -> tuple[Observed | None, tuple[Control, ...], str]:
        if self._outcome is None:
            return None, (), self._explain_end(ended)
        controls = tuple(Control.model_validate(each) for each in self._outcome["controls"])
        if self._outcome["observed"] is None:
            return None, controls, _with_failed(without_paths(self._outcome["error"]), controls)
        return Observed.model_validate(self._outcome["observed"]), controls, ""

    def _explain_end(self, ended: Ended | None) -> str:
        if not self.began and ended is not None:
            return "its lab ended before its turn: see the scenario before it"
        last = next((line for line in reversed(self._lines) if "event" in line), None)
        after = f"; the last that was heard: {last['node']} {last['event']}" if last else ""
        if ended is None:
            return f"the sealed world ended before it did{after}"
        if self._traceback is not None:
            return f"the harness failed: {self._traceback.strip().splitlines()[-1]}{after}"
        if ended.status == -signal.SIGKILL:
            return f"it was killed at its deadline{after}"
        return f"its process ended with status {ended.status}{after}"

    def _timing(self, ended: Ended | None) -> Timing | None:
        if self._outcome is None or ended is None:
            return None
        began, ready, over = (self._outcome[key] for key in ("began", "ready", "over"))
        return Timing(
            bring_up=round(ready - began, 6),
            scenario=round(over - ready, 6),
            tear_down=round(ended.at - over, 6) if ended.last else 0.0,
            cpu=round(ended.cpu, 6),
            evidence=round(self._outcome["evidence"], 6),
        )

    def _write_bundle(self, folder: ResultsFolder, result: ScenarioResult) -> None:
        # What was read off the capture comes last, and belongs where it happened.
        in_order = sorted(self._lines, key=lambda line: float(line["t"]))
        lines = "".join(json.dumps(line) + "\n" for line in in_order)
        seen = {bundle.TRANSCRIPT: lines.encode(), **self._files}
        if self._traceback is not None:
            seen[bundle.TRACEBACK] = self._traceback.encode()
        for name, content in bundle.pack(self.scenario, result, environment(), seen).items():
            folder.write(f"{result.bundle}/{name}", content)


def without_paths(text: str) -> str:
    """Return a traceback or an error's text without what it tells of the machine's folders.

    This package becomes ``harness/...``, other packages ``<site-packages>/...``, Python itself
    ``<python>/...``, the rest of a clone ``<clone>/...`` and the home folder ``~``. Of any other
    file in quotes the name is left. What the kernel or the sealed world has under such a path
    stays: it is the same on every machine.
    """
    text = _QUOTED_PATH.sub(lambda found: _shortened(found[0]), text)
    for folder, name in _known_folders():
        text = re.sub(rf"(?<![\w/]){re.escape(folder)}(?![\w-])", name, text)
    return text


def _shortened(path: str) -> str:
    if any(PurePosixPath(path).is_relative_to(folder) for folder in _SAME_ANYWHERE):
        return path
    for folder, name in _known_folders():
        if PurePosixPath(path).is_relative_to(folder):
            return f"{name}{path.removeprefix(folder)}"
    return f"<elsewhere>/{PurePosixPath(path).name}"


@cache
def _known_folders() -> tuple[tuple[str, str], ...]:
    """Return folders and what they are called in a bundle, the inner ones first."""
    python, package = sysconfig.get_paths(), Path(__file__).parents[1]
    names = {str(Path.home()): "~", str(package.parent): "<clone>", str(package): "harness"}
    names |= {python[key]: "<python>" for key in ("stdlib", "platstdlib")}
    names |= {python[key]: "<site-packages>" for key in ("purelib", "platlib")}
    known = (each for each in names.items() if each[0] != "/")
    return tuple(sorted(known, key=lambda each: len(each[0]), reverse=True))


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
