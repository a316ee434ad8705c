"""One scenario as the page's tables, grids and lists show it: words, a sign, and where it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from harness.judge.model import ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.report.wording import is_finding, plain, reason
from harness.topology.model import chain_name
from harness.words import Answer, End, Method, Verdict

METHODS: Final = {
    Method.MESSENGER: "Windows Messenger",
    Method.EMAIL: "e-mail",
    Method.FILE: "file",
}

UNPREDICTED: Final = "not-predicted"
"""The standing of a scenario whose only fault is that the model had expected otherwise."""

# The order is that of a reader's interest.
STANDINGS: Final = {
    Verdict.DIFFERS.value: ("\N{BALLOT X}", "differs"),
    UNPREDICTED: ("\N{NOT EQUAL TO}", "not as predicted"),
    Verdict.INVALID.value: ("?", "invalid"),
    Verdict.ERROR.value: ("!", "error"),
    Verdict.AGREES.value: ("\N{CHECK MARK}", "agrees"),
    Verdict.UNDOCUMENTED.value: ("\N{WHITE CIRCLE}", "undocumented"),
}

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9@+,./_-]")
_INTERNET: Final = "internet"


@dataclass(frozen=True)
class Ended:
    """Where attempts ended, and how; ``node`` is empty where nobody knows."""

    node: str
    how: str


@dataclass(frozen=True)
class Cell:
    """A scenario in words that are safe to show; ``anchor`` is the id of its details.

    ``standing`` is a key of :data:`STANDINGS`; ``devices`` are joined by blanks, for the filters.
    """

    result: ScenarioResult
    anchor: str
    name: str
    novice: str
    expert: str
    standing: str
    documented: str
    predicted: str
    observed: str
    why: str
    devices: str
    ended: tuple[Ended, ...]
    finding: bool

    @property
    def sign(self) -> str:
        """The standing in one character, for who does not see its colour."""
        return STANDINGS[self.standing][0]

    @property
    def word(self) -> str:
        """The standing in words."""
        return STANDINGS[self.standing][1]

    @property
    def method(self) -> str:
        """How the invitation travelled."""
        return METHODS[self.result.method]


def cells(scenarios: Iterable[ScenarioResult]) -> tuple[Cell, ...]:
    """Return a cell for each scenario, each with an anchor of its own."""
    anchors: set[str] = set()
    found = []
    for result in scenarios:
        wanted = anchor = _UNSAFE.sub("-", result.id)
        number = 1
        while anchor in anchors:
            number += 1
            anchor = f"{wanted}~{number}"
        anchors.add(anchor)
        found.append(_cell(result, anchor))
    return tuple(found)


def by_id(told: Iterable[Cell]) -> Mapping[str, Cell]:
    """Return the cells by scenario id; of two with the same id, the first."""
    found: dict[str, Cell] = {}
    for cell in told:
        found.setdefault(cell.result.id, cell)
    return found


def _cell(result: ScenarioResult, anchor: str) -> Cell:
    unpredicted = contradicts_prediction(result) and result.verdict not in (
        Verdict.DIFFERS,
        Verdict.ERROR,
    )
    return Cell(
        result=result,
        anchor=anchor,
        name=plain(result.id),
        novice=plain(chain_name(result.novice)),
        expert=plain(chain_name(result.expert)),
        standing=UNPREDICTED if unpredicted else result.verdict.value,
        documented=result.documented.answer.value if result.documented else "",
        predicted=result.predicted.answer.value if result.predicted else "",
        observed=_observed(result),
        why=reason(result),
        devices=" ".join(plain(name) for name in (*result.novice, *result.expert)) or "direct",
        ended=tuple(_ended(result)),
        finding=is_finding(result),
    )


def _observed(result: ScenarioResult) -> str:
    return "nothing" if result.observed is None else result.observed.answer.value


def _ended(result: ScenarioResult) -> Iterator[Ended]:
    """Say where the attempts ended that settle the answer: devices, then hosts, then the internet.

    A private address that the internet has no route to is dialled in most scenarios, and tells
    less than the device which ended the attempt that could have worked.
    """
    if result.observed is None:
        return
    wanted = result.observed.answer is Answer.YES
    settling = [a for a in result.observed.attempts if (a.end is End.CONNECTED) == wanted]
    distinct = dict.fromkeys(Ended(plain(a.ended_at), plain(a.how)) for a in settling)
    yield from sorted(
        distinct, key=lambda each: (each.node in (_INTERNET, ""), "." not in each.node)
    )
