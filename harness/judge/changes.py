"""What changed from one run to another: pure data, for whoever shows it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median
from typing import Final

from harness.judge.card_changes import CardChanges, RouterPair, compare_cards, router_pairs
from harness.judge.compared import Direction, numbered
from harness.judge.model import Attempt, Results, Run, ScenarioResult
from harness.judge.places import Places
from harness.judge.verdict import contradicts_prediction
from harness.words import Role, Verdict

LEAST_SECONDS: Final = 0.5
"""A time that moved by less did not move.

Linux sends a SYN again after 1 s (RFC 6298, 2.1), so half of that tells a SYN that was lost from a
machine that was busy.
"""

_SIGMAS: Final = 4
# The standard deviation of a normal distribution is so many median absolute deviations.
_SIGMA_OF_MAD: Final = 1.4826
# Of fewer times the median says more of the one that moved than of the machine.
_LEAST_TIMES: Final = 5

# A port behind an address, above the system's own and not Remote Assistance's: a kernel drew it.
_DRAWN_PORT: Final = re.compile(r"(?<=[0-9\]]):(?!3389\b)[1-9][0-9]{3,4}\b")
_NUMBER: Final = re.compile(r"[0-9]+")

# Of the old run, and of the new one.
_BothPlaces = tuple[Places, Places]


@dataclass(frozen=True)
class CellChange:
    """A scenario whose verdict, answer, or reason for having proved nothing is another now."""

    old: ScenarioResult
    new: ScenarioResult
    direction: Direction


@dataclass(frozen=True)
class AttemptChange:
    """An attempt of a scenario that ended otherwise; None where a run did not make it."""

    scenario: str
    old: Attempt | None
    new: Attempt | None


@dataclass(frozen=True)
class TimeChange:
    """A time that moved, in seconds: a scenario's own, or that of one of its attempts."""

    scenario: str
    attempt: Attempt | None
    old: float
    new: float


