"""The article's tables and the matrix as the page shows them: rows and columns of cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.judge.model import ScenarioResult
from harness.kb import Claim, load_tables, prose_scenarios
from harness.report import pairs
from harness.report.html.cells import METHODS, Cell
from harness.report.wording import plain
from harness.words import chain_name


@dataclass(frozen=True)
class TableCell:
    """A cell of the article's tables: what it says, and the scenario of each method, if run."""

    says: str
    saw: tuple[tuple[str, Cell | None], ...]


@dataclass(frozen=True)
class ArticleTable:
    """A table of the article, its cells row by row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[TableCell, ...]], ...]


@dataclass(frozen=True)
class Grid:
    """Every novice against every expert by one method; None where a pair was not run."""

    method: str
    experts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def article_tables(found: Mapping[str, Cell]) -> Iterator[ArticleTable]:
    """Yield the tables of which at least one cell was run."""
    for number, table in enumerate(load_tables(), start=1):
        rows = tuple(
            (row, tuple(_table_cell(table.cell(row, column), found) for column in table.columns))
            for row in table.rows
        )
        if any(cell for _, row in rows for each in row for _, cell in each.saw):
            yield ArticleTable(f"Table {number}: {table.section}", table.columns, rows)


def _table_cell(claim: Claim, found: Mapping[str, Cell]) -> TableCell:
    methods = (METHODS[method] for method in claim.methods)
    cells = map(found.get, claim.scenario_ids)
    return TableCell(claim.answer.value.capitalize(), tuple(zip(methods, cells, strict=True)))


def grids(scenarios: Iterable[ScenarioResult], found: Mapping[str, Cell]) -> Iterator[Grid]:
    """Yield a grid for each method, if the run goes beyond what the article speaks of."""
    article = {bound.id for bound in prose_scenarios()}
    article |= {
        name for table in load_tables() for claim in table.claims for name in claim.scenario_ids
    }
    every, _ = pairs.sort(scenarios)
    if len({pair for grid in every for pair in grid.cells}) < 2:
        return
    if all(cell.id in article for grid in every for cell in grid.cells.values()):
        return
    for grid in every:
        yield _grid(grid, found)


def _grid(grid: pairs.Grid, found: Mapping[str, Cell]) -> Grid:
    rows = tuple(
        (
            plain(chain_name(novice)),
            tuple(
                found[result.id] if (result := grid.cells.get((novice, expert))) else None
                for expert in grid.experts
            ),
        )
        for novice in grid.novices
    )
    experts = tuple(plain(chain_name(expert)) for expert in grid.experts)
    return Grid(METHODS[grid.method], experts, rows)
