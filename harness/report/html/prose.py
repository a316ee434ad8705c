"""The statements of the article's prose with what the run's scenarios say to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from harness.judge.model import ScenarioResult
from harness.kb import Bound, load_contradictions, load_gaps, load_prose, source_of
from harness.report import sights
from harness.report.html.cells import Cell
from harness.report.sights import Became
from harness.words import Verdict

SIGNS: Final = {
    Became.FAILS: ("\N{BALLOT X}", "differs"),
    Became.OTHERWISE: ("\N{NOT EQUAL TO}", "undocumented"),
    Became.UNPROVEN: ("?", "invalid"),
    Became.HOLDS: ("\N{CHECK MARK}", "agrees"),
    Became.PARTLY: ("\N{WHITE CIRCLE}", "undocumented"),
    Became.NOT_RUN: ("\N{EN DASH}", "missing"),
}
"""What became of a statement: its sign, and the standing whose colour it has."""

# No scenario's id begins so.
_ANCHOR: Final = "says:"


@dataclass(frozen=True)
class Sight:
    """A scenario that tests a statement; ``cell`` is None where it was not run.

    ``instead`` is the answer that its condition expects, empty where that is what was seen.
    ``standing`` is the class whose colour it has.
    """

    name: str
    cell: Cell | None
    saw: str
    instead: str
    standing: str


@dataclass(frozen=True)
class Case:
    """A condition of a statement, and its scenarios."""

    condition: str
    sights: tuple[Sight, ...]


@dataclass(frozen=True)
class Told:
    """A statement, or a gap, in words, with what became of it.

    ``place`` is the number of its sentence, empty of a gap, and ``anchor`` its id in the page.
    ``answer`` is the article's, empty where it gives none, and ``hedge`` its word that leaves it
    open.
    """

    anchor: str
    section: str
    place: str
    words: str
    answer: str
    hedge: str
    became: Became
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Section:
    """A section of the article, with its statements in the article's order."""

    title: str
    members: tuple[Told, ...]


@dataclass(frozen=True)
class Clash:
    """Where prose and tables contradict each other; ``sights`` are the scenarios that show it.

    ``title`` says where both stand.
    """

    title: str
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
            told, stood = [], Counter[int]()
            every = list(members)
            in_parts = Counter(each.sentence for each in every)
            for each in every:
                of_it = each.scenarios
                word = sights.became(of_it, self._results)
                stood[each.sentence] += 1
                place = f"Sentence {each.sentence}"
                if in_parts[each.sentence] > 1:
                    place += f", part {stood[each.sentence]}"
                about = (_ANCHOR + each.id, section, place, each.statement)
                told.append(Told(*about, each.answer, each.hedge, word, self._cases(of_it)))
            yield Section(section, tuple(told))

    def gaps(self) -> Iterator[Told]:
        """Yield what the article leaves open, where the run has a scenario of it."""
        for gap in load_gaps():
            if self._touches(gap.scenarios):
                word = sights.became_of_gap(gap.scenarios, self._results)
                words = f"{gap.section}: {gap.silent}."
                cases = self._cases(gap.scenarios, standing="undocumented")
                yield Told(_ANCHOR + gap.id, gap.section, "", words, "", "", word, cases)

    def clashes(self) -> Iterator[Clash]:
        """Yield the contradictions between prose and tables that the run has a scenario of."""
        for each in load_contradictions():
            if not sights.touched(each.scenarios, self._results):
                continue
            seen = [
                self._sight(sights.Sight(name, self._results.get(name))) for name in each.scenarios
            ]
            yield Clash(
                f"{source_of(each.prose)}, against {source_of(each.table)}",
                *each.says,
                each.reading,
                tuple(seen),
            )

    def _touches(self, scenarios: Iterable[Bound]) -> bool:
        return sights.touched((bound.id for bound in scenarios), self._results)

    def _cases(
        self, scenarios: tuple[Bound, ...], standing: str = Verdict.DIFFERS.value
    ) -> tuple[Case, ...]:
        """Return the conditions; what is not as expected of them has the given standing."""
        return tuple(
            Case(condition, tuple(self._sight(each, standing) for each in case))
            for condition, case in sights.cases(scenarios, self._results)
        )

    def _sight(self, sight: sights.Sight, otherwise: str = "") -> Sight:
        cell = self._cells.get(sight.name)
        if sight.otherwise:
            return Sight(sight.name, cell, sight.saw, str(sight.expected), otherwise)
        standing = cell.standing if cell is not None else "missing"
        return Sight(sight.name, cell, sight.saw, "", standing)
