"""What the page says first: which scenarios differ or prove nothing, and where each ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.report.html.cells import STANDINGS, Cell, Ended
from harness.report.wording import plain
from harness.words import Answer, Verdict

_UNPROVEN: Final = (Verdict.INVALID.value, Verdict.ERROR.value)
_ENDED, _CONNECTED, _INVALID = "ended at", "connected at", "a control failed at"


@dataclass(frozen=True)
class Finding:
    """A scenario that somebody has to look at.

    ``ends`` are where it ended by what is told of it: ``what`` is ``ended at`` and the like.
    ``others`` are the ends that tell less: of attempts that could not have worked anyhow.
    """

    cell: Cell
    what: str
    ends: tuple[Ended, ...]
    others: tuple[Ended, ...]


@dataclass(frozen=True)
class Place:
    """A node, and of how many findings it is the end."""

    what: str
    node: str
    count: int


@dataclass(frozen=True)
class Findings:
    """All findings, the worst first, and the nodes behind them, the most frequent first."""

    title: str
    each: Sequence[Finding]
    places: Sequence[Place]


def findings(told: Iterable[Cell]) -> Findings:
    """Return what of a run somebody has to look at."""
    order = list(STANDINGS)
    bad = sorted(
        (cell for cell in told if cell.finding), key=lambda cell: order.index(cell.standing)
    )
    each = [_finding(cell) for cell in bad]
    places = Counter(
        place
        for finding in each
        for place in dict.fromkeys((finding.what, end.node) for end in finding.ends if end.node)
    )
    return Findings(
        _title(bad), each, [Place(*place, count) for place, count in places.most_common()]
    )


def _title(bad: Sequence[Cell]) -> str:
    unproven = sum(cell.standing in _UNPROVEN for cell in bad)
    if unproven == len(bad):
        return "What proves nothing"
    return "What differs or proves nothing" if unproven else "What differs"


def _finding(cell: Cell) -> Finding:
    """Say where a scenario ended: at devices, and where it met none at whatever there was."""
    if cell.standing == Verdict.INVALID:
        failed = (each for each in cell.result.controls if not each.passed)
        ends = tuple(Ended(plain(c.node), f"{plain(c.name)}: {plain(c.detail)}") for c in failed)
        return Finding(cell, _INVALID, ends, ())
    what = _CONNECTED if cell.observed == Answer.YES else _ENDED
    ends = tuple(end for end in cell.ended if end.at_device) or cell.ended
    return Finding(cell, what, ends, tuple(end for end in cell.ended if end not in ends))
