"""The two tables on the terminal, read as a person reads them."""

from __future__ import annotations

from io import StringIO

import pytest
from factories import article, control, observed, rendered, results, scenario
from rich.console import Console

from harness.judge.model import ScenarioResult
from harness.report.tables import render
from harness.words import Verdict

MESSENGER_AS_DOCUMENTED = """\
Table 1: Windows Messenger
╭────────────┬───────────────┬───────────────┬───────────────┬───────────────╮
│            │ Windows XP    │ Windows Me    │ Non-UPnP NAT  │ UPnP NAT      │
│            │ ICS           │ ICS           │ Device        │ Device        │
├────────────┼───────────────┼───────────────┼───────────────┼───────────────┤
│ Novice     │ says Yes      │ says Yes      │ says Yes      │ says Yes      │
│            │ saw  Yes      │ saw  Yes      │ saw  Yes      │ saw  Yes      │
│            │ agrees        │ agrees        │ agrees        │ agrees        │
├────────────┼───────────────┼───────────────┼───────────────┼───────────────┤
│ Expert     │ says Yes      │ says Yes      │ says Yes      │ says Yes      │
│            │ saw  Yes      │ saw  Yes      │ saw  Yes      │ saw  Yes      │
│            │ agrees        │ agrees        │ agrees        │ agrees        │
├────────────┼───────────────┼───────────────┼───────────────┼───────────────┤
│ Novice and │ says Yes      │ says Yes      │ says No       │ says Yes      │
│ Expert     │ saw  Yes      │ saw  Yes      │ saw  No       │ saw  Yes      │
│            │ agrees        │ agrees        │ agrees        │ agrees        │
╰────────────┴───────────────┴───────────────┴───────────────┴───────────────╯
"""
FILE_AND_EMAIL_AS_DOCUMENTED = """\
Table 2: Save Invitation as a File and Send Invitation as an E-mail Methods
╭────────────┬───────────────┬───────────────┬───────────────┬───────────────╮
│            │ Windows XP    │ Windows Me    │ Non-UPnP NAT  │ UPnP NAT      │
│            │ ICS           │ ICS           │ Device        │ Device        │
├────────────┼───────────────┼───────────────┼───────────────┼───────────────┤
│ Novice     │ says Yes      │ says Yes      │ says No       │ says Yes      │
│            │ file Yes      │ file Yes      │ file No       │ file Yes      │
│            │ mail Yes      │ mail Yes      │ mail No       │ mail Yes      │
│            │ agrees        │ agrees        │ agrees        │ agrees        │
├────────────┼───────────────┼───────────────┼───────────────┼───────────────┤
│ Expert     │ says Yes      │ says Yes      │ says Yes      │ says Yes      │
│            │ file Yes      │ file Yes      │ file Yes      │ file Yes      │
│            │ mail Yes      │ mail Yes      │ mail Yes      │ mail Yes      │
│            │ agrees        │ agrees        │ agrees        │ agrees        │
├────────────┼───────────────┼───────────────┼───────────────┼───────────────┤
│ Novice and │ says Yes      │ says Yes      │ says No       │ says Yes      │
│ Expert     │ file Yes      │ file Yes      │ file No       │ file Yes      │
│            │ mail Yes      │ mail Yes      │ mail No       │ mail Yes      │
│            │ agrees        │ agrees        │ agrees        │ agrees        │
╰────────────┴───────────────┴───────────────┴───────────────┴───────────────╯
"""

WORDS = """
    Table Windows Messenger Save Invitation as a File and Send an E-mail Methods
    XP Me ICS Non-UPnP UPnP NAT Device Novice Expert
    says saw file mail Yes No agrees differs invalid error
"""

COLUMNS = ("xp-ics", "me-ics", "nat", "upnp-nat")


def cell(text: str, table: int, row: str, device: str) -> list[str]:
    """Read one cell's lines from the printed report."""
    printed = text.partition(f"Table {table}: ")[2].partition("╰")[0]
    for block in printed.split("├")[1:]:
        lines = [
            [part.strip() for part in line.split("│")[1:-1]] for line in block.splitlines()[1:]
        ]
        if " ".join(line[0] for line in lines).strip() == row:
            column = COLUMNS.index(device) + 1
            return [line[column] for line in lines if line[column]]
    raise AssertionError(row)


def instead(*scenarios: ScenarioResult) -> str:
    return rendered(*article(*scenarios))


def test_an_article_that_holds_is_two_tables_and_one_line() -> None:
    assert rendered(*article()) == (
        f"{MESSENGER_AS_DOCUMENTED}\n{FILE_AND_EMAIL_AS_DOCUMENTED}\n36 of 36 agree (41.2 s)\n"
    )


def test_a_cell_that_differs_shows_both_answers_and_the_verdict() -> None:
    text = instead(scenario("messenger", "nat", "nat", observed("yes")))
    assert cell(text, 1, "Novice and Expert", "nat") == ["says No", "saw  Yes", "differs"]


def test_only_the_cell_that_differs_changes() -> None:
    text = instead(scenario("messenger", "nat", "nat", observed("yes")))
    changed = [
        (before, after)
        for before, after in zip(instead().splitlines(), text.splitlines(), strict=False)
        if before != after
    ][:2]
    assert [after.count("differs") + after.count("Yes") for _, after in changed] == [4, 1]
    assert FILE_AND_EMAIL_AS_DOCUMENTED in text