@dataclass(frozen=True)
class SettingChange:
    """What a run was of, or on: a version, the kernel, the runtime; None where it was not said."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Changes:
    """All that changed from an old run to a new one.

    ``compared`` is how many scenarios both runs have. ``shift`` is by how many seconds the median
    scenario moved: the scenarios' own times are held against it, for that is the machine's doing.
    ``routers`` are the real ones of either run.
    """

    old: Run
    new: Run
    compared: int
    settings: tuple[SettingChange, ...]
    cells: tuple[CellChange, ...]
    attempts: tuple[AttemptChange, ...]
    times: tuple[TimeChange, ...]
    shift: float
    only_old: tuple[ScenarioResult, ...]
    only_new: tuple[ScenarioResult, ...]
    routers: tuple[RouterPair, ...]
    cards: CardChanges

    @property
    def worse(self) -> bool:
        """Say whether a verdict got worse, or a check of a card that its source demands.

        A run's exit code leaves cards out, for the article says nothing of them. Here a router is
        held against itself, and what it did right and does wrong now is what is asked for.
        """
        return self.cards.worse or any(cell.direction is Direction.WORSE for cell in self.cells)


def compare(old: Results, new: Results) -> Changes:
    """Compare two runs, scenario by scenario.

    The order of attempts, and by Messenger which of two that connect wins, is a race and no change.
    Nor is a port that a kernel draws in each run, or an address that a real router has in one.
    """
    before, after = (numbered(run.scenarios, lambda result: result.id) for run in (old, new))
    pairs = [(before[key], after[key]) for key in before if key in after]
    places = Places(old.run.routers), Places(new.run.routers)
    shift = _shift(pairs)
    return Changes(
        old=old.run,
        new=new.run,
        compared=len(pairs),
        settings=tuple(_settings(old.run, new.run)),
        cells=tuple(cell for pair in pairs if (cell := _cell(*pair)) is not None),
        attempts=tuple(change for pair in pairs for change in _attempts(*pair, places)),
        times=(*_scenario_times(pairs, shift), *_attempt_times(pairs, places)),
        shift=shift,
        only_old=tuple(before[key] for key in before if key not in after),
        only_new=tuple(after[key] for key in after if key not in before),
        routers=tuple(router_pairs(old, new)),
        cards=compare_cards(old.cards, new.cards),
    )


def _settings(old: Run, new: Run) -> Iterator[SettingChange]:
    before, after = _setting(old), _setting(new)
    for name in before | after:
        if before.get(name) != after.get(name):
            yield SettingChange(name, before.get(name), after.get(name))


def _setting(run: Run) -> dict[str, str]:
    return {"runtime": run.runtime, "jobs": str(run.jobs)} | run.versions | run.host


def _cell(old: ScenarioResult, new: ScenarioResult) -> CellChange | None:
    if _state(old) == _state(new):
        return None
    return CellChange(old, new, _direction(old, new))


def _state(result: ScenarioResult) -> tuple[object, ...]:
    answer = result.observed.answer if result.observed is not None else None
    documented = result.documented.answer if result.documented is not None else None
    proved_nothing = result.verdict in (Verdict.INVALID, Verdict.ERROR)
    # Such a reason may hold a port, a process or a duration, which are new in each run.
    reason = _NUMBER.sub("", result.why) if proved_nothing else None
    return result.verdict, answer, documented, contradicts_prediction(result), reason


def _direction(old: ScenarioResult, new: ScenarioResult) -> Direction:
    before, after = _rank(old), _rank(new)
    if after > before:
        return Direction.WORSE
    # What differed and proves nothing now is not mended: nobody knows.
    return Direction.BETTER if before > after == 0 else Direction.OTHER


def _rank(result: ScenarioResult) -> int:
    """Return how bad a result is, in the order of the exit codes of a run."""
    if result.verdict is Verdict.DIFFERS or contradicts_prediction(result):
        return 2
    return 1 if result.verdict in (Verdict.INVALID, Verdict.ERROR) else 0


def _attempts(
    old: ScenarioResult, new: ScenarioResult, places: _BothPlaces
) -> Iterator[AttemptChange]:
    for before, after in _paired(old, new, places):
        if (
            before is None
            or after is None
            or _essence(old, before, places[0]) != _essence(new, after, places[1])
        ):
            yield AttemptChange(new.id, before, after)


def _paired(
    old: ScenarioResult, new: ScenarioResult, places: _BothPlaces
) -> Iterator[tuple[Attempt | None, Attempt | None]]:
    """Pair the attempts of two runs by who dialled which address, in the order dialled.

    Where a run observed nothing there is nothing to pair: the verdict says so.
    """
    if old.observed is None or new.observed is None:
        return
    before = _by_target(old.observed.attempts, places[0])
    after = _by_target(new.observed.attempts, places[1])
    for target in before | after:
        yield from zip_longest(before.get(target, ()), after.get(target, ()))


def _by_target(
    attempts: Iterable[Attempt], places: Places
) -> dict[tuple[Role, str], list[Attempt]]:
    found: dict[tuple[Role, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.dialler, places.of(attempt.address)].append(attempt)
    return dict(found)


def _essence(result: ScenarioResult, attempt: Attempt, places: Places) -> tuple[object, ...]:
    """Return what of an attempt is the same in each run, if nothing changed.

    The expert listens on a port that its kernel draws, unless the scenario's id names one.
    """
    drawn = attempt.dialler is Role.NOVICE and "expert-port-" not in result.id
    port = None if drawn else attempt.port
    how = places.of(_DRAWN_PORT.sub(":*", attempt.how))
    return port, attempt.end, attempt.ended_at, how


def _shift(pairs: Sequence[tuple[ScenarioResult, ScenarioResult]]) -> float:
    """Return by how many seconds the median scenario moved; 0 where there are too few to say."""
    if len(pairs) < _LEAST_TIMES:
        return 0.0
    return median(new.seconds - old.seconds for old, new in pairs)


def _scenario_times(
    pairs: Sequence[tuple[ScenarioResult, ScenarioResult]], shift: float
) -> Iterator[TimeChange]:
    """Yield the scenarios that moved further from the median than all of them scatter."""
    moved = [abs(new.seconds - old.seconds - shift) for old, new in pairs]
    scatter = _SIGMAS * _SIGMA_OF_MAD * median(moved) if len(moved) >= _LEAST_TIMES else 0.0
    for (old, new), distance in zip(pairs, moved, strict=True):
        if distance > max(LEAST_SECONDS, scatter):
            yield TimeChange(new.id, None, old.seconds, new.seconds)


def _attempt_times(
    pairs: Iterable[tuple[ScenarioResult, ScenarioResult]], places: _BothPlaces
) -> Iterator[TimeChange]:
    for old, new in pairs:
        for before, after in _paired(old, new, places):
            if before is None or after is None:
                continue
            if abs(after.seconds - before.seconds) > LEAST_SECONDS:
                yield TimeChange(new.id, after, before.seconds, after.seconds)
