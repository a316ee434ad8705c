"""What the article says outside its tables, and what real packets say to that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.text import Text

from harness.judge.model import Results, ScenarioResult
from harness.kb import (
    Bound,
    Contradiction,
    Gap,
    Statement,
    load_contradictions,
    load_gaps,
    load_prose,
    load_tables,
)
from harness.report.layout import COLOURS, print_hanging
from harness.report.wording import plain
from harness.words import Answer, Verdict

_HOLDS: Final = "holds"
_FAILS: Final = "fails"
_UNPROVEN: Final = "unproven"
_PARTLY: Final = "partly run"
_NOT_RUN: Final = "not run"

_STYLES: Final = {
    _HOLDS: COLOURS[Verdict.AGREES],
    _FAILS: COLOURS[Verdict.DIFFERS],
    _UNPROVEN: COLOURS[Verdict.INVALID],
    _PARTLY: COLOURS[Verdict.UNDOCUMENTED],
    _NOT_RUN: "dim",
}
# Conditions begin where statements do: that leaves 66 of 80 columns, and the longest group of
# scenarios, three methods with a proxy's client, has 63.
_TEXT: Final = 2 + max(map(len, _STYLES)) + 2
_SAW: Final = _TEXT - len("invalid") - 2
_LABELLED: Final = 2 + len("reading") + 2
_MARK: Final = "!"

_Found = Mapping[str, ScenarioResult]


def print_statements(results: Results, console: Console) -> None:
    """Print the prose by section, then where it contradicts the tables, then what is left open.

    Each statement has a word for what became of it and, under each of its conditions, what was
    seen of which scenarios. What a run did not touch is not told, only counted; a run that touched
    none of it prints nothing.
    """
    found: dict[str, ScenarioResult] = {}
    for result in results.scenarios:
        found.setdefault(result.id, result)
    told = [each for each in load_prose() if _touched(_ids(each.scenarios), found)]
    gaps = [each for each in load_gaps() if _touched(_ids(each.scenarios), found)]
    contradictions = [each for each in load_contradictions() if _touched(each.scenarios, found)]
    for section, statements in groupby(told, key=lambda each: each.section):
        console.print(Text(section, style="bold"))
        for statement in statements:
            _print_statement(console, statement, found)
        console.print()
    if contradictions:
        console.print(Text("Where prose and tables contradict each other", style="bold"))
        console.print()
    for contradiction in contradictions:
        _print_contradiction(console, contradiction, found)
        console.print()
    if gaps:
        console.print(Text("What the article leaves open", style="bold"))
        for gap in gaps:
            _print_gap(console, gap, found)
        console.print()
    if told:
        _print_summary(console, found)


def _print_statement(console: Console, statement: Statement, found: _Found) -> None:
    hedge = f', "{statement.hedge}"' if statement.hedge else ""
    words = Text(f"{statement.sentence}. {statement.statement} ")
    words.append(f"({statement.answer}{hedge})", style="bold")
    _print_cases(console, words, statement.scenarios, found)


def _print_gap(console: Console, gap: Gap, found: _Found) -> None:
    _print_cases(console, Text(f"{gap.section}: {gap.silent}."), gap.scenarios, found)


def _print_cases(
    console: Console, words: Text, scenarios: tuple[Bound, ...], found: _Found
) -> None:
    """Print what is stated with what became of it, then a line for each condition and answer."""
    word = _became(scenarios, found)
    print_hanging(console, Text(f"  {word}", style=_STYLES[word]), words, _TEXT)
    for condition, case in groupby(scenarios, key=lambda bound: bound.condition):
        for saw, members in _by_sight(case, found):
            label = Text.assemble(" " * _SAW, (saw, _sight_style(saw)))
            told = Text(f"{condition}: " if condition else "")
            told.append(_told(_ids(members)), style="dim")
            print_hanging(console, label, told, _TEXT)


def _print_contradiction(console: Console, contradiction: Contradiction, found: _Found) -> None:
    prose, table = contradiction.says
    console.print(Text(f"  {contradiction.id}", style="bold"))
    lines = [
        ("prose", Text(f"{_source(contradiction.prose)}: {prose}")),
        ("table", Text(f"{_source(contradiction.table)}: {table}")),
        *(("saw", words) for words in _sights(contradiction.scenarios, found)),
        ("reading", Text(contradiction.reading)),
    ]
    previous = ""
    for name, words in lines:
        label = Text(f"  {'' if name == previous else name}", style="dim")
        print_hanging(console, label, words, _LABELLED)
        previous = name


def _sights(scenarios: Iterable[str], found: _Found) -> Iterator[Text]:
    """Say of each of a contradiction's scenarios what was seen, and what its packets did."""
    for name in scenarios:
        saw = _saw(name, found)
        why = f": {plain(found[name].why)}" if name in found else ""
        yield Text.assemble((saw, _sight_style(saw)), f" {name}", (why, "dim"))


