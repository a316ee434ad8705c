"""JUnit XML as a CI server reads it."""

from __future__ import annotations

import stat
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from factories import article, attempt, control, observed, predicted, results, scenario

from harness.errors import OutputError
from harness.judge.model import ScenarioResult
from harness.report.junit import write_junit
from harness.words import End

TABLE_2 = "Table 2: Save Invitation as a File and Send Invitation as an E-mail Methods"


def document(path: Path, *scenarios: ScenarioResult) -> ET.Element:
    write_junit(results(*scenarios), path / "junit.xml")
    return ET.parse(path / "junit.xml").getroot()


def case(path: Path, result: ScenarioResult) -> ET.Element:
    [found] = document(path, result).iter("testcase")
    return found


def properties(element: ET.Element) -> dict[str, str]:
    return {
        found.attrib["name"]: found.attrib["value"]
        for found in element.findall("properties/property")
    }


def test_there_is_a_suite_for_each_table_with_its_counts(tmp_path: Path) -> None:
    root = document(
        tmp_path,
        *article(
            scenario("file", "nat", "direct", observed("yes")),
            scenario("file", "nat", "nat", None),
        ),
    )
    counts = [
        tuple(suite.attrib[key] for key in ("name", "tests", "failures", "errors", "skipped"))
        for suite in root
    ]
    assert counts == [
        ("Table 1: Windows Messenger", "12", "0", "0", "0"),
        (TABLE_2, "24", "1", "1", "0"),
    ]
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == (
        "36",
        "1",
        "1",
    )


def test_the_prose_and_scenarios_beyond_the_article_have_suites_of_their_own(
    tmp_path: Path,
) -> None:
    root = document(
        tmp_path,
        scenario("file", "nat,nat", "direct", observed("no")),
        scenario("file", "icf", "direct", observed("yes")),
        scenario("file", "nat", "direct", observed("no")),
    )
    assert [(suite.attrib["name"], suite.attrib["tests"]) for suite in root] == [
        (TABLE_2, "1"),
        ("Prose", "1"),
        ("Other scenarios", "1"),
    ]


def test_a_case_is_named_by_part_and_id_and_has_its_time_in_milliseconds(tmp_path: Path) -> None:
    found = case(tmp_path, scenario("file", "nat", "direct", observed("no"), seconds=1.50049))
    assert found.attrib == {
        "classname": f"ra-harness.{TABLE_2}",
        "name": "file/nat+direct",
        "time": "1.5",
    }


def test_a_case_has_its_attempts_as_output_and_then_their_drawing(tmp_path: Path) -> None:
    result = scenario("file", "nat", "direct", observed("no"))
    write_junit(results(result), tmp_path / "junit.xml", {result.id: "expert ---> nat\x1b"})
    assert ET.parse(tmp_path / "junit.xml").findtext(".//system-out") == (
        "expert -> 80.1.2.3:3389  timeout at novice.nat: dropped by the forward chain (0.01 s)\n"
        "\nexpert ---> nat"
    )


def test_a_case_without_attempts_has_no_output(tmp_path: Path) -> None:
    assert case(tmp_path, scenario("file", "nat", "nat", None)).find("system-out") is None


def test_an_agreement_passes(tmp_path: Path) -> None:
    found = case(tmp_path, scenario("file", "nat", "direct", observed("no")))
    assert [child.tag for child in found] == ["properties", "system-out"]


def test_what_the_article_leaves_open_passes_and_says_so(tmp_path: Path) -> None:
    found = case(tmp_path, scenario("file", "nat,nat", "direct", observed("no")))
    assert [child.tag for child in found] == ["properties", "system-out"]
    assert properties(found) == {
        "verdict": "undocumented",
        "method": "file",
        "observed": "no",
    }


def test_a_case_has_every_answer_as_a_property(tmp_path: Path) -> None:
    result = scenario(
        "file", "nat", "direct", observed("no"), forecast=predicted("no"), bundle="scenarios/x"
    )
    assert properties(case(tmp_path, result)) == {
        "verdict": "agrees",
        "method": "file",
        "documented": "no",
        "claim": "file-email/novice/nat",
        "predicted": "no",
        "observed": "no",
        "bundle": "scenarios/x",
    }


def test_a_difference_is_a_failure_with_its_attempts_as_evidence(tmp_path: Path) -> None:
    saw = observed("no", attempt(address="192.168.1.2", end=End.REFUSED, how="RST"), attempt())
    found = case(tmp_path, scenario("file", "upnp-nat", "direct", saw))
    [failure] = found.findall("failure")
    assert failure.attrib["type"] == "differs"
    assert failure.attrib["message"].startswith("documented yes, observed no: expert to 192.168.1")
    assert failure.text == (
        "expert -> 192.168.1.2:3389  refused at novice.nat: RST (0.01 s)\n"
        "expert -> 80.1.2.3:3389  timeout at novice.nat: dropped by the forward chain (0.01 s)"
    )


def test_an_unproven_no_is_an_error_that_names_the_control(tmp_path: Path) -> None:
    broken = control(passed=False, detail="2 of 3 rules are missing")
    found = case(tmp_path, scenario("file", "nat", "nat", observed("no"), controls=(broken,)))
    [error] = found.findall("error")
    assert error.attrib["type"] == "invalid"
    assert "control rules failed at novice.nat" in error.attrib["message"]
    assert error.text is not None
    assert error.text.startswith("failed control: rules at novice.nat: 2 of 3 rules are missing\n")


def test_a_harness_that_failed_is_an_error_that_says_why(tmp_path: Path) -> None:
    [error] = case(tmp_path, scenario("file", "nat", "nat", None)).findall("error")
    assert error.attrib == {
        "type": "error",
        "message": "the expert's node did not start within 5 s",
    }


def test_a_suite_says_what_was_run_and_on_what(tmp_path: Path) -> None:
    [suite] = document(tmp_path, scenario("file", "nat", "nat", observed("no")))
    assert suite.attrib["timestamp"] == "2026-03-01T12:00:00"
    assert properties(suite) == {
        "run": "20260301-120000-1a2b",
        "runtime": "namespaces",
        "jobs": "4",
        "version.miniupnpd": "2.3.1",
        "host.kernel": "6.1.0",
    }


def test_no_text_makes_the_file_unreadable(tmp_path: Path) -> None:
    bad = "<b>&]]>\x00\x1b[31m\x0b\ud800\ufffe\x7fé"
    result = scenario(
        "file", "nat", "nat", observed("yes", attempt(how=bad, ended_at=bad)), why=bad, bundle=bad
    )
    found = case(tmp_path, result.model_copy(update={"id": bad}))
    assert found.attrib["name"] == "<b>&]]>[31m\x7fé"
    assert properties(found)["bundle"] == "<b>&]]>[31m\x7fé"
    [failure] = found.findall("failure")
    assert failure.attrib["message"].startswith(r"<b>&]]>\x00\x1b[31m")


def test_a_run_without_scenarios_is_an_empty_document(tmp_path: Path) -> None:
    assert list(document(tmp_path)) == []


def test_the_file_replaces_an_older_one_and_everybody_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("old")
    document(tmp_path, scenario("file", "nat", "nat", observed("no")))
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]
    assert stat.S_IMODE((tmp_path / "junit.xml").stat().st_mode) & 0o044


def test_a_folder_that_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "junit.xml"
    with pytest.raises(OutputError) as caught:
        write_junit(results(), path)
    assert str(caught.value) == f"{path}: No such file or directory"
