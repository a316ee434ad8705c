"""One scenario as the page's tables, grids and lists show it: words, a sign, and where it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.judge.model import ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.kb import Variant
from harness.report.causes import Cause, cause_of, dial
from harness.report.html.evidence import NOTHING, Evidence
from harness.report.wording import plain
from harness.words import DIRECT, Answer, Method, Verdict, chain_name

METHODS: Final = {
    Method.MESSENGER: "Windows Messenger",
    Method.EMAIL: "e-mail",
    Method.FILE: "file",
}

UNPREDICTED: Final = "not-predicted"
"""The standing of a scenario whose only fault is that the model had expected otherwise."""


@dataclass(frozen=True)
class Standing:
    """How a scenario stands: a sign for who does not see its colour, a word, and what it means."""

    sign: str
    word: str
    meaning: str


# The order is that of a reader's interest.
STANDINGS: Final = {
    Verdict.DIFFERS.value: Standing("\N{BALLOT X}", "differs", "from what the article says"),
    UNPREDICTED: Standing(
        "\N{NOT EQUAL TO}",
        "not as predicted",
        "by the model of the devices, but not against the article",
    ),
    Verdict.INVALID.value: Standing("?", "invalid", "a control failed, so it proves nothing"),
    Verdict.ERROR.value: Standing("!", "error", "the harness failed"),
    Verdict.AGREES.value: Standing("\N{CHECK MARK}", "agrees", "with what the article says"),
    Verdict.UNDOCUMENTED.value: Standing(
        "\N{WHITE CIRCLE}",
        "undocumented",
        "the article says neither yes nor no; it is as the model predicts",
    ),
}

UNSAFE: Final = re.compile(r"[^A-Za-z0-9@+,./_-]")
"""What no anchor has in it."""


@dataclass(frozen=True)
class Cell:
    """A scenario in words that are safe to show; ``anchor`` is the id of its details.

    ``standing`` is a key of :data:`STANDINGS`; ``devices`` are joined by blanks, for the filters.
    ``cause`` is what decided it.
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
    devices: str
    cause: Cause

    @property
    def sign(self) -> str:
        """The standing in one character, for who does not see its colour."""
        return STANDINGS[self.standing].sign

    @property
    def word(self) -> str:
        """The standing in words."""
        return STANDINGS[self.standing].word

    @property
    def method(self) -> str:
        """How the invitation travelled."""
        return METHODS[self.result.method]

    @property
    def pair(self) -> str:
        """Who stands behind what, in words."""
        sides = (("Novice", self.novice), ("expert", self.expert))
        return ", ".join(
            f"{who} direct" if behind == DIRECT else f"{who} behind {behind}"
            for who, behind in sides
        )

    @property
    def title(self) -> str:
        """Who stands behind what, and how the invitation travelled."""
        return ", ".join((self.pair, f"by {self.method}", *self.options))

    @property
    def options(self) -> tuple[str, ...]:
        """What the two do otherwise than by default, in words."""
        _, at, suffix = self.result.id.rpartition("@")
        try:
            return Variant.read(at + suffix).words if at else ()
        except ValueError:
            return (plain(suffix),)

    @property
    def dialled(self) -> str:
        """The dial that decided it in words; nothing where none did."""
        return dial(self.cause.attempt) if self.cause.attempt is not None else ""

    @property
    def expected(self) -> str:
        """What was to be expected: of the article where it says yes or no, else of the model."""
        if self.documented in (Answer.YES, Answer.NO):
            return f"article {self.documented}"
        return f"model {self.predicted}" if self.predicted else ""

    @property
    def proven(self) -> bool:
        """Whether what was seen counts."""
        return self.result.observed is not None and self.result.verdict is not Verdict.INVALID


def cells(
    scenarios: Iterable[ScenarioResult], evidence: Mapping[str, Evidence]
) -> tuple[Cell, ...]:
    """Return a cell for each scenario, each with an anchor of its own; evidence is by id."""
    anchors: set[str] = set()
    return tuple(
        _cell(result, fresh(anchor_of(result.id), anchors), evidence.get(result.id, NOTHING))
        for result in scenarios
    )


def fresh(wanted: str, anchors: set[str]) -> str:
    """Add to the anchors the one that is wanted, with a number where it is taken; return it."""
    anchor, number = wanted, 1
    while anchor in anchors:
        number += 1
        anchor = f"{wanted}~{number}"
    anchors.add(anchor)
    return anchor


def anchor_of(scenario_id: str) -> str:
    """Return the id that the details of the first scenario of that id have in the page."""
    return UNSAFE.sub("-", scenario_id)


def by_id(told: Iterable[Cell]) -> Mapping[str, Cell]:
    """Return the cells by scenario id; of two with the same id, the first."""
    found: dict[str, Cell] = {}
    for cell in told:
        found.setdefault(cell.result.id, cell)
    return found


def _cell(result: ScenarioResult, anchor: str, evidence: Evidence) -> Cell:
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
        devices=" ".join(plain(name) for name in (*result.novice, *result.expert)) or DIRECT,
        cause=cause_of(result, evidence.topology, evidence.journeys),
    )


def _observed(result: ScenarioResult) -> str:
    return "nothing" if result.observed is None else result.observed.answer.value
