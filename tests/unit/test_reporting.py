"""The report of a results folder has what lies in its bundles and beside each card."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bundles import ID, lines_of, mend, write_bundle
from card_runs import card, check, gear

from harness.report.results_file import read_results
from harness.runner.reporting import card_files, gather, report


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


def test_the_report_has_what_a_bundle_holds_and_marks_the_dial_that_decided(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    results = read_results(tmp_path / "results.json")
    text = report(results, tmp_path).read_text(encoding="utf-8")
    ladders = re.findall(r'aria-label="Attempt \d">(.*?)</title>', text, re.DOTALL)
    assert ["This attempt decided it" in each for each in ladders] == [False, True]
    assert "UPLOADINFO" in text
    assert f'href="./scenarios/{ID}/capture.pcapng"' in text


def test_a_gateway_is_said_to_call_itself_what_it_does_and_not_what_it_calls_its_parts(
    tmp_path: Path,
) -> None:
    path = write_bundle(tmp_path)
    names = "".join(f"<friendlyName>{name}</friendlyName>" for name in ("A &amp; B", "WANDevice"))
    said = {
        "event": "upnp answer",
        "node": "novice.nat",
        "text": f"200 OK\r\n\r\n{names}",
        "t": 9.0,
    }
    other = {**said, "text": "<NewExternalPort>3389</NewExternalPort>"}
    with (path / "transcript.jsonl").open("ab") as file:
        file.write(lines_of([said, other, said, ["no", "event"]]) + b"no JSON")
    mend(path)
    found, _ = gather(read_results(tmp_path / "results.json"), tmp_path)
    assert found[ID].devices_said == (("novice.nat", "A & B"),)


@pytest.mark.parametrize("bundle", ["../run/scenarios/{}", "{}/../{}", "ABSOLUTE", "gone"])
def test_no_bundle_outside_of_the_results_is_read(tmp_path: Path, bundle: str) -> None:
    path = write_bundle(tmp_path / "run")
    results = read_results(tmp_path / "run" / "results.json")
    place = str(path) if bundle == "ABSOLUTE" else bundle.format(ID, ID)
    [result] = results.scenarios
    moved = result.model_copy(update={"bundle": place})
    assert gather(results, tmp_path / "run")[0].keys() == {ID}
    for folder in (tmp_path / "run", tmp_path / "other", path.parent):
        assert gather(results.model_copy(update={"scenarios": (moved,)}), folder) == ({}, [])
