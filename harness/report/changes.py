"""What changed from one run to another, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from harness.judge.card_changes import CheckChange
from harness.judge.changes import AttemptChange, CellChange, Changes, SettingChange
from harness.judge.compared import Direction
from harness.judge.model import ScenarioResult
from harness.report import change_words as say
from harness.report.gear import CARD_COLOURS
from harness.report.layout import COLOURS, print_hanging
from harness.report.wording import plain, reason
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
        print_hanging(console, Text(label, style="dim"), Text(say.run_line(run)), len("old  "))
    for pair in changes.routers:
        name = Text(f"{plain(pair.router.name)}:", style="bold")
        print_hanging(console, name, Text(say.router_line(pair)), len(name) + 1)
    _print_settings(console, changes.settings)
    _print_cells(console, changes.cells)
    _print_checks(console, changes)
    _print_attempts(console, changes.attempts)
    _print_times(console, changes)
    _print_only(console, "old", changes.only_old)
    _print_only(console, "new", changes.only_new)
    console.print()
    style = COLOURS[Verdict.DIFFERS if changes.worse else Verdict.AGREES]
    print_hanging(console, Text(), Text(say.sum_line(changes), style=style), 0)


def _heading(console: Console, words: str) -> None:
    console.print()
    console.print(Text(words, style="bold"))


def _print_settings(console: Console, settings: Sequence[SettingChange]) -> None:
    if settings:
        _heading(console, "What was run")
    for change in settings:
        words = f"{say.setting(change.old)} -> {say.setting(change.new)}"
        print_hanging(console, Text(f"  {plain(change.name)}:"), Text(), 0)
        print_hanging(console, Text(), Text(words), 4)


def _print_cells(console: Console, cells: Iterable[CellChange]) -> None:
    ordered = say.worst_first(cells)
    if ordered:
        _heading(console, "Scenarios that came to something else")
    for cell in ordered:
        label = Text(f"  {cell.direction}", style=_COLOURS[cell.direction])
        print_hanging(console, label, Text(plain(cell.new.id), style="bold"), _WORDS)
        for name, result in (("was", cell.old), ("now", cell.new)):
            words = Text.assemble(
                (say.verdict_line(result), COLOURS[result.verdict]), f": {reason(result)}"
            )
            print_hanging(console, Text(f"    {name}", style="dim"), words, _LABELLED)


def _print_checks(console: Console, changes: Changes) -> None:
    ordered, only = say.checks_worst_first(changes.cards.checks), say.only_cards(changes)
    if ordered or only:
        _heading(console, "Cards")
    for line in only:
        print_hanging(console, Text("  "), Text(line), 2)
    for change in ordered:
        _print_check(console, change)


def _print_check(console: Console, change: CheckChange) -> None:
    check = change.check
    label = Text(f"  {change.direction}", style=_COLOURS[change.direction])
    words = Text.assemble(
        (f"{plain(change.router)}: {plain(check.title)}", "bold"),
        f" ({plain(check.source)}, {check.level})",
    )
    print_hanging(console, label, words, _WORDS)
    for name, result in (("was", change.old), ("now", change.new)):
        told = Text(say.outcome_words(result))
        if result is not None:
            told.stylize(CARD_COLOURS[result.outcome])
            told.append(f": {plain(result.detail)}")
        print_hanging(console, Text(f"    {name}", style="dim"), told, _LABELLED)


def _print_attempts(console: Console, attempts: Sequence[AttemptChange]) -> None:
    if attempts:
        _heading(console, "Attempts that ended otherwise")
    for name, changes in say.by_scenario(attempts):
        print_hanging(console, Text("  "), Text(plain(name), style="bold"), 2)
        for change in changes:
            for label, attempt in (("was", change.old), ("now", change.new)):
                words = Text(say.made_line(attempt))
                print_hanging(console, Text(f"    {label}", style="dim"), words, _LABELLED)


def _print_times(console: Console, changes: Changes) -> None:
    shift = say.shift_line(changes)
    if shift or changes.times:
        _heading(console, "Times that moved")
    if shift:
        print_hanging(console, Text("  "), Text(shift, style="dim"), 2)
    for change in changes.times:
        by = change.new - change.old
        words = f"{say.timed(change)}: {change.old:.2f} s -> {change.new:.2f} s ({by:+.2f} s)"
        print_hanging(console, Text("  "), Text(words), 4)


def _print_only(console: Console, which: str, scenarios: Sequence[ScenarioResult]) -> None:
    if scenarios:
        _heading(console, f"Only in the {which} run")
    for result in scenarios:
        words = Text.assemble(
            f"{plain(result.id)}: ", (say.verdict_line(result), COLOURS[result.verdict])
        )
        print_hanging(console, Text("  "), words, 4)
