"""What a run says to a statement of the article, whoever shows it."""

from __future__ import annotations

import pytest
from factories import control, observed, prose, scenario

from harness.judge.model import ScenarioResult
from harness.kb import Bound, Statement, load_prose
from harness.report.sights import NOT_RUN, Became, Sight, became, became_of_gap, by_id
from harness.words import Answer, Method, Verdict

SEEN = scenario("file", "nat", "direct", observed("no"))
INVALID = scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),))
BOUND = Bound(method=Method.FILE, novice=("nat",), expert=(), expected=Answer.NO)
OTHER = Bound(method=Method.EMAIL, novice=("nat",), expert=(), expected=Answer.NO)


@pytest.mark.parametrize(
    ("result", "expected", "words"),
    [
        (SEEN, Answer.NO, "no"),
        (SEEN, Answer.YES, "no!"),
        (SEEN, None, "no"),
        (INVALID, Answer.YES, "invalid"),
        (scenario("file", "nat", "direct", None), Answer.YES, "error"),
        (SEEN.model_copy(update={"observed": None}), Answer.YES, "error"),
        (None, Answer.YES, NOT_RUN),
    ],
)
def test_only_an_answer_that_is_not_the_one_expected_is_marked(
    result: ScenarioResult | None, expected: Answer | None, words: str
) -> None:
    assert Sight("file/nat+direct", result, expected).words == words


@pytest.mark.parametrize(
    ("run", "word"),
    [
        ([], Became.NOT_RUN),
        ([SEEN], Became.PARTLY),
        ([SEEN, scenario("email", "nat", "direct", observed("no"))], Became.HOLDS),
        ([INVALID], Became.UNPROVEN),
        ([INVALID, scenario("email", "nat", "direct", observed("yes"))], Became.FAILS),
        ([scenario("email", "nat", "direct", observed("yes"))], Became.FAILS),
    ],
)
def test_one_scenario_settles_what_became_of_a_statement(
    run: list[ScenarioResult], word: Became
) -> None:
    assert became([BOUND, OTHER], by_id(run)) is word


@pytest.mark.parametrize("statement", load_prose(), ids=lambda each: each.id)
def test_a_run_in_which_all_is_as_stated_holds_every_statement(statement: Statement) -> None:
    assert became(statement.scenarios, by_id(prose())) is Became.HOLDS


def test_of_two_results_of_one_scenario_the_first_counts() -> None:
    second = SEEN.model_copy(update={"verdict": Verdict.ERROR})
    assert by_id([SEEN, second])[SEEN.id].verdict is SEEN.verdict


def test_what_the_article_leaves_open_cannot_fail() -> None:
    other = by_id([scenario("email", "nat", "direct", observed("yes"))])
    assert became_of_gap([BOUND, OTHER], other) is Became.OTHERWISE