def _became(scenarios: Iterable[Bound], found: _Found) -> str:
    """Say in a word what became of a statement; one scenario that ended otherwise settles it."""
    sights = {_sight(bound, found) for bound in scenarios}
    if any(sight.endswith(_MARK) for sight in sights):
        return _FAILS
    if sights == {_NOT_RUN}:
        return _NOT_RUN
    if sights & {Verdict.INVALID, Verdict.ERROR}:
        return _UNPROVEN
    return _PARTLY if _NOT_RUN in sights else _HOLDS


def _by_sight(case: Iterable[Bound], found: _Found) -> Iterator[tuple[str, list[Bound]]]:
    by_sight: dict[str, list[Bound]] = {}
    for bound in case:
        by_sight.setdefault(_sight(bound, found), []).append(bound)
    yield from by_sight.items()


def _sight(bound: Bound, found: _Found) -> str:
    """Say what was seen of a scenario, with a mark where that is not what its condition expects."""
    saw = _saw(bound.id, found)
    unexpected = saw in (Answer.YES, Answer.NO) and saw != bound.expected
    return f"{saw}{_MARK}" if unexpected else saw


def _saw(scenario_id: str, found: _Found) -> str:
    result = found.get(scenario_id)
    if result is None:
        return _NOT_RUN
    if result.verdict in (Verdict.INVALID, Verdict.ERROR):
        return result.verdict.value
    return result.observed.answer.value if result.observed is not None else Verdict.ERROR.value


def _sight_style(saw: str) -> str:
    if saw.endswith(_MARK):
        return COLOURS[Verdict.DIFFERS]
    return {
        Answer.YES.value: "green",
        Verdict.INVALID.value: COLOURS[Verdict.INVALID],
        Verdict.ERROR.value: COLOURS[Verdict.ERROR],
        _NOT_RUN: "dim",
    }.get(saw, "")


def _told(scenario_ids: Iterable[str]) -> str:
    """Name scenarios in few words: those that differ in their method only are named together."""
    methods: dict[str, list[str]] = {}
    for name in scenario_ids:
        method, _, pair = name.partition("/")
        methods.setdefault(pair, []).append(method)
    return ", ".join(f"{'|'.join(names)}/{pair}" for pair, names in methods.items())


def _source(identity: str) -> str:
    """Say where in the article a statement or a claim stands."""
    sources = {claim.id: claim.source for table in load_tables() for claim in table.claims}
    sources |= {statement.id: statement.source for statement in load_prose()}
    return sources[identity]


def _print_summary(console: Console, found: _Found) -> None:
    statements = load_prose()
    words = Counter(_became(statement.scenarios, found) for statement in statements)
    verbs = {
        _HOLDS: "holds" if words[_HOLDS] == 1 else "hold",
        _FAILS: "fails" if words[_FAILS] == 1 else "fail",
    }
    counts = (f"{words[word]} {verbs.get(word, word)}" for word in _STYLES if words[word])
    style = _STYLES[_FAILS if words[_FAILS] else _UNPROVEN if words[_UNPROVEN] else _HOLDS]
    if words[_FAILS]:
        mark = Text(
            f"{_MARK} behind an answer: not the one that its condition expects", style="dim"
        )
        console.print(mark)
    console.print(Text(f"{len(statements)} statements: {', '.join(counts)}", style=style))


def _ids(scenarios: Iterable[Bound]) -> list[str]:
    return [bound.id for bound in scenarios]


def _touched(scenario_ids: Iterable[str], found: _Found) -> bool:
    return any(name in found for name in scenario_ids)
