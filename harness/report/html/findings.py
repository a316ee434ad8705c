"""What the page says first: which scenarios differ or prove nothing, by what decided them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.judge.model import Attempt
from harness.report.causes import Cause, dial, is_private
from harness.report.html.cells import STANDINGS, Cell
from harness.report.wording import failed_controls, is_finding, plain
from harness.words import Answer, Verdict

_UNPROVEN: Final = (Verdict.INVALID.value, Verdict.ERROR.value)


@dataclass(frozen=True)
class Finding:
    """A scenario that somebody has to look at.

    ``lines`` are what of it is not in its group's heading. ``soft`` is what was bound to fail, in
    one line, empty where nothing was.
    """

    cell: Cell
    lines: tuple[str, ...]
    soft: str


@dataclass(frozen=True)
class Group:
    """The findings that were decided alike; ``anchor`` is the group's id in the page."""

    anchor: str
    cause: Cause
    members: Sequence[Finding]


@dataclass(frozen=True)
class Findings:
    """All findings by what decided them: the worst first, then the largest group."""

    title: str
    each: Sequence[Finding]
    groups: Sequence[Group]


def findings(told: Iterable[Cell]) -> Findings:
    """Return what of a run somebody has to look at."""
    order = list(STANDINGS)
    bad = sorted(
        (cell for cell in told if is_finding(cell.result)),
        key=lambda cell: order.index(cell.standing),
    )
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for cell in bad:
        alike.setdefault(cell.cause.key, []).append(_finding(cell))
    groups = sorted(
        alike.values(), key=lambda each: (order.index(each[0].cell.standing), -len(each))
    )
    return Findings(
        _title(bad),
        [finding for members in groups for finding in members],
        [
            Group(f"cause-{number}", members[0].cell.cause, members)
            for number, members in enumerate(groups, start=1)
        ],
    )


def _title(bad: Sequence[Cell]) -> str:
    unproven = sum(cell.standing in _UNPROVEN for cell in bad)
    if unproven == len(bad):
        return "What proves nothing"
    return "What differs or proves nothing" if unproven else "What differs"


def _finding(cell: Cell) -> Finding:
    if cell.standing == Verdict.INVALID:
        return Finding(cell, tuple(failed_controls(cell.result)), "")
    decided = cell.cause.attempt
    if decided is None or cell.result.observed is None:
        return Finding(cell, (), "")
    lines = [dial(decided)]
    others = [each for each in cell.result.observed.attempts if each is not decided]
    # Of a Yes the dials that failed beside it decide nothing.
    if cell.observed == Answer.NO:
        lines += _beside(each for each in others if not is_private(each))
    return Finding(cell, tuple(lines), _bound_to_fail(filter(is_private, others)))


def _bound_to_fail(others: Iterable[Attempt]) -> str:
    """Name the private addresses of the ticket that were dialled from elsewhere; maybe none."""
    addresses = dict.fromkeys(plain(each.address) for each in others)
    if not addresses:
        return ""
    return f"in vain, as expected: dials to private addresses ({', '.join(addresses)})"


def _beside(others: Iterable[Attempt]) -> Iterator[str]:
    for each in others:
        where = "" if each.ended_at in each.how else f"at {plain(each.ended_at)}: "
        yield f"beside it {dial(each)}: {where}{plain(each.how)}"
