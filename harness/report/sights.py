"""What a run says to a statement of the article: the rules that the terminal and the page share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from harness.judge.model import ScenarioResult
from harness.kb import Bound
from harness.words import Answer, Verdict

NOT_RUN: Final = "not run"
"""What was seen of a scenario that the run does not have."""

MARK: Final = "!"
"""Stands behind an answer that is not the one that its condition expects."""

Found = Mapping[str, ScenarioResult]


class Became(StrEnum):
    """What became of a statement; the order is that of a reader's interest.

    What the article leaves open cannot fail: it can only be otherwise than expected.
    """

    FAILS = "fails"
    OTHERWISE = "otherwise"
    UNPROVEN = "unproven"
    HOLDS = "holds"
    PARTLY = "partly run"
    NOT_RUN = NOT_RUN


@dataclass(frozen=True)
class Sight:
    """A scenario that tests what the article says.

    ``result`` is None where it was not run, ``expected`` where nothing is expected of it: it shows
    a contradiction of the article.
    """

    name: str
    result: ScenarioResult | None
    expected: Answer | None = None

    @property
    def saw(self) -> str:
        """What was seen: ``yes``, ``no``, ``invalid``, ``error`` or :data:`NOT_RUN`."""
        if self.result is None:
            return NOT_RUN
        if self.result.verdict in (Verdict.INVALID, Verdict.ERROR):
            return self.result.verdict.value
        if self.result.observed is None:
            return Verdict.ERROR.value
        return self.result.observed.answer.value

    @property
    def otherwise(self) -> bool:
        """Whether what was seen is an answer, and not the one expected."""
        answered = self.saw in (Answer.YES, Answer.NO)
        return answered and self.expected is not None and self.saw != self.expected

    @property
    def words(self) -> str:
        """What was seen, marked where it is not what is expected."""
        return f"{self.saw}{MARK}" if self.otherwise else self.saw


def by_id(scenarios: Iterable[ScenarioResult]) -> Found:
    """Return the results by scenario id; of two with the same id, the first."""
    found: dict[str, ScenarioResult] = {}
    for result in scenarios:
        found.setdefault(result.id, result)
    return found


def touched(scenario_ids: Iterable[str], found: Found) -> bool:
    """Say whether a run has any of these scenarios."""
    return any(name in found for name in scenario_ids)


def cases(scenarios: Iterable[Bound], found: Found) -> Iterator[tuple[str, tuple[Sight, ...]]]:
    """Yield each condition of a statement with what was seen of its scenarios."""
    for condition, bounds in groupby(scenarios, key=lambda bound: bound.condition):
        yield condition, tuple(Sight(b.id, found.get(b.id), b.expected) for b in bounds)


def became(scenarios: Iterable[Bound], found: Found) -> Became:
    """Say what became of a statement; one scenario that ended otherwise settles it."""
    sights = [sight for _, case in cases(scenarios, found) for sight in case]
    saw = {sight.saw for sight in sights}
    if any(sight.otherwise for sight in sights):
        return Became.FAILS
    if saw == {NOT_RUN}:
        return Became.NOT_RUN
    if saw & {Verdict.INVALID, Verdict.ERROR}:
        return Became.UNPROVEN
    return Became.PARTLY if NOT_RUN in saw else Became.HOLDS


def became_of_gap(scenarios: Iterable[Bound], found: Found) -> Became:
    """Say what became of what the article leaves open: nothing of it is against the article."""
    word = became(scenarios, found)
    return Became.OTHERWISE if word is Became.FAILS else word
