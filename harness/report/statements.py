"""What the article says outside its tables, and what real packets say to that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.text import Text

from harness.judge.model import Results
from harness.kb import (
    Bound,
    Contradiction,
    Gap,
    Statement,
    load_contradictions,
    load_gaps,
    load_prose,
    source_of,
)
from harness.report.layout import COLOURS, print_hanging
from harness.report.sights import (
    MARK,
    NOT_RUN,
    Became,
    Found,
    Sight,
    became,
    became_of_gap,
    by_id,
    cases,
    touched,
)
from harness.report.wording import plain
from harness.words import Answer, Verdict

_STYLES: Final = {
    Became.HOLDS: COLOURS[Verdict.AGREES],
    Became.FAILS: COLOURS[Verdict.DIFFERS],
    Became.OTHERWISE: COLOURS[Verdict.UNDOCUMENTED],
    Became.UNPROVEN: COLOURS[Verdict.INVALID],
    Became.PARTLY: COLOURS[Verdict.UNDOCUMENTED],
    Became.NOT_RUN: "dim",
}
# Conditions begin where statements do: that leaves 66 of 80 columns, and the longest group of
# scenarios, three methods with a proxy's client, has 63.
_TEXT: Final = 2 + max(map(len, _STYLES)) + 2
_SAW: Final = _TEXT - len("invalid") - 2
_LABELLED: Final = 2 + len("reading") + 2


def print_statements(results: Results, console: Console) -> None:
    """Print the prose by section, then where it contradicts the tables, then what is left open.

    Each statement has a word for what became of it and, under each of its conditions, what was
    seen of which scenarios. What a run did not touch is not told, only counted; a run that touched
    none of it prints nothing.
    """
    found = by_id(results.scenarios)
    told = [each for each in load_prose() if touched(_ids(each.scenarios), found)]
    gaps = [each for each in load_gaps() if touched(_ids(each.scenarios), found)]
    contradictions = [each for each in load_contradictions() if touched(each.scenarios, found)]
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


def _print_statement(console: Console, statement: Statement, found: Found) -> None:
    hedge = f', "{statement.hedge}"' if statement.hedge else ""
    words = Text(f"{statement.sentence}. {statement.statement} ")
    words.append(f"({statement.answer}{hedge})", style="bold")
    word = became(statement.scenarios, found)
    _print_cases(console, word, words, statement.scenarios, found)


def _print_gap(console: Console, gap: Gap, found: Found) -> None:
    word = became_of_gap(gap.scenarios, found)
    words = Text(f"{gap.section}: {gap.silent}.")
    _print_cases(console, word, words, gap.scenarios, found)


def _print_cases(
    console: Console, word: Became, words: Text, scenarios: tuple[Bound, ...], found: Found
) -> None:
    """Print what is stated with what became of it, then a line for each condition and answer."""
    print_hanging(console, Text(f"  {word}", style=_STYLES[word]), words, _TEXT)
    for condition, case in cases(scenarios, found):
        for saw, names in _by_sight(case):
            label = Text.assemble(" " * _SAW, (saw, _sight_style(saw)))
            told = Text(f"{condition}: " if condition else "")
            told.append(_told(names), style="dim")
            print_hanging(console, label, told, _TEXT)


def _print_contradiction(console: Console, contradiction: Contradiction, found: Found) -> None:
    prose, table = contradiction.says
    console.print(Text(f"  {contradiction.id}", style="bold"))
    lines = [
        ("prose", Text(f"{source_of(contradiction.prose)}: {prose}")),
        ("table", Text(f"{source_of(contradiction.table)}: {table}")),
        *(("saw", words) for words in _sights(contradiction.scenarios, found)),
        ("reading", Text(contradiction.reading)),
    ]
    previous = ""
    for name, words in lines:
        label = Text(f"  {'' if name == previous else name}", style="dim")
        print_hanging(console, label, words, _LABELLED)
        previous = name


def _sights(scenarios: Iterable[str], found: Found) -> Iterator[Text]:
    """Say of each of a contradiction's scenarios what was seen, and what its packets did."""
    for name in scenarios:
        saw = Sight(name, found.get(name)).words
        why = f": {plain(found[name].why)}" if name in found else ""
        yield Text.assemble((saw, _sight_style(saw)), f" {name}", (why, "dim"))


def _by_sight(case: Iterable[Sight]) -> Iterator[tuple[str, list[str]]]:
    names: dict[str, list[str]] = {}
    for sight in case:
        names.setdefault(sight.words, []).append(sight.name)
    yield from names.items()


def _sight_style(saw: str) -> str:
    if saw.endswith(MARK):
        return COLOURS[Verdict.DIFFERS]
    return {
        Answer.YES.value: "green",
        Verdict.INVALID.value: COLOURS[Verdict.INVALID],
        Verdict.ERROR.value: COLOURS[Verdict.ERROR],
        NOT_RUN: "dim",
    }.get(saw, "")


def _told(scenario_ids: Iterable[str]) -> str:
    """Name scenarios in few words: those that differ in their method only are named together."""
    methods: dict[str, list[str]] = {}
    for name in scenario_ids:
        method, _, pair = name.partition("/")
        methods.setdefault(pair, []).append(method)
    return ", ".join(f"{'|'.join(names)}/{pair}" for pair, names in methods.items())


def _print_summary(console: Console, found: Found) -> None:
    statements = load_prose()
    words = Counter(became(statement.scenarios, found) for statement in statements)
    verbs = {
        Became.HOLDS: "holds" if words[Became.HOLDS] == 1 else "hold",
        Became.FAILS: "fails" if words[Became.FAILS] == 1 else "fail",
    }
    counts = (f"{words[word]} {verbs.get(word, word)}" for word in _STYLES if words[word])
    worst = next((word for word in (Became.FAILS, Became.UNPROVEN) if words[word]), Became.HOLDS)
    if words[Became.FAILS]:
        mark = Text(f"{MARK} behind an answer: not the one that its condition expects", style="dim")
        console.print(mark)
    words_of_all = f"{len(statements)} statements: {', '.join(counts)}"
    console.print(Text(words_of_all, style=_STYLES[worst]))


def _ids(scenarios: Iterable[Bound]) -> list[str]:
    return [bound.id for bound in scenarios]
