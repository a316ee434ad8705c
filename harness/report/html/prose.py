"""The statements of the article's prose with what the run's scenarios say to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from harness.judge.model import ScenarioResult
from harness.kb import Bound, load_contradictions, load_gaps, load_prose
from harness.report import sights
from harness.report.html.cells import Cell
from harness.report.sights import Became

SIGNS: Final = {
    Became.FAILS: ("\N{BALLOT X}", "differs"),
    Became.UNPROVEN: ("?", "invalid"),
    Became.HOLDS: ("\N{CHECK MARK}", "agrees"),
    Became.PARTLY: ("\N{WHITE CIRCLE}", "undocumented"),
    Became.NOT_RUN: ("\N{EN DASH}", "missing"),
}
"""What became of a statement: its sign, and the standing whose colour it has."""


@dataclass(frozen=True)
class Sight:
    """A scenario that tests a statement; ``cell`` is None where it was not run."""

    name: str
    cell: Cell | None
    words: str
    standing: str


@dataclass(frozen=True)
class Case:
    """A condition of a statement, and its scenarios."""

    condition: str
    sights: tuple[Sight, ...]


@dataclass(frozen=True)
class Told:
    """A statement, or a gap, in words, with what became of it."""

    words: str
    answer: str
    became: Became
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Section:
    """A section of the article, with its statements in the article's order."""

    title: str
    members: tuple[Told, ...]


@dataclass(frozen=True)
class Clash:
    """Where prose and tables contradict each other; ``sights`` are the scenarios that show it."""

    name: str
    prose: str
    table: str
    reading: str
    sights: tuple[Sight, ...]


class Run:
    """The scenarios of a run by id: as results, which settle it, and as cells, to be shown."""

    def __init__(self, scenarios: Iterable[ScenarioResult], cells: Mapping[str, Cell]) -> None:
        """Keep them."""
        self._results = sights.by_id(scenarios)
        self._cells = cells

    def statements(self) -> Iterator[Section]:
        """Yield the sections in the article's order, with the statements that the run tests."""
        tested = (each for each in load_prose() if self._touches(each.scenarios))
        for section, members in groupby(tested, key=lambda each: each.section):
            told = []
            for each in members:
                words = f"{each.sentence}. {each.statement}"
                hedge = f", \N{LEFT DOUBLE QUOTATION MARK}{each.hedge}"
                hedge = f"{hedge}\N{RIGHT DOUBLE QUOTATION MARK}" if each.hedge else ""
                told.append(self._told(words, f"{each.answer}{hedge}", each.scenarios))
            yield Section(section, tuple(told))

    def gaps(self) -> Iterator[Told]:
        """Yield what the article leaves open, where the run has a scenario of it."""
        for gap in load_gaps():
            if self._touches(gap.scenarios):
                yield self._told(f"{gap.section}: {gap.silent}.", "", gap.scenarios)

    def clashes(self) -> Iterator[Clash]:
        """Yield the contradictions between prose and tables that the run has a scenario of."""
        for each in load_contradictions():
            if sights.touched(each.scenarios, self._results):
                seen = (sights.Sight(name, self._results.get(name)) for name in each.scenarios)
                yield Clash(each.id, *each.says, each.reading, tuple(map(self._sight, seen)))

    def _touches(self, scenarios: Iterable[Bound]) -> bool:
        return sights.touched((bound.id for bound in scenarios), self._results)

    def _told(self, words: str, answer: str, scenarios: tuple[Bound, ...]) -> Told:
        cases = tuple(
            Case(condition, tuple(map(self._sight, case)))
            for condition, case in sights.cases(scenarios, self._results)
        )
        return Told(words, answer, sights.became(scenarios, self._results), cases)

    def _sight(self, sight: sights.Sight) -> Sight:
        cell = self._cells.get(sight.name)
        standing = cell.standing if cell is not None else "missing"
        return Sight(sight.name, cell, sight.words, "differs" if sight.otherwise else standing)
