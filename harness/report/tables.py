"""The article's two tables in the article's own shape, each cell with what really happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.box import ROUNDED
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from harness.judge.model import Results, ScenarioResult
from harness.kb import Claim, Table, load_tables, prose_scenarios
from harness.report.details import print_details
from harness.report.layout import COLOURS, print_hanging
from harness.report.statements import print_statements
from harness.report.summary import (
    print_findings,
    print_notes,
    print_prediction,
    summary_line,
)
from harness.words import Method, Verdict

# Six borders and the padding beside them leave 64 of 80 columns: 10 for "Novice and / Expert", 13
# for each device, which holds the longest line of a cell, "mail not run", and splits no word.
_ROW_WIDTH = 10
_CELL_WIDTH = 13
_TABLE_WIDTH = 78

# How many scenarios fit on a screen in detail; beyond that the findings are repeated below them.
_SCREENFUL = 3

_NICKNAMES = {Method.FILE: "file", Method.EMAIL: "mail"}

_Key = tuple[Method, tuple[str, ...], tuple[str, ...]]
_Found = Mapping[_Key, ScenarioResult]


class _Line(NamedTuple):
    """One line of a cell: a word that says what it is, what it says, and the colour of that."""

    label: str
    words: str
    style: str


def render(results: Results, console: Console, notes: Sequence[str] = ()) -> None:
    """Print the whole report of a run.

    The article's tables come first, then its prose, then the scenarios that are in neither, in
    detail; then a line for each finding, the notes, and the summary. A run of one topology is shown
    in detail alone: it is a question about that topology, and a table would be mostly empty.
    """
    scenarios = results.scenarios
    found: dict[_Key, ScenarioResult] = {}
    if len({(result.novice, result.expert) for result in scenarios}) > 1:
        cells = {key for table in load_tables() for claim in table.claims for key in _keys(claim)}
        for result in scenarios:
            key = (result.method, result.novice, result.expert)
            # A cell has one result; a second of the same scenario is shown below the tables.
            if key in cells and key not in found:
                found[key] = result
    _print_tables(console, found)
    told = {id(result) for result in found.values()}
    prose = {bound.id for bound in prose_scenarios()}
    beyond = {id(result) for result in scenarios if result.id in prose} - told
    if found and beyond:
        print_statements(results, console)
        told |= beyond
    detailed = [result for result in scenarios if id(result) not in told]
    print_details(console, detailed)
    repeat = len(detailed) > _SCREENFUL
    print_findings(console, (r for r in scenarios if repeat or id(r) in told))
    print_notes(console, notes)
    print_prediction(console, scenarios)
    console.print(summary_line(results))


def _keys(claim: Claim) -> Iterator[_Key]:
    for method in claim.methods:
        yield method, claim.novice, claim.expert


def _print_tables(console: Console, found: _Found) -> None:
    """Print the tables that have at least one cell with a result."""
    for number, table in enumerate(load_tables(), start=1):
        if not any(key in found for claim in table.claims for key in _keys(claim)):
            continue
        console.print(Text(f"Table {number}: {table.section}", style="bold"))
        if console.width >= _TABLE_WIDTH:
            console.print(_grid(table, found))
        else:
            _print_list(console, table, found)
        console.print()


def _grid(table: Table, found: _Found) -> Grid:
    grid = Grid(box=ROUNDED, show_lines=True, border_style="dim", header_style="bold")
    grid.add_column(width=_ROW_WIDTH, style="bold")
    for column in table.columns:
        grid.add_column(Text(column), width=_CELL_WIDTH)
    for row in table.rows:
        cells = (_cell(table.cell(row, column), found) for column in table.columns)
        grid.add_row(Text(row), *(Text("\n").join(map(_stacked, cell)) for cell in cells))
    return grid


def _print_list(console: Console, table: Table, found: _Found) -> None:
    """Print the table's cells one below the other, for a terminal too narrow for the table."""
    for row in table.rows:
        console.print(Text(f"  {row}", style="bold"))
        for column in table.columns:
            words = Text(f"{column}: ")
            words.append_text(Text(", ").join(map(_inline, _cell(table.cell(row, column), found))))
            print_hanging(console, Text("  -"), words, len("  - "))


def _cell(claim: Claim, found: _Found) -> list[_Line]:
    """Say what the article says, what happened by each method, and what that comes to."""
    says = _Line("says", claim.answer.value.capitalize(), "")
    results = {key[0]: found.get(key) for key in _keys(claim)}
    names = {method: _NICKNAMES[method] if len(results) > 1 else "saw" for method in results}
    if not any(results.values()):
        return [says, _Line("", "not run", "dim")]
    saw = [_saw(names[method], result) for method, result in results.items()]
    verdicts = {method: result.verdict for method, result in results.items() if result is not None}
    if len(set(verdicts.values())) == 1:
        names = dict.fromkeys(verdicts, "")
    held = [_Line(names[method], verdict, COLOURS[verdict]) for method, verdict in verdicts.items()]
    return [says, *saw, *dict.fromkeys(held)]


def _saw(name: str, result: ScenarioResult | None) -> _Line:
    if result is None:
        return _Line(name, "not run", "dim")
    if result.observed is None:
        return _Line(name, "-", "")
    style = COLOURS[Verdict.DIFFERS] if result.verdict is Verdict.DIFFERS else ""
    return _Line(name, result.observed.answer.value.capitalize(), style)


def _stacked(line: _Line) -> Text:
    """Write a line of a cell so that the answers stand below one another."""
    label = f"{line.label:<4} " if line.label else ""
    return Text.assemble((label, "dim"), (line.words, line.style))


def _inline(line: _Line) -> Text:
    """Write the same line as a part of a sentence."""
    label = f"{line.label} " if line.label else ""
    return Text.assemble((label, "dim"), (line.words, line.style))
