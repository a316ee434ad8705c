"""The words of what changed from one run to another: the terminal and the page share them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from harness.judge.changes import (
    LEAST_SECONDS,
    AttemptChange,
    CellChange,
    Changes,
    Direction,
    TimeChange,
)
from harness.judge.model import Attempt, Run, ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.report.wording import attempt_line, endpoint, plain


def run_line(run: Run) -> str:
    """Say which run it was."""
    return f"{plain(run.id)}, {run.started:%Y-%m-%d %H:%M}, {plain(run.runtime)}"


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
    went = Counter(cell.direction for cell in changes.cells)
    attempts, times = len(changes.attempts), len(changes.times)
    counts = (
        (went[Direction.WORSE], "worse"),
        (went[Direction.BETTER], "better"),
        (went[Direction.OTHER], "otherwise changed"),
        (attempts, f"{_plural(attempts, 'attempt')} ended otherwise"),
        (times, f"{_plural(times, 'time')} moved"),
        (len(changes.only_old), "only in the old run"),
        (len(changes.only_new), "only in the new run"),
    )
    said = [f"{count} {words}" for count, words in counts if count]
    compared = f"{changes.compared} {_plural(changes.compared, 'scenario')} compared"
    return f"{compared}: {', '.join(said) or 'no change'}"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
