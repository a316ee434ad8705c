"""From answers to a verdict, and from verdicts to the exit code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from factories import YesNo, attempt, control, observed, predicted, scenario

from harness.errors import ExitCode
from harness.judge.model import Documented, Observed, ScenarioResult, Summary
from harness.judge.verdict import exit_code, explain, judge, summarize
from harness.words import Answer, End, Role, Verdict


def says(answer: str) -> Documented:
    return Documented(answer=Answer(answer), claim="a/b/c", source="somewhere")


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_an_observation_that_is_as_documented_agrees(answer: YesNo) -> None:
    verdict, _ = judge(says(answer), observed(answer), [])
    assert verdict is Verdict.AGREES


@pytest.mark.parametrize(("documented", "saw"), [("yes", "no"), ("no", "yes")])
def test_an_observation_that_contradicts_the_article_differs_and_names_both_answers(
    documented: str, saw: YesNo
) -> None:
    verdict, why = judge(says(documented), observed(saw), [])
    assert verdict is Verdict.DIFFERS
    assert why.startswith(f"documented {documented}, observed {saw}: ")


@pytest.mark.parametrize("saw", ["yes", "no"])
@pytest.mark.parametrize("documented", [None, says("depends")])
def test_what_the_article_leaves_open_is_undocumented_whatever_was_seen(
    documented: Documented | None, saw: YesNo
) -> None:
    verdict, _ = judge(documented, observed(saw), [])
    assert verdict is Verdict.UNDOCUMENTED


@pytest.mark.parametrize("documented", [says("yes"), says("no"), says("depends"), None])
@pytest.mark.parametrize("saw", ["yes", "no"])
def test_a_failed_control_makes_any_observation_invalid(
    documented: Documented | None, saw: YesNo
) -> None:
    verdict, _ = judge(documented, observed(saw), [control(), control(passed=False)])
    assert verdict is Verdict.INVALID


def test_an_invalid_verdict_names_the_control_the_node_and_what_was_found() -> None:
    _, why = judge(says("no"), observed("no"), [control(passed=False, detail="2 rules missing")])
    assert why == "control rules failed at novice.nat: 2 rules missing (observed no)"


def test_passed_controls_leave_the_verdict_to_the_observation() -> None:
    verdict, _ = judge(says("no"), observed("no"), [control(), control()])
    assert verdict is Verdict.AGREES


def test_a_yes_is_explained_by_who_connected_where_to() -> None:
    assert explain(observed("yes")) == "the expert connected to 80.1.2.3:3389"


def test_a_no_is_explained_by_the_end_of_every_attempt_in_order() -> None:
    saw = observed(
        "no",
        attempt(address="192.168.1.2", end=End.UNREACHABLE, how="no route"),
        attempt(Role.NOVICE, port=49152, how="dropped"),
    )
    assert explain(saw) == ("expert to 192.168.1.2:3389 no route; novice to 80.1.2.3:49152 dropped")


def test_a_no_without_attempts_says_that_there_was_nothing_to_dial() -> None:
    nothing = Observed(answer=Answer.NO, winner=None, attempts=())
    assert explain(nothing) == "nobody had an address to dial"


def test_the_summary_counts_every_verdict() -> None:
    scenarios = [
        scenario("file", "nat", "direct", observed("no")),
        scenario("email", "nat", "direct", observed("no")),
        scenario("file", "direct", "nat", observed("no")),
        scenario("file", "nat,nat", "direct", observed("no")),
        scenario("file", "nat", "nat", observed("no"), controls=(control(passed=False),)),
        scenario("email", "nat", "nat", None),
    ]
    assert summarize(scenarios) == Summary(agrees=2, differs=1, undocumented=1, invalid=1, error=1)


AGREES = scenario("file", "nat", "direct", observed("no"))
DIFFERS = scenario("file", "nat", "direct", observed("yes"))
INVALID = scenario("file", "nat", "nat", observed("no"), controls=(control(passed=False),))
ERROR = scenario("email", "nat", "nat", None)
SURPRISE = scenario("file", "nat", "direct", observed("no"), forecast=predicted("yes"))
INVALID_SURPRISE = scenario(
    "file",
    "nat",
    "nat",
    observed("no"),
    controls=(control(passed=False),),
    forecast=predicted("yes"),
)


@pytest.mark.parametrize(
    ("scenarios", "code"),
    [
        ((), ExitCode.AGREES),
        ((AGREES,), ExitCode.AGREES),
        ((AGREES, DIFFERS), ExitCode.DIFFERS),
        ((AGREES, INVALID), ExitCode.UNPROVEN),
        ((AGREES, ERROR), ExitCode.UNPROVEN),
        ((DIFFERS, INVALID, ERROR), ExitCode.DIFFERS),
        ((AGREES, SURPRISE), ExitCode.DIFFERS),
        ((AGREES, INVALID_SURPRISE), ExitCode.UNPROVEN),
    ],
)
def test_the_exit_code_puts_a_difference_above_a_missing_proof(
    scenarios: Sequence[ScenarioResult], code: ExitCode
) -> None:
    """A difference is one from the article or from the prediction."""
    assert exit_code(scenarios) is code
