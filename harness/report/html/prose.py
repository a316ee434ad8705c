"""The statements of the article's prose with what the run's scenarios say to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from harness.kb import Bound, load_contradictions, load_gaps, load_prose
from harness.report.html.cells import Cell
from harness.words import Verdict

HOLDS: Final = "holds"
FAILS: Final = "fails"
UNPROVEN: Final = "unproven"
PARTLY: Final = "partly run"
NOT_RUN: Final = "not run"

SIGNS: Final = {
    FAILS: ("\N{BALLOT X}", "differs"),
    UNPROVEN: ("?", "invalid"),
    HOLDS: ("\N{CHECK MARK}", "agrees"),
    PARTLY: ("\N{WHITE CIRCLE}", "undocumented"),
    NOT_RUN: ("\N{EN DASH}", "missing"),
}
"""What became of a statement: its sign, and the standing whose colour it has."""


@dataclass(frozen=True)
class Sight:
    """A scenario that tests a statement; ``cell`` is None where it was not run."""

    name: str
    cell: Cell | None
    expected: str

    @property
    def proves(self) -> bool:
        """Whether it says anything."""
        unproven = (Verdict.INVALID, Verdict.ERROR)
        return self.cell is not None and self.cell.result.verdict not in unproven

    @property
    def otherwise(self) -> bool:
        """Whether what was seen is not what the condition expects."""
        return self.proves and self.cell is not None and self.cell.observed != self.expected


@dataclass(frozen=True)
class Case:
    """A condition of a statement, and its scenarios."""

    condition: str
    sights: tuple[Sight, ...]


@dataclass(frozen=True)
class Told:
    """A statement, or a gap, in words, with what became of it."""

    section: str
    words: str
    answer: str
    became: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Clash:
    """Where prose and tables contradict each other; ``sights`` are the scenarios that show it."""

    name: str
    prose: str
    table: str
    reading: str
    sights: tuple[Sight, ...]


def statements(found: Mapping[str, Cell]) -> Iterator[Told]:
    """Yield each statement that at least one scenario of the run tests."""
    for statement in load_prose():
        hedge = f", \N{LEFT DOUBLE QUOTATION MARK}{statement.hedge}\N{RIGHT DOUBLE QUOTATION MARK}"
        answer = f"{statement.answer}{hedge if statement.hedge else ''}"
        words = f"{statement.sentence}. {statement.statement}"
        yield from _told(statement.section, words, answer, statement.scenarios, found)


def gaps(found: Mapping[str, Cell]) -> Iterator[Told]:
    """Yield what the article leaves open, where the run has a scenario of it."""
    for gap in load_gaps():
        yield from _told(gap.section, f"{gap.silent}.", "", gap.scenarios, found)


def clashes(found: Mapping[str, Cell]) -> Iterator[Clash]:
    """Yield the contradictions between prose and tables that the run has a scenario of."""
    for each in load_contradictions():
        if any(name in found for name in each.scenarios):
            sights = tuple(Sight(name, found.get(name), "") for name in each.scenarios)
            yield Clash(each.id, *each.says, each.reading, sights)


def _told(
    section: str,
    words: str,
    answer: str,
    scenarios: Iterable[Bound],
    found: Mapping[str, Cell],
) -> Iterator[Told]:
    cases = tuple(
        Case(condition, tuple(Sight(b.id, found.get(b.id), b.expected.value) for b in bounds))
        for condition, bounds in groupby(scenarios, key=lambda bound: bound.condition)
    )
    sights = [sight for case in cases for sight in case.sights]
    if any(sight.cell is not None for sight in sights):
        yield Told(section, words, answer, _became(sights), cases)


def _became(sights: Iterable[Sight]) -> str:
    """Say in a word what became of a statement; one scenario that ended otherwise settles it."""
    every = list(sights)
    run = [sight for sight in every if sight.cell is not None]
    if any(sight.otherwise for sight in run):
        return FAILS
    if not run:
        return NOT_RUN
    if not all(sight.proves for sight in run):
        return UNPROVEN
    return HOLDS if len(run) == len(every) else PARTLY
