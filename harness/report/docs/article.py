"""``docs/article.md``: what the article states, and which scenarios test each statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from harness.kb import (
    Bound,
    Contradiction,
    Gap,
    Statement,
    Table,
    load_contradictions,
    load_gaps,
    load_prose,
    load_tables,
    prose_scenarios,
    source_of,
)
from harness.report.docs.markup import (
    GENERATED,
    code_block,
    codes,
    items,
    page,
    paragraph,
    said,
    table,
)

_INTRODUCTION: Final = """
    KB301529 is a support article about Remote Assistance over NAT. Its text is not repeated here:
    each statement is told in the project's own words, with the place where it stands. Sentences
    are counted within their section. The data are in `harness/kb/tables.toml` and
    `harness/kb/prose.toml`.
"""
_READING: Final = """
    A scenario's id is `METHOD/NOVICE+EXPERT`, and what follows an `@` is an option. A run of the
    article has them all; one alone is run by its three parts and its options:
"""
_COMMANDS: Final = (
    "ra-harness run",
    "ra-harness run --method file --novice nat --expert direct",
    "ra-harness run --method messenger --novice firewall --expert firewall-open --expert-port 3389",
    "ra-harness run --method email --novice direct --expert socks-proxy --proxy-client expert",
)
_FURTHER: Final = """
    [devices.md](devices.md) says what each device is, [results.md](results.md) what a run leaves
    behind.
"""
_PROSE: Final = """
    The article hedges some of its statements: "usually", "in some cases". Its answer is then
    "depends", and the project says on what. Each condition has scenarios of its own, and an answer
    that is expected of them. They are judged `undocumented`, for the article itself gives no plain
    yes or no, and are held against the prediction. `agrees` and `differs` are for plain answers.
"""


def article_page() -> str:
    """Return the page.

    Raises:
        DefinitionError: the data of the article are not what their schema says.
    """
    return page(
        [
            "# What the article says, and how it is tested",
            GENERATED,
            paragraph(_plain(_INTRODUCTION)),
            paragraph(_counted()),
            paragraph(_plain(_READING)),
            code_block(_COMMANDS),
            paragraph(_plain(_FURTHER)),
            "## The tables",
            *_tables(),
            "## The prose",
            paragraph(_plain(_PROSE)),
            *_prose(),
            "## Where prose and tables contradict each other",
            *_contradictions(load_contradictions()),
            "## What the article leaves open",
            *_gaps(load_gaps()),
        ]
    )


def _counted() -> str:
    claims = [claim for each in load_tables() for claim in each.claims]
    ids = {name for claim in claims for name in claim.scenario_ids}
    ids |= {bound.id for bound in prose_scenarios()}
    return (
        f"There are {len(claims)} claims in {len(load_tables())} tables, {len(load_prose())} "
        f"statements in the prose, {len(load_contradictions())} contradictions and "
        f"{len(load_gaps())} things left open. {len(ids)} scenarios test them."
    )


def _tables() -> Iterator[str]:
    for number, each in enumerate(load_tables(), start=1):
        yield f"### Table {number}: {each.section}"
        yield _grid(each)
        yield table(
            ("claim", "what it states", "answer", "tested by"),
            (
                (f"`{claim.id}`", claim.statement, claim.answer, codes(claim.scenario_ids))
                for claim in each.claims
            ),
        )


def _grid(each: Table) -> str:
    """Return the table in the article's own shape."""
    rows = (
        (f"**{row}**", *(each.cell(row, column).answer.capitalize() for column in each.columns))
        for row in each.rows
    )
    return table(("", *each.columns), rows)


def _prose() -> Iterator[str]:
    for section, statements in groupby(load_prose(), key=lambda each: each.section):
        yield f"### {section}"
        for statement in statements:
            yield from _statement(statement)


def _statement(statement: Statement) -> Iterator[str]:
    hedge = f' ("{statement.hedge}")' if statement.hedge else ""
    yield f"#### `{statement.id}`"
    yield paragraph(
        f"Sentence {statement.sentence}: {said(statement.statement)} "
        f"The article's answer: **{statement.answer}**{hedge}."
    )
    yield _cases(statement.scenarios)


def _cases(scenarios: Iterable[Bound]) -> str:
    """Return a list with an item for each condition: what is expected, of which scenarios."""
    cases = groupby(scenarios, key=lambda bound: (bound.condition, bound.expected))
    return items(
        f"{said(condition) + ' ' if condition else ''}Expected **{expected}** of "
        f"{codes(bound.id for bound in bounds)}."
        for (condition, expected), bounds in cases
    )


def _contradictions(found: Sequence[Contradiction]) -> Iterator[str]:
    for each in found:
        prose, cell = each.says
        yield f"### `{each.id}`"
        yield items(
            [
                f"The prose, `{each.prose}` ({source_of(each.prose)}): {said(prose)}",
                f"The table, `{each.table}` ({source_of(each.table)}): {said(cell)}",
                said(each.reading),
                f"Scenarios that show what packets do: {codes(each.scenarios)}.",
            ]
        )


def _gaps(found: Sequence[Gap]) -> Iterator[str]:
    for gap in found:
        yield f"### `{gap.id}`"
        yield paragraph(f"{gap.section}: {said(gap.silent)}")
        yield _cases(gap.scenarios)


def _plain(text: str) -> str:
    return " ".join(text.split())
