"""The report of a results folder links what lies beside each card."""

from __future__ import annotations

from pathlib import Path

import pytest
from card_runs import card, check, gear

from harness.runner.reporting import card_files, report


def test_the_report_leads_to_the_files_of_a_card(tmp_path: Path) -> None:
    folder = tmp_path / "cards" / "acme"
    (folder / "deeper").mkdir(parents=True)
    for name in ("capture.pcapng", "card.json"):
        (folder / name).touch()
    results = gear(card(check()))
    assert card_files(results.cards, tmp_path) == {"cards/acme": ("capture.pcapng", "card.json")}
    text = report(results, tmp_path).read_text(encoding="utf-8")
    assert 'href="./cards/acme/capture.pcapng"' in text


def test_a_card_whose_folder_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert card_files([card(check())], tmp_path) == {}


@pytest.mark.parametrize("bundle", ["..", "cards/../..", "ABSOLUTE"])
def test_no_folder_outside_of_the_results_is_looked_into(tmp_path: Path, bundle: str) -> None:
    (tmp_path / "secret").touch()
    results = tmp_path / "a" / "results"
    results.mkdir(parents=True)
    place = str(tmp_path) if bundle == "ABSOLUTE" else bundle
    made = card(check()).model_copy(update={"bundle": place})
    assert card_files([made], results) == {}