def test_file_and_email_that_come_apart_have_a_verdict_each() -> None:
    text = instead(scenario("email", "nat", "direct", observed("yes")))
    assert cell(text, 2, "Novice", "nat") == [
        "says No",
        "file No",
        "mail Yes",
        "file agrees",
        "mail differs",
    ]


def test_file_and_email_that_differ_alike_have_one_verdict() -> None:
    text = instead(
        scenario("email", "nat", "direct", observed("yes")),
        scenario("file", "nat", "direct", observed("yes")),
    )
    assert cell(text, 2, "Novice", "nat") == ["says No", "file Yes", "mail Yes", "differs"]


def test_a_scenario_that_could_not_be_carried_through_shows_no_answer() -> None:
    text = instead(scenario("messenger", "direct", "upnp-nat", None))
    assert cell(text, 1, "Expert", "upnp-nat") == ["says Yes", "saw  -", "error"]


def test_a_no_without_proof_is_invalid_and_not_a_difference() -> None:
    failed = control(passed=False)
    text = instead(scenario("file", "xp-ics", "xp-ics", observed("no"), controls=(failed,)))
    assert cell(text, 2, "Novice and Expert", "xp-ics") == [
        "says Yes",
        "file No",
        "mail Yes",
        "file invalid",
        "mail agrees",
    ]


def test_a_cell_without_scenarios_says_not_run() -> None:
    kept = [result for result in article() if result.expert != ("me-ics",)]
    text = rendered(*kept)
    assert cell(text, 1, "Expert", "me-ics") == ["says Yes", "not run"]
    assert cell(text, 2, "Novice and Expert", "me-ics") == ["says Yes", "not run"]
    assert cell(text, 2, "Novice", "me-ics") == ["says Yes", "file Yes", "mail Yes", "agrees"]


def test_a_cell_with_one_method_run_says_which_was_not() -> None:
    text = rendered(*(r for r in article() if r.id != "email/nat+nat"))
    assert cell(text, 2, "Novice and Expert", "nat") == [
        "says No",
        "file No",
        "mail not run",
        "agrees",
    ]


def test_a_table_of_which_nothing_was_run_is_left_out() -> None:
    text = rendered(*(r for r in article() if r.method == "messenger"))
    assert text == f"{MESSENGER_AS_DOCUMENTED}\n12 of 12 agree (41.2 s)\n"


def test_a_second_result_of_the_same_scenario_does_not_hide_the_first() -> None:
    twice = scenario("file", "nat", "nat", observed("yes"))
    text = rendered(*article(), twice)
    assert cell(text, 2, "Novice and Expert", "nat")[-1] == "agrees"
    assert "\nfile/nat+nat\n  documented  no:" in text
    assert "36 of 37 agree, 1 differs" in text


def test_no_line_is_wider_than_80_columns_and_none_ends_in_blanks() -> None:
    text = instead(
        scenario("messenger", "nat", "nat", observed("yes")),
        scenario("email", "nat", "direct", None, why="no such thing " * 30),
        scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),)),
    )
    assert [line for line in text.splitlines() if len(line) > 80 or line != line.rstrip()] == []


def test_no_cell_breaks_a_word() -> None:
    text = instead(
        scenario("messenger", "nat", "nat", observed("yes")),
        scenario("email", "nat", "direct", None),
        scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),)),
        scenario("email", "direct", "nat", observed("no")),
    )
    tables = text.rpartition("╯")[0]
    words = {word for line in tables.splitlines() for word in line.split() if word[0].isalpha()}
    assert words == set(WORDS.split())


@pytest.mark.parametrize("width", [1, 10, 40, 77])
def test_a_narrow_terminal_gets_the_cells_as_a_list(width: int) -> None:
    text = rendered(*article(scenario("file", "nat", "nat", observed("yes"))), width=width)
    words = " ".join(text.split())
    assert "Non-UPnP NAT Device: says No, file Yes, mail No, file differs, mail agrees" in words
    assert "╭" not in text


def test_a_terminal_of_78_columns_has_the_tables() -> None:
    assert rendered(*article(), width=78) == rendered(*article(), width=200)


def test_a_terminal_without_unicode_gets_plain_borders() -> None:
    text = rendered(*article(scenario("file", "nat", "nat", observed("yes"))), encoding="ascii")
    assert text.isascii()
    assert "| says Yes      | says Yes      | says No       | says Yes      |" in text


def coloured(verdict: Verdict, *, no_color: bool = False) -> str:
    file = StringIO()
    console = Console(width=80, file=file, force_terminal=True, color_system="standard",
                      no_color=no_color)  # fmt: skip
    result = scenario("messenger", "nat", "direct", observed("no"))
    changed = result.model_copy(update={"verdict": verdict})
    render(results(*article(changed)), console)
    return file.getvalue()


@pytest.mark.parametrize(
    ("verdict", "escape"),
    [
        (Verdict.AGREES, "\x1b[32magrees"),
        (Verdict.DIFFERS, "\x1b[1;31mdiffers"),
        (Verdict.INVALID, "\x1b[1;33minvalid"),
        (Verdict.ERROR, "\x1b[1;35merror"),
    ],
)
def test_a_terminal_shows_each_verdict_in_its_colour(verdict: Verdict, escape: str) -> None:
    assert escape in coloured(verdict)


def test_a_terminal_that_wants_no_colour_gets_none() -> None:
    assert "\x1b[3" not in coloured(Verdict.DIFFERS, no_color=True)
    assert "differs" in coloured(Verdict.DIFFERS, no_color=True)
