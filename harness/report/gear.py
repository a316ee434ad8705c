"""A run against real routers on a terminal: the article's column for each, and its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.box import ROUNDED
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.judge.card import Card, Outcome
from harness.judge.model import Results, Router, ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.report.cards import NO_VERDICT, addresses_line, amiss, by_level, claim_line, tally
from harness.report.details import print_details
from harness.report.gear_rows import Row, reference_line, rows
from harness.report.layout import COLOURS, print_hanging
from harness.report.summary import print_findings, print_notes, print_prediction, summary_line
from harness.report.wording import is_finding, plain
from harness.words import Method, Verdict

CARD_COLOURS: Final[Mapping[Outcome, str]] = {
    Outcome.COMPLIANT: "green",
    Outcome.NON_COMPLIANT: "bold red",
    Outcome.NOT_OFFERED: "cyan",
    Outcome.NOT_TESTED: "dim",
    Outcome.ERROR: "bold magenta",
}
"""The colour of each outcome of a check; it always stands beside the word."""

# Five borders and the padding beside them leave 67 of 80 columns: 18 for "novice" and the longest
# name that a router may have, 16 for "not as predicted".
_ROW_WIDTH: Final = 18
_CELL_WIDTH: Final = 16
_TABLE_WIDTH: Final = 79

# How many scenarios fit on a screen in detail; beyond that the findings are repeated at the end.
_SCREENFUL: Final = 3

_LABELLED: Final = len("  non-compliant  ")
_LEVELS: Final = len("  informational  ")


def render_gear(results: Results, console: Console, notes: Sequence[str] = ()) -> None:
    """Print the whole report: routers, scenarios, what needs a look, cards, summary."""
    for router in results.run.routers:
        _print_router(console, router, rows(router.name, results.scenarios))
    findings = [result for result in results.scenarios if is_finding(result)]
    print_details(console, findings)
    for card in results.cards:
        print_card(card, console)
    if len(findings) > _SCREENFUL:
        print_findings(console, findings)
    reference = reference_line(results.run.routers, results.scenarios)
    said = (*notes, reference, NO_VERDICT if results.cards else "")
    print_notes(console, [note for note in said if note])
    print_prediction(console, results.scenarios)
    console.print(summary_line(results))


def print_card(card: Card, console: Console) -> None:
    """Print what a card came to, in all and by level, and each check that needs a look."""
    words = f"Card of {plain(card.router)}: {tally(card.checks)}"
    print_hanging(console, Text(), Text(words, style="bold"), 0)
    for level, checks in by_level(card.checks):
        print_hanging(console, Text(f"  {level}", style="dim"), Text(tally(checks)), _LEVELS)
    for check in amiss(card.checks):
        label = Text(f"  {check.outcome}", style=CARD_COLOURS[check.outcome])
        told = Text.assemble(
            (plain(check.title), "bold"),
            f" ({plain(check.source)}, {check.level}): {plain(check.detail)}",
        )
        print_hanging(console, label, told, _LABELLED)
    print_hanging(console, Text("  evidence", style="dim"), Text(plain(card.bundle)), _LABELLED)
    console.print()


def _print_router(console: Console, router: Router, members: Sequence[Row]) -> None:
    name = Text(f"{plain(router.name)}:", style="bold")
    print_hanging(console, name, Text(claim_line(router), style="bold"), len(name) + 1)
    print_hanging(console, Text(), Text(addresses_line(router), style="dim"), len(name) + 1)
    if members and console.width >= _TABLE_WIDTH:
        console.print(_grid(members))
    else:
        _print_list(console, members)
    console.print()


def _grid(members: Sequence[Row]) -> Table:
    grid = Table(box=ROUNDED, show_lines=True, border_style="dim", header_style="bold")
    grid.add_column("Behind a router", width=_ROW_WIDTH)
    for method in Method:
        grid.add_column(method.value, width=_CELL_WIDTH)
    for row in members:
        label = Text(f"novice {row.novice}\nexpert {row.expert}")
        cells = (_lines(row.results.get(method)) for method in Method)
        grid.add_row(label, *(Text("\n").join(_stacked(*line) for line in cell) for cell in cells))
    return grid


def _print_list(console: Console, members: Sequence[Row]) -> None:
    """Print the table's cells one below the other, for a terminal too narrow for the table."""
    for row in members:
        label = Text(f"  novice {row.novice}, expert {row.expert}", style="bold")
        print_hanging(console, Text(), label, 0)
        for method in Method:
            words = Text(f"{method}: ")
            cell = _lines(row.results.get(method))
            words.append_text(Text(", ").join(_inline(*line) for line in cell))
            print_hanging(console, Text("  -"), words, len("  - "))


def _lines(result: ScenarioResult | None) -> Iterator[tuple[str, str, str]]:
    """Yield what a cell says: a label, words, and their colour."""
    if result is None:
        yield "", "not run", "dim"
        return
    documented = "-" if result.documented is None else result.documented.answer.capitalize()
    observed = "-" if result.observed is None else result.observed.answer.capitalize()
    yield "says", documented, ""
    yield "saw", observed, COLOURS[result.verdict] if is_finding(result) else ""
    yield "", result.verdict.value, COLOURS[result.verdict]
    if contradicts_prediction(result) and result.verdict is not Verdict.DIFFERS:
        yield "", "not as predicted", COLOURS[Verdict.DIFFERS]


def _stacked(label: str, words: str, style: str) -> Text:
    """Write a line of a cell so that the answers stand below one another."""
    return Text.assemble((f"{label:<4} " if label else "", "dim"), (words, style))


def _inline(label: str, words: str, style: str) -> Text:
    """Write the same line as a part of a sentence."""
    return Text.assemble((f"{label} " if label else "", "dim"), (words, style))
