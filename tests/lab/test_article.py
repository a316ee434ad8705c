"""The article's two tables, made by real TCP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from runs import ARTICLE_IDS, Ended, run

from harness.words import Answer, End, Role, Verdict

# In a user namespace of its own, as a user who is not root there and holds no capability.
ORDINARY = ("unshare", "--user", "--map-user=1000", "--map-group=1000")

NO_IDS = {
    "messenger/nat+nat",
    "file/nat+direct",
    "email/nat+direct",
    "file/nat+nat",
    "email/nat+nat",
}


@pytest.fixture(scope="module", params=[(), ORDINARY], ids=["caller", "ordinary-user"])
def article(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    prefix: Sequence[str] = request.param
    return run(tmp_path_factory.mktemp("article") / "results", prefix=prefix)


def test_every_cell_of_both_tables_agrees(article: Ended) -> None:
    assert article.cells(Verdict.AGREES) == ARTICLE_IDS
    assert article.status == 0
    assert "36 of 36 agree" in article.out


def test_the_prose_is_run_too_and_every_definite_statement_agrees(article: Ended) -> None:
    assert len(article.results.scenarios) >= 60
    for scenario in article.results.scenarios:
        definite = scenario.documented is not None and scenario.documented.answer != "depends"
        expected = Verdict.AGREES if definite else Verdict.UNDOCUMENTED
        assert scenario.verdict is expected, f"{scenario.id}: {scenario.why}"
    assert "23 statements: 23 hold" in article.out


def test_the_prediction_is_right_about_every_scenario(article: Ended) -> None:
    for scenario in article.results.scenarios:
        assert scenario.predicted is not None
        assert scenario.observed is not None
        assert scenario.predicted.answer == scenario.observed.answer, scenario.id


def test_exactly_the_documented_no_cells_are_observed_as_no(article: Ended) -> None:
    no = {each for each, answer in article.answers().items() if answer is Answer.NO}
    assert no & ARTICLE_IDS == NO_IDS


def test_every_no_names_the_nat_that_dropped_the_syn(article: Ended) -> None:
    for scenario_id in NO_IDS:
        observed = article.scenario(scenario_id).observed
        assert observed is not None
        dropped = {each.ended_at for each in observed.attempts if each.end is End.TIMEOUT}
        expected = {"novice.nat"}
        if scenario_id == "messenger/nat+nat":
            expected.add("expert.nat")
        assert dropped == expected


def test_every_attempt_has_an_end_that_was_seen(article: Ended) -> None:
    for scenario in article.results.scenarios:
        assert scenario.observed is not None
        assert scenario.observed.attempts
        for attempt in scenario.observed.attempts:
            assert attempt.ended_at, f"{scenario.id}: {attempt}"


def test_the_mapped_external_address_wins_by_file(article: Ended) -> None:
    for device in ("xp-ics", "me-ics", "upnp-nat"):
        observed = article.scenario(f"file/{device}+{device}").observed
        assert observed is not None
        assert observed.winner is not None
        assert observed.winner.dialler is Role.EXPERT
        assert observed.winner.address == "80.100.10.2"


def test_one_address_on_both_sides_is_no_connection_to_oneself(article: Ended) -> None:
    """Both ICS hosts give their client 192.168.0.2; dialling it reaches the dialler itself."""
    observed = article.scenario("file/xp-ics+xp-ics").observed
    assert observed is not None
    own = [each for each in observed.attempts if each.address == "192.168.0.2"]
    assert [(each.end, each.ended_at) for each in own] == [(End.REFUSED, "expert")]


def test_messenger_connects_by_the_reverse_direction_where_only_that_is_open(
    article: Ended,
) -> None:
    observed = article.scenario("messenger/nat+direct").observed
    assert observed is not None
    assert observed.winner is not None
    assert observed.winner.dialler is Role.NOVICE


def test_progress_elsewhere_than_on_a_terminal_is_one_plain_line_a_scenario(
    article: Ended,
) -> None:
    lines = article.err.splitlines()
    assert len(lines) == len(article.results.scenarios)
    assert all("\x1b" not in line for line in lines)


def test_the_tables_fit_80_columns(article: Ended) -> None:
    assert all(len(line) <= 80 for line in article.out.splitlines())


def test_junit_has_a_passing_case_for_each_scenario(article: Ended) -> None:
    root = ElementTree.parse(article.folder / "junit.xml").getroot()
    cases = list(root.iter("testcase"))
    assert {case.get("name") for case in cases} == {*article.answers()}
    assert not [*root.iter("failure"), *root.iter("error")]


def test_the_results_name_no_user_host_or_folder_of_the_machine(article: Ended) -> None:
    text = (article.folder / "results.json").read_text(encoding="utf-8")
    for secret in (os.uname().nodename, str(Path.home()), str(article.folder)):
        assert secret not in text


def test_each_bundle_has_the_transcript_and_the_invitation(article: Ended) -> None:
    for scenario in article.results.scenarios:
        assert scenario.bundle is not None
        bundle = article.folder / scenario.bundle
        assert '"event": "dialling"' in (bundle / "transcript.jsonl").read_text(encoding="utf-8")
        invitation = (bundle / "invitation.MsRcIncident").read_text(encoding="utf-8")
        assert 'UPLOADINFO TYPE="Escalated"' in invitation
