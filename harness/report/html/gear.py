"""Real routers as the page shows them: what they are, the article's table of each, its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.judge.card import Card, CheckResult, Level, Outcome
from harness.judge.model import Results, Router, ScenarioResult
from harness.report.cards import (
    SIGNS,
    about,
    addresses_line,
    by_level,
    claim_line,
    evidence_lines,
    tally,
    violations_line,
)
from harness.report.gear_rows import Row, rows
from harness.report.html.cells import UNSAFE, Cell, fresh
from harness.report.html.links import links
from harness.report.wording import plain
from harness.words import Method

_LOOKS: Final = {
    Outcome.COMPLIANT: "agrees",
    Outcome.NON_COMPLIANT: "differs",
    Outcome.NOT_OFFERED: "undocumented",
    Outcome.NOT_TESTED: "untested",
    Outcome.ERROR: "error",
}
"""The class whose colour an outcome has."""

_DEMANDS: Final = {
    Level.REQUIRED: "what the sources demand",
    Level.RECOMMENDED: "what the sources recommend",
    Level.INFORMATIONAL: "what is good to know; nobody asks for it",
}
_CAPTURE: Final = ".pcapng"


@dataclass(frozen=True)
class Seat:
    """A cell of a router's table: what the article says, and the scenario, if it was run."""

    says: str
    cell: Cell | None


@dataclass(frozen=True)
class RouterTable:
    """A router, and the article's answers for it beside what was seen.

    ``rows`` are ``(who stands behind it, novice, expert, a seat for each method)``. ``card`` is
    the anchor of its card, empty where there is none, ``tally`` what that came to, and
    ``violations`` how much of it is against what the sources demand.
    """

    name: str
    about: str
    addresses: str
    rows: tuple[tuple[str, str, str, tuple[Seat, ...]], ...]
    card: str
    tally: str
    violations: str


@dataclass(frozen=True)
class Check:
    """A check of a card in words that are safe to show; ``look`` is the class of its colour."""

    anchor: str
    title: str
    source: str
    outcome: Outcome
    detail: str
    evidence: tuple[str, ...]

    @property
    def sign(self) -> str:
        """The outcome in one character, for who does not see its colour."""
        return SIGNS[self.outcome]

    @property
    def look(self) -> str:
        """The class whose colour the outcome has."""
        return look(self.outcome)


@dataclass(frozen=True)
class LevelOfCard:
    """The checks of one level, the worst first, and how many came to what."""

    level: Level
    demand: str
    counts: tuple[int, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class CardOfRouter:
    """A card: ``outcomes`` are the columns of its counts, ``capture`` where its packets are."""

    anchor: str
    router: str
    about: str
    tally: str
    card: Card
    outcomes: tuple[Outcome, ...]
    levels: tuple[LevelOfCard, ...]
    links: tuple[tuple[str, str], ...]
    capture: str


def look(outcome: Outcome) -> str:
    """Return the class whose colour an outcome has."""
    return _LOOKS[outcome]


def check_anchor(router: str, check: str) -> str:
    """Return the id that the first check of that name has in the page; no scenario has such a one.

    An empty ``check`` is for the card itself.
    """
    name = f"{router}/{check}" if check else router
    return f"card:{UNSAFE.sub('-', name)}"


def router_tables(results: Results, found: Mapping[str, Cell]) -> tuple[RouterTable, ...]:
    """Return each router of the run with its table; ``found`` are the cells by scenario id."""
    cards = {card.router: card for card in reversed(results.cards)}
    return tuple(
        _table(router, rows(router.name, results.scenarios), cards.get(router.name), found)
        for router in results.run.routers
    )


def _table(
    router: Router, members: Iterable[Row], card: Card | None, found: Mapping[str, Cell]
) -> RouterTable:
    checks = card.checks if card is not None else ()
    return RouterTable(
        plain(router.name),
        claim_line(router),
        addresses_line(router),
        tuple(_row(row, found) for row in members),
        check_anchor(router.name, "") if card is not None else "",
        tally(checks),
        violations_line(checks),
    )


def _row(row: Row, found: Mapping[str, Cell]) -> tuple[str, str, str, tuple[Seat, ...]]:
    seats = tuple(_seat(row.results.get(method), found) for method in Method)
    return row.behind, row.novice, row.expert, seats


def _seat(result: ScenarioResult | None, found: Mapping[str, Cell]) -> Seat:
    if result is None:
        return Seat("", None)
    said = result.documented
    return Seat("nothing" if said is None else said.answer.capitalize(), found[result.id])


def cards(made: Iterable[Card], files: Mapping[str, Sequence[str]]) -> Iterator[CardOfRouter]:
    """Yield the cards; ``files`` are the names of what lies in the folder of each, by its path."""
    anchors: set[str] = set()
    for card in made:
        counts = Counter(check.outcome for check in card.checks)
        outcomes = tuple(outcome for outcome in Outcome if counts[outcome])
        in_folder = tuple(links(card.bundle, files.get(card.bundle, ())))
        yield CardOfRouter(
            fresh(check_anchor(card.router, ""), anchors),
            plain(card.router),
            about(card),
            tally(card.checks),
            card,
            outcomes,
            tuple(
                LevelOfCard(
                    level,
                    _DEMANDS[level],
                    tuple(sum(each.outcome is outcome for each in checks) for outcome in outcomes),
                    tuple(_check(card.router, check, anchors) for check in checks),
                )
                for level, checks in by_level(card.checks)
            ),
            in_folder,
            next((address for name, address in in_folder if name.endswith(_CAPTURE)), ""),
        )


def _check(router: str, check: CheckResult, anchors: set[str]) -> Check:
    return Check(
        fresh(check_anchor(router, check.id), anchors),
        plain(check.title),
        plain(check.source),
        check.outcome,
        plain(check.detail),
        tuple(evidence_lines(check)),
    )
