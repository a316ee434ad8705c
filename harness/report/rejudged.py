"""What bundles came to when they were judged again, beside what their run said."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.judge.model import ScenarioResult
from harness.judge.verdict import summarize
from harness.report.details import print_details
from harness.report.layout import COLOURS
from harness.report.wording import plain
from harness.words import Verdict

Pair = tuple[ScenarioResult, ScenarioResult]


def print_rejudged(console: Console, judged: Sequence[Pair]) -> None:
    """Print those that came to something else, in detail, and how many are as the run said."""
    changed = [(before, now) for before, now in judged if before.verdict is not now.verdict]
    print_details(console, [now for _, now in changed])
    for before, now in changed:
        line = Text(f"{plain(now.id)}: the run said {before.verdict}, its bundle says ")
        line.append(now.verdict.value, style=COLOURS[now.verdict])
        console.print(line, soft_wrap=True)
    counts = summarize(now for _, now in judged)
    said = ", ".join(
        f"{getattr(counts, verdict)} {verdict}" for verdict in Verdict if getattr(counts, verdict)
    )
    console.print(f"{len(judged) - len(changed)} of {len(judged)} as the run judged them: {said}")
