"""What a run came to: a line for each finding, the notes, and one line for the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from harness.judge.model import Results, ScenarioResult
from harness.judge.verdict import contradicts_prediction, summarize
from harness.kb import load_tables
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


def print_prediction(console: Console, scenarios: Sequence[ScenarioResult]) -> None:
    """Say how often the model was right, where it spoke of every scenario."""
    words = prediction_words(scenarios)
    if words:
        console.print(Text(words))


def prediction_words(scenarios: Sequence[ScenarioResult]) -> str:
    """Say how often the model was right; nothing where it did not speak of every scenario."""
    if not scenarios or any(result.predicted is None for result in scenarios):
        return ""
    seen = [result for result in scenarios if result.observed is not None]
    right = sum(not contradicts_prediction(result) for result in seen)
    return f"{right} of {len(seen)} as predicted"


def summary_line(results: Results) -> Text:
    """Say in one line how many agree, of how many that the article speaks of, and what is left.

    The verdicts are counted again: the count in a file that somebody else wrote may be wrong.
    """
    scenarios = results.scenarios
    if not scenarios:
        return Text("no scenario was run")
    summary = summarize(scenarios)
    parts = _agreements(scenarios)
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


def _agreements(scenarios: Sequence[ScenarioResult]) -> list[str]:
    """Count who agrees of those that the article speaks of: its tables, and then its prose."""
    tables, prose = by_part(scenarios)
    parts: list[str] = []
    for part, name in ((tables, "tables"), (prose, "prose")):
        agreeing = sum(each.verdict is Verdict.AGREES for each in part)
        agree = "agrees" if len(part) == 1 else "agree"
        where = f" in the {name}" if tables and prose else ""
        if part:
            words = "" if parts else f" {agree}"
            parts.append(f"{agreeing} of {len(part)}{words}{where}")
    return parts


def by_part(
    scenarios: Iterable[ScenarioResult],
) -> tuple[Sequence[ScenarioResult], Sequence[ScenarioResult]]:
    """Return the scenarios that the article's tables answer yes or no, and those of its prose."""
    in_tables = {claim.id for table in load_tables() for claim in table.claims}
    tables: list[ScenarioResult] = []
    prose: list[ScenarioResult] = []
    for result in scenarios:
        said = result.documented
        if said is not None and said.answer is not Answer.DEPENDS:
            (tables if said.claim in in_tables else prose).append(result)
    return tables, prose
