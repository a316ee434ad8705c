"""The article's prose on the terminal, with what was seen of it."""

from __future__ import annotations

from io import StringIO

import pytest
from factories import article, attempt, control, observed, prose, results, scenario
from rich.console import Console

from harness.judge.model import ScenarioResult
from harness.kb import load_contradictions, load_gaps, load_prose, prose_scenarios
from harness.report.statements import print_statements
from harness.words import End


def printed(*scenarios: ScenarioResult, width: int = 80) -> str:
    file = StringIO()
    print_statements(results(*scenarios), Console(width=width, file=file, force_terminal=False))
    return file.getvalue()


def block(text: str, beginning: str) -> str:
    """Return the lines of the statement that begins so."""
    lines = text.splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if beginning in line)
    rest = lines[first + 1 :]
    length = next(n for n, line in enumerate(rest) if line == "\n" or line[2:3].strip())
    return "".join(lines[first : first + 1 + length])


def test_a_statement_has_its_verdict_its_answer_and_what_was_seen_by_condition() -> None:
    assert block(printed(*prose()), "10. ") == (
        "  holds       10. A novice behind a firewall can seldom be reached by file or\n"
        '              e-mail. (depends, "usually")\n'
        "     no       the firewall drops inbound: email|file/firewall+direct\n"
        "     yes      the firewall opens 3389: email|file/firewall-open+direct\n"
    )


def test_one_scenario_that_ends_otherwise_fails_its_statements() -> None:
    text = printed(*prose(scenario("file", "firewall", "direct", observed("yes"))))
    assert block(text, "10. ") == (
        "  fails       10. A novice behind a firewall can seldom be reached by file or\n"
        '              e-mail. (depends, "usually")\n'
        "     no       the firewall drops inbound: email/firewall+direct\n"
        "     yes!     the firewall drops inbound: file/firewall+direct\n"
        "     yes      the firewall opens 3389: email|file/firewall-open+direct\n"
    )
    assert text.endswith(
        "! behind an answer: not the one that its condition expects\n"
        "23 statements: 19 hold, 4 fail\n"
    )


@pytest.mark.parametrize("error", [True, False])
def test_what_proves_nothing_leaves_a_statement_unproven(error: bool) -> None:
    saw = None if error else observed("yes")
    result = scenario("file", "direct", "icf", saw, controls=(control(passed=False),))
    text = printed(*prose(result))
    word = "error  " if error else "invalid"
    assert "  unproven    2. With ICF before one of the two" in text
    assert f"     {word}  the expert has ICF: file/direct+icf\n" in text
    assert text.endswith("\n23 statements: 22 hold, 1 unproven\n")


def test_a_statement_of_which_something_is_missing_is_partly_run() -> None:
    text = printed(*prose(without=("file/direct+icf",)))
    assert "  partly run  2. With ICF before one of the two" in text
    assert "     not run  the expert has ICF: file/direct+icf\n" in text


def test_when_all_is_as_stated_every_statement_contradiction_and_gap_is_told() -> None:
    words = " ".join(printed(*prose()).split())
    for statement in load_prose():
        assert f"holds {statement.sentence}. {statement.statement} ({statement.answer}" in words
    for contradiction in load_contradictions():
        assert contradiction.reading in words
        assert all(text in words for text in contradiction.says)
    for gap in load_gaps():
        assert f"holds {gap.section}: {gap.silent}." in words
    assert words.endswith("23 statements: 23 hold")


def test_sections_stand_in_the_articles_order_each_once() -> None:
    text = printed(*prose())
    sections = list(dict.fromkeys(statement.section for statement in load_prose()))
    assert [line for line in text.splitlines() if line in sections] == sections


def test_a_contradiction_has_both_texts_the_packets_and_a_reading() -> None:
    dialled = observed("no", attempt(end=End.TIMEOUT, ended_at="novice.nat", how="dropped"))
    text = printed(*prose(scenario("messenger", "nat", "nat", dialled)))
    assert (
        "  two-nats-by-messenger\n"
        "  prose    NAT, sentence 2: two NATs leave Messenger no way through, and no kind\n"
        "           of NAT is excepted\n"
        "  table    Windows Messenger, table 1, row Novice and Expert, column UPnP NAT\n"
        "           Device: two UPnP NATs do not stop Messenger, nor do two Windows XP or\n"
        "           two Windows Me ICS hosts\n"
        "  saw      no messenger/nat+nat: expert to 80.1.2.3:3389 dropped\n"
        "           yes messenger/upnp-nat+upnp-nat: the expert connected to\n"
        "           80.1.2.3:3389\n"
    ) in text
    assert "  reading  Both hold only if the NATs of the sentence are those that open no\n" in text


def test_a_run_that_touches_none_of_the_prose_prints_nothing() -> None:
    assert printed(scenario("file", "nat,nat", "direct", observed("no"))) == ""
    assert printed() == ""


def test_a_run_of_the_tables_tells_only_what_it_touched() -> None:
    text = printed(*article())
    assert "Proxy Server" not in text
    assert "  holds       4. A novice behind a NAT with UPnP can be helped. (yes)\n" in text
    assert "not run" in text.splitlines()[-1]


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_longer_than_the_terminal_and_no_id_is_broken(width: int) -> None:
    text = printed(*prose(), width=width)
    assert all(len(line) <= width for line in text.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines())
    for bound in prose_scenarios():
        assert bound.id.partition("/")[2] in text


def test_what_a_results_file_says_is_shown_and_not_obeyed() -> None:
    why = "[red]\x1b[2J\u202e"
    text = printed(*prose(scenario("messenger", "nat", "nat", observed("no"), why=why)))
    assert "messenger/nat+nat: [red]\\x1b[2J\\u202e\n" in text
    assert not set(text) & set("\x1b\u202e")
