"""Routers that lie about port mapping are called out: by verdict, reason and card.

Each lie is told by a gateway whose NAT is honest, so nothing but the lie is to be found.
"""

from __future__ import annotations

import re
from functools import partial

import pytest
from gear_runs import SECONDS, run
from routers import Lie, LyingRouter
from routers.table import WRONG_ADDRESS

from harness.judge.card import CheckResult, Outcome
from harness.runner.rejudge import bundles, rejudge
from harness.words import Answer, Verdict

pytestmark = pytest.mark.timeout(SECONDS)

# Where the novice has to be reached through the router, by file: the expert alone dials.
THROUGH = ["file/liar+direct", "file/liar+upnp-nat"]
# The expert is behind it, and dials out.
OUTWARD = ["file/direct+liar", "file/upnp-nat+liar"]

RUNS = {
    lie: run(partial(LyingRouter, lie), options=("--method", "file"))
    for lie in (
        Lie.WRONG_ADDRESS,
        Lie.ALWAYS_CONFLICT,
        Lie.ACTION_FAILED,
        Lie.FORWARDS_NOTHING,
        Lie.PERMANENT_ONLY,
        Lie.KEEPS,
        Lie.STEALS,
    )
}
every = pytest.mark.parametrize("lie", RUNS)

REASONS = {
    Lie.WRONG_ADDRESS: [
        f"the novice's gateway granted {WRONG_ADDRESS}:3389 by upnp",
        f"expert to {WRONG_ADDRESS}:3389 ICMP network unreachable from internet",
    ],
    Lie.ALWAYS_CONFLICT: [r"the novice's gateway granted no mapping: UPnP: .*8 ports"],
    Lie.ACTION_FAILED: [r"the novice's gateway granted no mapping: UPnP: .*501"],
    Lie.FORWARDS_NOTHING: [
        r"the novice's gateway granted 80\.100\.10\.\d+:3389 by upnp",
        r"expert to 80\.100\.10\.\d+:3389 dropped by novice\.liar \(black box: it went in and did"
        " not come out",
    ],
}
"""What the reason of a "No" has to say."""

CHECKS = {
    Lie.WRONG_ADDRESS: ("external-address", f"it says {WRONG_ADDRESS}; the internet sees"),
    Lie.ALWAYS_CONFLICT: ("map-3389-lease-0", "718 ConflictInMappingEntry"),
    Lie.ACTION_FAILED: ("map-3389-lease-0", "501 Action Failed"),
    Lie.FORWARDS_NOTHING: ("map-3389-lease-0", "accepted, but the internet does not get in"),
    Lie.STEALS: ("map-conflict", "the second host stole the port, silently"),
}
"""The check of the card that a lie does not stand, and what it says."""


@pytest.mark.parametrize("lie", REASONS)
def test_a_lie_differs_from_the_article_by_the_right_reason(lie: Lie) -> None:
    outcome = RUNS[lie].result()
    assert outcome.ended.status == 1, outcome.ended.said
    for name in THROUGH:
        found = outcome.scenario(name)
        assert found.verdict is Verdict.DIFFERS
        assert found.observed is not None
        assert found.observed.answer is Answer.NO
        for reason in REASONS[lie]:
            assert re.search(reason, found.why), found.why
    for name in OUTWARD:
        assert outcome.scenario(name).verdict is Verdict.AGREES


@pytest.mark.parametrize("lie", [Lie.PERMANENT_ONLY, Lie.KEEPS, Lie.STEALS])
def test_what_one_person_alone_does_not_meet_agrees(lie: Lie) -> None:
    outcome = RUNS[lie].result()
    assert outcome.ended.status == 0, outcome.ended.said
    for name in (*THROUGH, *OUTWARD):
        assert outcome.scenario(name).verdict is Verdict.AGREES


def test_a_mapping_that_is_left_over_is_told_and_hinders_no_scenario() -> None:
    for name in THROUGH:
        found = RUNS[Lie.KEEPS].result().scenario(name)
        assert "a mapping is left over: the novice's gateway kept 3389: UPnP: " in found.why
        assert "501" in found.why


@pytest.mark.parametrize("lie", CHECKS)
def test_the_card_names_the_lie(lie: Lie) -> None:
    outcome = RUNS[lie].result()
    name, detail = CHECKS[lie]
    check = checks(lie)[name]
    assert check.outcome is Outcome.NON_COMPLIANT
    assert detail in check.detail
    assert f"non-compliant {name}: " in outcome.ended.err
    assert detail in " ".join(outcome.ended.out.split())


def test_permanent_mappings_alone_are_allowed_to_an_igd_1() -> None:
    check = checks(Lie.PERMANENT_ONLY)["map-3389-lease-3600"]
    assert check.outcome is Outcome.NOT_OFFERED
    assert "725" in check.detail


@every
def test_no_check_of_a_card_is_the_harness_s_own_trouble(lie: Lie) -> None:
    found = checks(lie)
    assert len(found) > 50
    assert [each for each in found.values() if each.outcome is Outcome.ERROR] == []


@every
def test_the_card_is_kept_with_its_capture(lie: Lie) -> None:
    outcome = RUNS[lie].result()
    (card,) = outcome.results.cards
    kept = {each.name for each in (outcome.folder / card.bundle).iterdir()}
    assert kept >= {"card.json", "capture.pcapng"}


@every
def test_every_bundle_shows_again_what_the_run_saw(lie: Lie) -> None:
    judged = [rejudge(found) for found in bundles(RUNS[lie].result().folder)]
    assert [each.now for each in judged] == [each.before for each in judged]


@every
def test_no_nic_is_other_than_before(lie: Lie) -> None:
    outcome = RUNS[lie].result()
    assert outcome.after == outcome.before


def checks(lie: Lie) -> dict[str, CheckResult]:
    """Return the checks of a lying router's card by their ids."""
    (card,) = RUNS[lie].result().results.cards
    assert card.router == "liar"
    return {check.id: check for check in card.checks}
