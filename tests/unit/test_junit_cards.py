"""A router's card in JUnit XML, as a CI server reads it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from card_runs import OF_EACH_KIND, card, check, gear, router
from test_junit import properties

from harness.judge.card import CheckResult, Level, Outcome
from harness.judge.model import Results
from harness.report.junit import write_junit


def suites(path: Path, results: Results) -> dict[str, ET.Element]:
    write_junit(results, path / "junit.xml")
    return {each.attrib["name"]: each for each in ET.parse(path / "junit.xml").getroot()}


def case(path: Path, made: CheckResult) -> ET.Element:
    [found] = suites(path, gear(card(made)))["Card of acme"].iter("testcase")
    return found


def test_a_card_is_a_suite_and_each_check_a_case(tmp_path: Path) -> None:
    suite = suites(tmp_path, gear(card(*OF_EACH_KIND)))["Card of acme"]
    names = [each.attrib["name"] for each in suite.iter("testcase")]
    assert names == [each.id for each in OF_EACH_KIND]
    assert {each.attrib["classname"] for each in suite.iter("testcase")} == {
        "ra-harness.Card of acme"
    }
    counts = {key: suite.attrib[key] for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "0", "errors": "1", "skipped": "2"}
    assert suite.attrib["timestamp"] == "2026-03-01T12:30:00"


def test_a_suite_says_which_model_and_firmware_it_is_of(tmp_path: Path) -> None:
    found = suites(tmp_path, gear(card(check(), of=router(firmware="1.2"))))
    said = properties(found["Card of acme"])
    assert (said["model"], said["firmware"], said["claims"]) == ("X1", "1.2", "upnp-nat")
    assert (said["gateway"], said["external"]) == ("192.168.178.1/24", "80.100.10.16")


def test_the_scenarios_suites_name_model_and_firmware_too(tmp_path: Path) -> None:
    found = suites(tmp_path, gear())
    assert len(found) == 2
    for suite in found.values():
        said = properties(suite)
        assert said["router.acme.model"] == "X1"
        assert said["router.acme.firmware"] == "1.0"
        assert said["router.acme.claims"] == "upnp-nat"


@pytest.mark.parametrize("level", Level)
def test_what_is_not_compliant_does_not_fail(tmp_path: Path, level: Level) -> None:
    found = case(tmp_path, check(outcome=Outcome.NON_COMPLIANT, level=level))
    assert [each.tag for each in found] == ["properties", "system-out"]
    said = properties(found)
    assert (said["outcome"], said["level"]) == ("non-compliant", level.value)


def test_a_case_says_what_was_checked_what_was_seen_and_how(tmp_path: Path) -> None:
    found = case(tmp_path, check(evidence=("asked", "Traceback:\n  in f")))
    assert properties(found) == {
        "outcome": "compliant",
        "level": "required",
        "source": "WANIPConnection:2 2.5.16",
        "title": "A taken port is refused",
        "bundle": "cards/acme",
    }
    assert found.findtext("system-out") == (
        "compliant: A taken port is refused\n718 ConflictInMappingEntry\nasked\nTraceback:\n  in f"
    )
    assert found.attrib["time"] == "0.25"


def test_a_check_that_broke_is_an_error(tmp_path: Path) -> None:
    error = case(tmp_path, check(outcome=Outcome.ERROR, detail="too slow")).find("error")
    assert error is not None
    assert error.attrib == {"message": "too slow", "type": "error"}


@pytest.mark.parametrize("outcome", [Outcome.NOT_OFFERED, Outcome.NOT_TESTED])
def test_what_was_not_made_is_skipped_and_says_why(tmp_path: Path, outcome: Outcome) -> None:
    skipped = case(tmp_path, check(outcome=outcome, detail="no IGD:2")).find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == f"{outcome}: no IGD:2"


def test_a_card_without_checks_has_no_suite(tmp_path: Path) -> None:
    assert "Card of acme" not in suites(tmp_path, gear(card()))
