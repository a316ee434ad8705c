"""The words of what changed from one run to another: the terminal and the page share them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from harness.judge.card import CheckResult, Level
from harness.judge.card_changes import CheckChange, RouterPair
from harness.judge.changes import LEAST_SECONDS, AttemptChange, CellChange, Changes, TimeChange
from harness.judge.compared import Direction
from harness.judge.model import Attempt, Run, ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.report.cards import about
from harness.report.wording import attempt_line, endpoint, plain


def run_line(run: Run) -> str:
    """Say which run it was."""
    return f"{plain(run.id)}, {run.started:%Y-%m-%d %H:%M}, {plain(run.runtime)}"


def router_line(pair: RouterPair) -> str:
    """Say which model and firmware a router was and is, and what else of it is not as it was."""
    old, new = pair.old, pair.new
    if old is None or new is None:
        return f"{about(pair.router)}; only in the {'new' if old is None else 'old'} run"
    parts = [_went(old.model, new.model), f"firmware {_went(old.firmware, new.firmware)}"]
    if old.claims != new.claims:
        parts.append(f"its maker claims {_went(old.claims, new.claims)}")
    if old.wan_addressing != new.wan_addressing:
        parts.append(f"WAN by {_went(old.wan_addressing, new.wan_addressing)}")
    return "; ".join(parts)


def _went(old: str, new: str) -> str:
    return plain(new) if old == new else f"{plain(old)} -> {plain(new)}"


def checks_worst_first(checks: Iterable[CheckChange]) -> list[CheckChange]:
    """Order checks by what a reader has to know first: the way they went, then the level."""
    directions, levels = list(Direction), list(Level)
    return sorted(
        checks,
        key=lambda each: (directions.index(each.direction), levels.index(each.check.level)),
    )


def outcome_words(check: CheckResult | None) -> str:
    """Say what a check came to, if the card has it."""
    return "not on the card" if check is None else check.outcome.value


def only_cards(changes: Changes) -> list[str]:
    """Say of which routers one run alone has a card."""
    both = (("old", changes.cards.only_old), ("new", changes.cards.only_new))
    return [
        f"the card of {plain(name)} is in the {which} run only"
        for which, names in both
        for name in names
    ]


def setting(value: str | None) -> str:
    """Say what a version or the like was."""
    return "not said" if value is None else plain(value)


def worst_first(cells: Iterable[CellChange]) -> list[CellChange]:
    """Order cells by what a reader has to know first."""
    order = list(Direction)
    return sorted(cells, key=lambda cell: order.index(cell.direction))


def verdict_line(result: ScenarioResult) -> str:
    """Say what a scenario came to, and what was seen of it."""
    answer = result.observed.answer.value if result.observed is not None else "nothing observed"
    surprise = ", not as predicted" if contradicts_prediction(result) else ""
    return f"{result.verdict} ({answer}{surprise})"


def made_line(attempt: Attempt | None) -> str:
    """Say how an attempt ended, if it was made."""
    return "not made" if attempt is None else attempt_line(attempt)


def by_scenario(attempts: Iterable[AttemptChange]) -> Iterator[tuple[str, list[AttemptChange]]]:
    """Yield each scenario's id with the attempts of it that ended otherwise."""
    found: dict[str, list[AttemptChange]] = {}
    for change in attempts:
        found.setdefault(change.scenario, []).append(change)
    yield from found.items()


def shift_line(changes: Changes) -> str:
    """Say by how much the machine is slower or faster; nothing where it is not."""
    if abs(changes.shift) <= LEAST_SECONDS:
        return ""
    return f"the median scenario took {changes.shift:+.2f} s; what follows moved beyond that"


def timed(change: TimeChange) -> str:
    """Say whose time moved."""
    if change.attempt is None:
        return plain(change.scenario)
    target = endpoint(change.attempt.address, change.attempt.port)
    return f"{plain(change.scenario)}, {change.attempt.dialler} -> {target}"


def sum_line(changes: Changes) -> str:
    """Say in one line how much changed; only what there is."""
    attempts, times = len(changes.attempts), len(changes.times)
    counts = (
        *_directions(cell.direction for cell in changes.cells),
        (attempts, f"{_plural(attempts, 'attempt')} ended otherwise"),
        (times, f"{_plural(times, 'time')} moved"),
        (len(changes.only_old), "only in the old run"),
        (len(changes.only_new), "only in the new run"),
    )
    told = [_compared(changes.compared, "scenario", counts)]
    cards = changes.cards
    if cards.compared or cards.checks:
        went = _directions(change.direction for change in cards.checks)
        told.append(_compared(cards.compared, "check", went))
    return "; ".join((*told, *only_cards(changes)))


def _directions(went: Iterable[Direction]) -> Iterator[tuple[int, str]]:
    counts = Counter(went)
    yield counts[Direction.WORSE], "worse"
    yield counts[Direction.BETTER], "better"
    yield counts[Direction.OTHER], "otherwise changed"


def _compared(compared: int, noun: str, counts: Iterable[tuple[int, str]]) -> str:
    said = [f"{count} {words}" for count, words in counts if count]
    return f"{compared} {_plural(compared, noun)} compared: {', '.join(said) or 'no change'}"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
