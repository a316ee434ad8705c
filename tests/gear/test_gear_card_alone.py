"""A card can be made without the scenarios, and some of its checks without the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from gear_runs import SECONDS, command, run
from routers import LegacyRouter, NftIgdRouter

from harness.gear.card.catalogue import CHECKS
from harness.judge.card import Outcome

pytestmark = pytest.mark.timeout(SECONDS)

PICKED = ("nat-mapping", "map-conflict")

ALONE = run(NftIgdRouter, options=("--no-scenarios", *(f"--check={check}" for check in PICKED)))


class DropsFins(LegacyRouter):
    """It lets no FIN out, so that a check of minutes has its answer in seconds."""

    def boot(self) -> Sequence[str]:
        fins = "FORWARD -i lan -p tcp --tcp-flags FIN FIN -j DROP"
        return (*super().boot(), f"iptables-legacy -I {fins}")


SLOW = run(DropsFins, options=("--no-scenarios", "--check", "idle-closing"))


def test_a_card_alone_runs_no_scenario_and_ends_by_0() -> None:
    outcome = ALONE.result()
    assert outcome.ended.status == 0, outcome.ended.said
    assert outcome.results.scenarios == ()
    assert not list(outcome.folder.rglob("verdict.json"))
    assert outcome.ended.out.count("no scenario was run") == 1
    assert "the other side is" not in outcome.ended.out
    assert outcome.after == outcome.before


def test_the_checks_that_are_picked_are_made_alone_in_the_card_s_order() -> None:
    (card,) = ALONE.result().results.cards
    assert [(check.id, check.outcome) for check in card.checks] == [
        ("map-conflict", Outcome.COMPLIANT),
        ("nat-mapping", Outcome.COMPLIANT),
    ]


def test_a_slow_check_that_is_picked_is_made() -> None:
    outcome = SLOW.result()
    (card,) = outcome.results.cards
    (check,) = card.checks
    assert check.detail == "the LAN host's FIN does not come out"
    assert check.outcome is Outcome.NON_COMPLIANT
    assert outcome.ended.status == 0, outcome.ended.said


def test_every_report_of_a_card_alone_has_its_checks() -> None:
    outcome = ALONE.result()
    assert {each.name for each in outcome.folder.iterdir() if each.is_file()} == {
        "results.json",
        "junit.xml",
        "summary.md",
        "report.html",
    }
    for file in ("junit.xml", "report.html"):
        text = (outcome.folder / file).read_text(encoding="utf-8")
        assert all(check in text for check in PICKED)
    assert "2 compliant" in (outcome.folder / "summary.md").read_text(encoding="utf-8")


def test_the_checks_are_listed_by_the_ids_that_pick_them(tmp_path: Path) -> None:
    ended = command(("gear", "--list-checks"), tmp_path)
    assert ended.status == 0, ended.said
    head, *rows = ended.out.splitlines()
    assert head.split() == ["check", "level", "slow", "title"]
    assert [row.split()[0] for row in rows] == [check.id for check in CHECKS]
    slow = {row.split()[0] for row in rows if row.split()[2] == "yes"}
    assert slow == {"idle-opening", "idle-closing", "idle-established"}
