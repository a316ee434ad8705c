"""What changed from one run to another, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from harness.judge.changes import (
    LEAST_SECONDS,
    AttemptChange,
    CellChange,
    Changes,
    Direction,
    SettingChange,
    TimeChange,
)
from harness.judge.model import Attempt, Run, ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.report.layout import COLOURS, print_hanging
from harness.report.wording import attempt_line, endpoint, plain, reason
from harness.words import Verdict

_COLOURS: Final[Mapping[Direction, str]] = {
    Direction.WORSE: COLOURS[Verdict.DIFFERS],
    Direction.BETTER: COLOURS[Verdict.AGREES],
    Direction.OTHER: COLOURS[Verdict.UNDOCUMENTED],
}
_WORDS: Final = max(map(len, Direction)) + 4
_LABELLED: Final = len("    was  ")


def print_changes(changes: Changes, console: Console) -> None:
    """Print every change under its heading, what got worse first, and one line for the whole."""
    for label, run in (("old", changes.old), ("new", changes.new)):
        print_hanging(console, Text(label, style="dim"), Text(_run(run)), len("old  "))
    _print_settings(console, changes.settings)
    _print_cells(console, changes.cells)
    _print_attempts(console, changes.attempts)
    _print_times(console, changes)
    _print_only(console, "old", changes.only_old)
    _print_only(console, "new", changes.only_new)
    console.print()
    style = COLOURS[Verdict.DIFFERS if changes.worse else Verdict.AGREES]
    print_hanging(console, Text(), Text(_sum(changes), style=style), 0)


def _run(run: Run) -> str:
    return f"{plain(run.id)}, {run.started:%Y-%m-%d %H:%M}, {plain(run.runtime)}"


def _heading(console: Console, words: str) -> None:
    console.print()
    console.print(Text(words, style="bold"))


def _print_settings(console: Console, settings: Sequence[SettingChange]) -> None:
    if settings:
        _heading(console, "What was run")
    for change in settings:
        words = f"{_or_none(change.old)} -> {_or_none(change.new)}"
        print_hanging(console, Text(f"  {plain(change.name)}:"), Text(), 0)
        print_hanging(console, Text(), Text(words), 4)


def _or_none(value: str | None) -> str:
    return "not said" if value is None else plain(value)


def _print_cells(console: Console, cells: Iterable[CellChange]) -> None:
    order = list(Direction)
    ordered = sorted(cells, key=lambda cell: order.index(cell.direction))
    if ordered:
        _heading(console, "Scenarios that came to something else")
    for cell in ordered:
        label = Text(f"  {cell.direction}", style=_COLOURS[cell.direction])
        print_hanging(console, label, Text(plain(cell.new.id), style="bold"), _WORDS)
        for name, result in (("was", cell.old), ("now", cell.new)):
            words = Text.assemble(
                (_verdict(result), COLOURS[result.verdict]), f": {reason(result)}"
            )
            print_hanging(console, Text(f"    {name}", style="dim"), words, _LABELLED)


def _verdict(result: ScenarioResult) -> str:
    answer = result.observed.answer.value if result.observed is not None else "nothing observed"
    surprise = ", not as predicted" if contradicts_prediction(result) else ""
    return f"{result.verdict} ({answer}{surprise})"


def _print_attempts(console: Console, attempts: Sequence[AttemptChange]) -> None:
    if attempts:
        _heading(console, "Attempts that ended otherwise")
    for name, changes in _by_scenario(attempts):
        print_hanging(console, Text("  "), Text(plain(name), style="bold"), 2)
        for change in changes:
            for label, attempt in (("was", change.old), ("now", change.new)):
                words = "not made" if attempt is None else attempt_line(attempt)
                print_hanging(console, Text(f"    {label}", style="dim"), Text(words), _LABELLED)


def _by_scenario(attempts: Iterable[AttemptChange]) -> Iterator[tuple[str, list[AttemptChange]]]:
    found: dict[str, list[AttemptChange]] = {}
    for change in attempts:
        found.setdefault(change.scenario, []).append(change)
    yield from found.items()


def _print_times(console: Console, changes: Changes) -> None:
    shifted = abs(changes.shift) > LEAST_SECONDS
    if shifted or changes.times:
        _heading(console, "Times that moved")
    if shifted:
        words = f"the median scenario took {changes.shift:+.2f} s; what follows moved beyond that"
        print_hanging(console, Text("  "), Text(words, style="dim"), 2)
    for change in changes.times:
        print_hanging(console, Text("  "), Text(_moved(change)), 4)


def _moved(change: TimeChange) -> str:
    who = f", {_target(change.attempt)}" if change.attempt is not None else ""
    by = change.new - change.old
    times = f"{change.old:.2f} s -> {change.new:.2f} s ({by:+.2f} s)"
    return f"{plain(change.scenario)}{who}: {times}"


def _target(attempt: Attempt) -> str:
    return f"{attempt.dialler} -> {endpoint(attempt.address, attempt.port)}"


def _print_only(console: Console, which: str, scenarios: Sequence[ScenarioResult]) -> None:
    if scenarios:
        _heading(console, f"Only in the {which} run")
    for result in scenarios:
        words = Text.assemble(f"{plain(result.id)}: ", (_verdict(result), COLOURS[result.verdict]))
        print_hanging(console, Text("  "), words, 4)


def _sum(changes: Changes) -> str:
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
