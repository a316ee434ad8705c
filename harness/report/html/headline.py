"""The page's first words: what the run came to, in scenarios and in statements of the article."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.judge.model import ScenarioResult
from harness.judge.verdict import contradicts_prediction, exit_code, summarize
from harness.report.html.cells import STANDINGS
from harness.report.html.prose import Section, Told
from harness.report.sights import Became
from harness.report.summary import by_part
from harness.words import Verdict

_HEADLINES = {
    ExitCode.AGREES: ("Agrees", "agrees"),
    ExitCode.DIFFERS: ("Differs", "differs"),
    ExitCode.UNPROVEN: ("Unproven", "invalid"),
}


@dataclass(frozen=True)
class Headline:
    """``scenarios`` and ``statements`` are counts in words, ``model`` is how often it was right.

    ``standing`` is the class whose colour it has; ``failing`` are the statements that fail.
    """

    words: str
    standing: str
    scenarios: str
    statements: str
    failing: Sequence[Told]
    model: str

    @property
    def sign(self) -> str:
        """The standing in one character, for who does not see its colour."""
        return STANDINGS[self.standing].sign


def headline(scenarios: Sequence[ScenarioResult], sections: Sequence[Section]) -> Headline:
    """Return the first words of a run; ``sections`` are the statements that it tests."""
    if not scenarios:
        return Headline("No scenario was run", Verdict.UNDOCUMENTED.value, "", "", (), "")
    word, standing = _HEADLINES[exit_code(scenarios)]
    told = [each for section in sections for each in section.members]
    failing = [each for each in told if each.became is Became.FAILS]
    return Headline(
        f"{word}: {_sum(scenarios, told, len(failing))}",
        standing,
        _scenarios(scenarios),
        _statements(told),
        failing,
        _model(scenarios),
    )


def _sum(scenarios: Sequence[ScenarioResult], told: Sequence[Told], failing: int) -> str:
    """Say what differs or proves nothing, and where nothing does, how much agrees."""
    counts = summarize(scenarios)
    settled = sum(map(len, by_part(scenarios)))
    unpredicted = sum(map(contradicts_prediction, scenarios))
    unproven = counts.invalid + counts.error
    parts = [f"{counts.differs} of {_many(settled, 'scenario')}"] if counts.differs else []
    if failing:
        parts.append(f"{failing} of the article's {_many(len(told), 'statement')}")
    words = [" and ".join(parts)] if parts else []
    if unpredicted:
        words.append(f"{unpredicted} of {_many(len(scenarios), 'scenario')} not as predicted")
    if unproven:
        proves = "proves" if unproven == 1 else "prove"
        words.append(f"{unproven} of {_many(len(scenarios), 'scenario')} {proves} nothing")
    if words:
        return "; ".join(words)
    if not settled:
        return f"{_many(len(scenarios), 'scenario')}, of which the article says neither yes nor no"
    agrees = f"{counts.agrees} of {_many(settled, 'scenario')}"
    return (
        f"{agrees}; of the article's {_many(len(told), 'statement')} {_statements(told)}"
        if told
        else agrees
    )


def _scenarios(scenarios: Sequence[ScenarioResult]) -> str:
    """Count who agrees of those that the article answers, and those that it does not."""
    parts = []
    for members, where in zip(
        by_part(scenarios), ("in the article's tables", "in its prose alone"), strict=True
    ):
        agreeing = summarize(members).agrees
        if members:
            parts.append(f"{agreeing} of {_many(len(members), 'scenario')} agree {where}")
    words = ", ".join(parts)
    open_ = summarize(scenarios).undocumented
    if words and open_:
        words += f"; of {open_} more it says neither yes nor no"
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _statements(told: Sequence[Told]) -> str:
    """Say how many statements came to what."""
    counts = Counter(each.became for each in told)
    verbs = {Became.HOLDS: ("holds", "hold"), Became.FAILS: ("fails", "fail")}
    return ", ".join(
        f"{counts[each]} {verbs.get(each, (each, each))[counts[each] != 1]}"
        for each in (Became.HOLDS, *(other for other in Became if other is not Became.HOLDS))
        if counts[each]
    )


def _model(scenarios: Sequence[ScenarioResult]) -> str:
    """Say what the model is, how often it was right, and what follows from that."""
    seen = [each for each in scenarios if each.predicted is not None and each.observed is not None]
    if not seen:
        return ""
    wrong = sum(map(contradicts_prediction, seen))
    what = "The model, which works each answer out from the devices' definitions alone, expected"
    if wrong:
        return (
            f"{what} {len(seen) - wrong} of {len(seen)}: where it did not, a device is not as "
            "it is defined, or the model is wrong."
        )
    follows = "the lab behaved as its devices are defined"
    if summarize(scenarios).differs:
        follows += (
            ", so where it differs from the article, the definitions or the article are at fault"
        )
    return f"{what} {len(seen)} of {len(seen)}: {follows}."


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
