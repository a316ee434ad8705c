"""The article's tables and the matrix as the page shows them: rows and columns of cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.kb import Claim, load_tables, prose_scenarios
from harness.report.html.cells import METHODS, Cell
from harness.topology.model import chain_name
from harness.words import Method


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
    pair = f"{chain_name(claim.novice)}+{chain_name(claim.expert)}"
    saw = tuple((METHODS[method], found.get(f"{method}/{pair}")) for method in claim.methods)
    return TableCell(claim.answer.value.capitalize(), saw)


def grids(told: Iterable[Cell], found: Mapping[str, Cell]) -> Iterator[Grid]:
    """Yield a grid for each method, if the run goes beyond what the article speaks of."""
    article = {bound.id for bound in prose_scenarios()}
    article |= {
        f"{method}/{chain_name(claim.novice)}+{chain_name(claim.expert)}"
        for table in load_tables()
        for claim in table.claims
        for method in claim.methods
    }
    plain = [cell for cell in told if "@" not in cell.result.id]
    if len({(cell.novice, cell.expert) for cell in plain}) < 2:
        return
    if all(cell.result.id in article for cell in plain):
        return
    for method in Method:
        members = [cell for cell in plain if cell.result.method is method]
        if members:
            yield _grid(method, members, found)


def _grid(method: Method, members: Iterable[Cell], found: Mapping[str, Cell]) -> Grid:
    every = list(members)
    novices = dict.fromkeys(cell.novice for cell in every)
    experts = dict.fromkeys(cell.expert for cell in every)
    if set(experts) <= set(novices):
        experts = {name: None for name in novices if name in experts}
    rows = tuple(
        (novice, tuple(found.get(f"{method}/{novice}+{expert}") for expert in experts))
        for novice in novices
    )
    return Grid(METHODS[method], tuple(experts), rows)
