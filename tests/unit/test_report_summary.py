"""What stands below the tables: findings, notes and the summary line."""

from __future__ import annotations

import pytest
from factories import article, attempt, control, observed, predicted, rendered, scenario

from harness.judge.model import Documented, ScenarioResult
from harness.words import Answer, End, Verdict


def below_the_tables(*scenarios: ScenarioResult, notes: tuple[str, ...] = ()) -> str:
    return rendered(*scenarios, notes=notes).rsplit("╯\n\n", maxsplit=1)[-1]


def last_line(*scenarios: ScenarioResult) -> str:
    return rendered(*scenarios).splitlines()[-1]


def test_a_difference_has_a_line_that_wraps_under_itself() -> None:
    saw = observed(
        "no",
        attempt(address="192.168.1.2", end=End.UNREACHABLE, how="no route to host"),
        attempt(),
    )
    assert below_the_tables(*article(scenario("file", "upnp-nat", "direct", saw))) == (
        "differs  file/upnp-nat+direct: documented yes, observed no: expert to\n"
        "         192.168.1.2:3389 no route to host; expert to 80.1.2.3:3389 dropped by\n"
        "         the forward chain\n"
        "\n"
        "35 of 36 agree, 1 differs (41.2 s)\n"
    )


def test_findings_are_sorted_contradictions_first() -> None:
    text = below_the_tables(
        *article(
            scenario("messenger", "xp-ics", "direct", None),
            scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),)),
            scenario("file", "nat", "nat", observed("yes")),
        )
    )
    first_words = [line.split()[0] for line in text.splitlines() if line[:1].strip()]
    assert first_words == ["differs", "invalid", "error", "33"]


def test_a_difference_says_that_the_model_expected_what_the_article_says() -> None:
    result = scenario("file", "nat", "nat", observed("yes"), forecast=predicted("no"))
    words = " ".join(below_the_tables(*article(result)).split())
    assert "; predicted no because nothing maps port 3389 to the novice" in words


def test_a_difference_says_that_the_model_expected_what_was_seen() -> None:
    result = scenario("file", "nat", "nat", observed("yes"), forecast=predicted("yes"))
    assert "; predicted yes as well" in " ".join(below_the_tables(*article(result)).split())


def test_a_failed_prediction_is_a_finding_though_the_article_holds() -> None:
    result = scenario("messenger", "nat", "direct", observed("yes"), forecast=predicted("no"))
    assert below_the_tables(*article(result)) == (
        "agrees  messenger/nat+direct: predicted no because nothing maps port 3389 to the\n"
        "        novice, but observed yes: the expert connected to 80.1.2.3:3389\n"
        "\n"
        "36 of 36 agree; 1 not as predicted (41.2 s)\n"
    )


def test_a_prediction_that_holds_is_not_a_finding() -> None:
    result = scenario("file", "nat", "direct", observed("no"), forecast=predicted("no"))
    assert below_the_tables(*article(result)) == "36 of 36 agree (41.2 s)\n"


def test_notes_stand_above_the_summary() -> None:
    notes = ("me-ics: modelled by NAT-PMP; original protocol not published", "two " * 20)
    assert below_the_tables(*article(), notes=notes) == (
        "note  me-ics: modelled by NAT-PMP; original protocol not published\n"
        "note  two two two two two two two two two two two two two two two two two two\n"
        "      two two\n"
        "\n"
        "36 of 36 agree (41.2 s)\n"
    )


@pytest.mark.parametrize(
    ("scenarios", "line"),
    [
        ((), "no scenario was run"),
        ((scenario("file", "nat", "nat", observed("no")),), "1 of 1 agrees (41.2 s)"),
        (
            (
                scenario("file", "nat", "nat", observed("yes")),
                scenario("email", "nat", "nat", observed("yes")),
                scenario("email", "nat", "direct", None),
                scenario("file", "nat", "direct", None),
            ),
            "0 of 4 agree, 2 differ, 2 errors (41.2 s)",
        ),
        (
            (scenario("file", "nat,nat", "direct", observed("no"), forecast=predicted("no")),),
            "1 undocumented (41.2 s)",
        ),
        (
            (
                scenario("file", "nat", "nat", observed("no")),
                scenario("file", "nat,nat", "direct", observed("yes"), forecast=predicted("no")),
            ),
            "1 of 1 agrees, 1 undocumented; 1 not as predicted (41.2 s)",
        ),
    ],
)
def test_the_summary_counts_agreements_among_what_the_article_speaks_of(
    scenarios: tuple[ScenarioResult, ...], line: str
) -> None:
    assert last_line(*scenarios) == line


@pytest.mark.parametrize(
    "why",
    [
        "[bold red]all well[/bold red] [/] :warning: [link=http://x]",
        "\x1b[2J\x1b]0;all well\x07\r\n36 of 36 agree",
        "\u202eseerga\u200b \x9b31m",
    ],
)
def test_what_a_device_says_is_shown_and_not_obeyed(why: str) -> None:
    text = rendered(*article(scenario("file", "nat", "nat", None, why=why)))
    words = " ".join(text.split())
    assert why.encode("unicode_escape").decode() in words
    assert not set(text) & set("\x1b\x07\r\x9b\u202e\u200b")
    assert text.splitlines()[-1] == "35 of 36 agree, 1 error (41.2 s)"


def test_a_terminal_that_lacks_a_letter_shows_its_escape() -> None:
    result = scenario("file", "nat", "nat", None, why="réponse")
    text = rendered(*article(result), encoding="ascii")
    assert r"file/nat+nat: r\xe9ponse" in text


def test_a_run_with_a_prediction_for_each_scenario_says_how_often_it_was_right() -> None:
    right = scenario("file", "nat", "direct", observed("no"), forecast=predicted("no"))
    wrong = scenario("file", "direct", "nat", observed("yes"), forecast=predicted("no"))
    lines = rendered(right, wrong).splitlines()
    assert lines[-2] == "1 of 2 as predicted"


def test_tables_and_prose_are_counted_apart() -> None:
    table = scenario("file", "nat", "direct", observed("no"))
    prose = scenario("file", "icf", "direct", observed("yes"))
    claim = Documented(answer=Answer.YES, claim="icf/one-side", source="ICF, sentence 2")
    prose = prose.model_copy(update={"documented": claim, "verdict": Verdict.AGREES})
    assert (
        rendered(table, prose)
        .splitlines()[-1]
        .startswith("1 of 1 agrees in the tables, 1 of 1 in the prose (")
    )
