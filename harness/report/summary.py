"""What a run came to: a line for each finding, the notes, and one line for the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from harness.judge.model import Results, ScenarioResult
from harness.judge.verdict import contradicts_prediction, summarize
from harness.report.layout import COLOURS, print_hanging
from harness.report.wording import FINDINGS, is_finding, plain, reason
from harness.words import Answer, Verdict

# The order of a reader's interest: contradictions, then what proves nothing, then the rest.
_SEVERITY = [*FINDINGS, Verdict.AGREES, Verdict.UNDOCUMENTED]


def print_findings(console: Console, scenarios: Iterable[ScenarioResult]) -> None:
    """Print a line for each scenario that somebody has to look at."""
    findings = sorted(filter(is_finding, scenarios), key=lambda r: _SEVERITY.index(r.verdict))
    if not findings:
        return
    column = max(len(result.verdict) for result in findings) + 2
    for result in findings:
        label = Text(result.verdict.value, style=COLOURS[result.verdict])
        words = Text.assemble((plain(result.id), "bold"), ": ", reason(result))
        print_hanging(console, label, words, column)
    console.print()


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print what the reader must know of the models behind the answers."""
    if not notes:
        return
    for note in notes:
        print_hanging(console, Text("note", style="dim"), Text(plain(note)), len("note  "))
    console.print()


def summary_line(results: Results) -> Text:
    """Say in one line how many agree, of how many that the article speaks of, and what is left.

    The verdicts are counted again: the count in a file that somebody else wrote may be wrong.
    """
    scenarios = results.scenarios
    if not scenarios:
        return Text("no scenario was run")
    summary = summarize(scenarios)
    documented = sum(map(_is_documented, scenarios))
    agree = "agrees" if documented == 1 else "agree"
    parts = [f"{summary.agrees} of {documented} {agree}"] if documented else []
    counts = (
        (summary.differs, "differs" if summary.differs == 1 else "differ"),
        (summary.invalid, "invalid"),
        (summary.error, "error" if summary.error == 1 else "errors"),
        (summary.undocumented, "undocumented"),
    )
    parts += [f"{count} {words}" for count, words in counts if count]
    contradictions = sum(map(contradicts_prediction, scenarios))
    if contradictions:
        parts[-1] += f"; {contradictions} not as predicted"
    style = "bold red" if any(map(is_finding, scenarios)) else "bold green"
    return Text.assemble((", ".join(parts), style), f" ({results.run.seconds:.1f} s)")


def _is_documented(result: ScenarioResult) -> bool:
    return result.documented is not None and result.documented.answer is not Answer.DEPENDS
