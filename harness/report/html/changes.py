"""What changed from one run to another as one page, in the look of a run's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from harness.judge.card import CheckResult
from harness.judge.card_changes import CheckChange
from harness.judge.changes import Changes
from harness.judge.compared import Direction
from harness.judge.model import ScenarioResult
from harness.report import change_words as say
from harness.report.cards import SIGNS
from harness.report.files import write_atomically
from harness.report.html.cells import STANDINGS, Standing, anchor_of
from harness.report.html.gear import check_anchor, look
from harness.report.html.templates import own, rendered
from harness.report.wording import plain, reason

# Worse and better have the colours of what differs and what agrees.
_LOOKS: Final = {
    Direction.WORSE: ("differs", "\N{DOWNWARDS ARROW}"),
    Direction.BETTER: ("agrees", "\N{UPWARDS ARROW}"),
    Direction.OTHER: ("undocumented", "\N{NOT EQUAL TO}"),
}


@dataclass(frozen=True)
class Side:
    """One of the two runs: its report is where links to its scenarios lead, if it has one."""

    name: str
    run: str
    report: str | None


@dataclass(frozen=True)
class _Outcome:
    """A scenario as one run has it."""

    result: ScenarioResult
    report: str | None

    @property
    def link(self) -> str | None:
        """Where its details are."""
        if self.report is None:
            return None
        return f"{self.report}#{anchor_of(self.result.id)}"

    @property
    def name(self) -> str:
        """The scenario's id."""
        return plain(self.result.id)

    @property
    def standing(self) -> Standing:
        """Its verdict's sign and word."""
        return STANDINGS[self.result.verdict.value]

    @property
    def words(self) -> str:
        """What it came to."""
        return say.verdict_line(self.result)

    @property
    def why(self) -> str:
        """Why, in one line."""
        return reason(self.result)


@dataclass(frozen=True)
class _Checked:
    """A check as one run's card has it; ``sign`` and ``look`` are empty where it does not."""

    words: str
    detail: str
    sign: str
    look: str
    link: str | None


@dataclass(frozen=True)
class _Check:
    """A check that came to something else."""

    name: str
    about: str
    old: _Checked
    new: _Checked


def write_changes(
    changes: Changes,
    path: Path,
    old_report: Path | None = None,
    new_report: Path | None = None,
) -> None:
    """Write the changes as one HTML file that needs no other, no network and no script.

    A scenario's verdicts lead to its details in the two runs' reports, where these are given; the
    links are relative to ``path``'s folder.

    Raises:
        OutputError: the file cannot be written.
    """
    old, new = (_relative(report, path.parent) for report in (old_report, new_report))
    write_atomically(path, changes_page(changes, old, new).encode())


def changes_page(
    changes: Changes, old_report: str | None = None, new_report: str | None = None
) -> str:
    """Return the page's text; the reports are addresses relative to it."""
    headline, standing, sign = _headline(changes)
    return rendered(
        "changes.html.j2",
        headline=headline,
        standing=standing,
        sign=sign,
        summary=say.sum_line(changes),
        sides=[
            Side("old", say.run_line(changes.old), old_report),
            Side("new", say.run_line(changes.new), new_report),
        ],
        cells=[
            (
                cell.direction,
                *_LOOKS[cell.direction],
                _Outcome(cell.old, old_report),
                _Outcome(cell.new, new_report),
            )
            for cell in say.worst_first(changes.cells)
        ],
        routers=[(plain(pair.router.name), say.router_line(pair)) for pair in changes.routers],
        only_cards=say.only_cards(changes),
        checks=[
            (change.direction, *_LOOKS[change.direction], _check(change, old_report, new_report))
            for change in say.checks_worst_first(changes.cards.checks)
        ],
        attempts=[
            (
                plain(name),
                [(say.made_line(change.old), say.made_line(change.new)) for change in members],
            )
            for name, members in say.by_scenario(changes.attempts)
        ],
        shift=say.shift_line(changes),
        times=[(say.timed(change), change.old, change.new) for change in changes.times],
        only=[
            (which, [_Outcome(result, report) for result in scenarios])
            for which, report, scenarios in (
                ("old", old_report, changes.only_old),
                ("new", new_report, changes.only_new),
            )
            if scenarios
        ],
        settings=[
            (plain(change.name), say.setting(change.old), say.setting(change.new))
            for change in changes.settings
        ],
        run=changes.new,
        style=own("style.css"),
        script_hash="",
    )


def _check(change: CheckChange, old_report: str | None, new_report: str | None) -> _Check:
    return _Check(
        f"{plain(change.router)}: {plain(change.check.title)}",
        f"{plain(change.check.source)}, {change.check.level}",
        _checked(change.router, change.old, old_report),
        _checked(change.router, change.new, new_report),
    )


def _checked(router: str, check: CheckResult | None, report: str | None) -> _Checked:
    if check is None:
        return _Checked(say.outcome_words(check), "", "", "", None)
    link = None if report is None else f"{report}#{check_anchor(router, check.id)}"
    sign, colour = SIGNS[check.outcome], look(check.outcome)
    return _Checked(say.outcome_words(check), plain(check.detail), sign, colour, link)


def _headline(changes: Changes) -> tuple[str, str, str]:
    """Return the word for the whole, and the class of its colour and the sign for it."""
    cards = changes.cards
    went = {cell.direction for cell in changes.cells}
    went |= {change.direction for change in cards.checks}
    if changes.worse:
        return "Worse", *_LOOKS[Direction.WORSE]
    if went == {Direction.BETTER}:
        return "Better", *_LOOKS[Direction.BETTER]
    rest = (changes.attempts, changes.times, changes.only_old, changes.only_new)
    if went or any(rest) or cards.only_old or cards.only_new:
        return "Changed", *_LOOKS[Direction.OTHER]
    return "No change", "agrees", "="


def _relative(report: Path | None, folder: Path) -> str | None:
    """Return the address of a file as seen from a folder.

    Quoted and behind ``./`` it is a path whatever it holds.
    """
    if report is None:
        return None
    return f"./{quote(os.path.relpath(report, folder), safe='/')}"
