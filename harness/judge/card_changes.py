"""What changed of real routers from one run to another: who they are, and their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.judge.card import Card, CheckResult, Level, Outcome
from harness.judge.compared import Direction, numbered
from harness.judge.model import Results, Router

# How bad an outcome is, as for verdicts: what is not proved lies between. A check that was not made
# says nothing, and a feature that is not there breaks no rule.
_RANKS: Final = {
    Outcome.COMPLIANT: 0,
    Outcome.NOT_OFFERED: 0,
    Outcome.ERROR: 1,
    Outcome.NON_COMPLIANT: 2,
}


@dataclass(frozen=True)
class RouterPair:
    """A router by its name, as each run had it; None where a run did not have it.

    ``router`` is what the later run that has it says of it.
    """

    router: Router
    old: Router | None
    new: Router | None


@dataclass(frozen=True)
class CheckChange:
    """A check that came to something else; None where a card does not have it.

    ``check`` is the check as the later card that has it says it.
    """

    router: str
    check: CheckResult
    old: CheckResult | None
    new: CheckResult | None
    direction: Direction


@dataclass(frozen=True)
class CardChanges:
    """All that changed in the cards of routers that both runs made one of.

    ``compared`` is how many checks both have. The others are names of routers that one run alone
    made a card of.
    """

    compared: int
    checks: tuple[CheckChange, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Say whether what a source demands got worse."""
        return any(
            change.direction is Direction.WORSE and change.check.level is Level.REQUIRED
            for change in self.checks
        )


def router_pairs(old: Results, new: Results) -> Iterator[RouterPair]:
    """Yield the routers of both runs."""
    before, after = _routers(old), _routers(new)
    for key in before | after:
        yield RouterPair((before | after)[key], before.get(key), after.get(key))


def compare_cards(old: Iterable[Card], new: Iterable[Card]) -> CardChanges:
    """Compare the cards of routers of the same name, check by check.

    What a check saw may differ in each run: only its outcome counts.
    """
    before, after = _cards(old), _cards(new)
    compared = 0
    changes: list[CheckChange] = []
    for key in before:
        if key in after:
            olds, news = _checks(before[key]), _checks(after[key])
            compared += len(olds.keys() & news.keys())
            changes += _changes(key[0], olds, news)
    return CardChanges(
        compared=compared,
        checks=tuple(changes),
        only_old=tuple(name for name, number in before if (name, number) not in after),
        only_new=tuple(name for name, number in after if (name, number) not in before),
    )


_Checks = dict[tuple[str, int], CheckResult]


def _routers(results: Results) -> dict[tuple[str, int], Router]:
    return numbered(results.run.routers, lambda router: router.name)


def _cards(cards: Iterable[Card]) -> dict[tuple[str, int], Card]:
    return numbered(cards, lambda card: card.router)


def _checks(card: Card) -> _Checks:
    return numbered(card.checks, lambda check: check.id)


def _changes(router: str, olds: _Checks, news: _Checks) -> Iterator[CheckChange]:
    for key in olds | news:
        old, new = olds.get(key), news.get(key)
        if old is None or new is None:
            check = (olds | news)[key]
            yield CheckChange(router, check, old, new, Direction.OTHER)
        elif old.outcome is not new.outcome:
            yield CheckChange(router, new, old, new, _direction(old.outcome, new.outcome))


def _direction(old: Outcome, new: Outcome) -> Direction:
    if old not in _RANKS or new not in _RANKS:
        return Direction.OTHER
    if _RANKS[new] > _RANKS[old]:
        return Direction.WORSE
    # What was not compliant and proves nothing now, or is not there any more, is not mended.
    mended = new is Outcome.COMPLIANT and _RANKS[old] > 0
    return Direction.BETTER if mended else Direction.OTHER
