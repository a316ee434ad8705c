"""What bundles came to when they were judged again, beside what their run said."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.judge.model import ScenarioResult
from harness.judge.verdict import summarize
from harness.report.details import print_details
from harness.report.layout import COLOURS, print_hanging
from harness.report.wording import plain
from harness.words import Verdict

Pair = tuple[ScenarioResult, ScenarioResult]


def print_rejudged(console: Console, judged: Sequence[Pair]) -> None:
    """Print those that came to something else, in detail, and how many are as the run said."""
    changed = [(before, now) for before, now in judged if _essence(before) != _essence(now)]
    print_details(console, [now for _, now in changed])
    for before, now in changed:
        line = Text(f"the run said {_said(before)}, its bundle says ")
        line.append(_said(now), style=COLOURS[now.verdict])
        print_hanging(console, Text(f"{plain(now.id)}:"), Text(), 0)
        print_hanging(console, Text(), line, 2)
    counts = summarize(now for _, now in judged)
    said = ", ".join(
        f"{getattr(counts, verdict)} {verdict}" for verdict in Verdict if getattr(counts, verdict)
    )
    console.print(f"{len(judged) - len(changed)} of {len(judged)} as the run judged them: {said}")


def _essence(result: ScenarioResult) -> tuple[object, ...]:
    return result.verdict, result.observed.answer if result.observed is not None else None


def _said(result: ScenarioResult) -> str:
    """Name the verdict and, where that does not follow from it, the answer."""
    observed = result.observed
    if observed is None or result.verdict is not Verdict.UNDOCUMENTED:
        return result.verdict.value
    return f"{result.verdict} ({observed.answer})"
