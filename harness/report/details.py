"""Scenarios in detail: every answer, with its reason, its attempts and its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from harness.judge.model import ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.report.layout import COLOURS, print_hanging
from harness.report.wording import attempt_line, failed_controls, plain
from harness.words import Verdict

_COLUMN = len("  documented  ")


def print_details(console: Console, scenarios: Iterable[ScenarioResult]) -> None:
    """Print one block for each scenario."""
    for result in scenarios:
        console.print(Text(plain(result.id), style="bold"), soft_wrap=True)
        for label, words in _lines(result):
            print_hanging(console, Text(f"  {label}", style="dim"), words, _COLUMN)
        console.print()


def _lines(result: ScenarioResult) -> Iterator[tuple[str, Text]]:
    yield "documented", Text(_documented(result))
    if result.predicted is not None:
        yield "predicted", Text(f"{result.predicted.answer}: {plain(result.predicted.why)}")
    yield "observed", _observed(result)
    yield "verdict", Text(result.verdict.value, style=COLOURS[result.verdict])
    yield "why", Text(plain(result.why))
    if result.observed is not None:
        for number, attempt in enumerate(result.observed.attempts):
            yield "" if number else "attempts", Text(attempt_line(attempt))
    if result.controls:
        failed = list(failed_controls(result))
        passed = len(result.controls) - len(failed)
        yield "controls", Text(f"{passed} of {len(result.controls)} passed")
        for line in failed:
            yield "", Text(f"failed: {line}", style=COLOURS[Verdict.INVALID])
    if result.bundle is not None:
        yield "evidence", Text(plain(result.bundle))


def _documented(result: ScenarioResult) -> str:
    if result.documented is None:
        return "the article does not say"
    return f"{result.documented.answer}: {plain(result.documented.source)}"


def _observed(result: ScenarioResult) -> Text:
    if result.observed is None:
        return Text("nothing")
    observed = Text(result.observed.answer.value)
    if contradicts_prediction(result):
        observed.append(", not as predicted", style=COLOURS[Verdict.DIFFERS])
    return observed
