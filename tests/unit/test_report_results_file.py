"""``results.json`` written and read back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from factories import article, attempt, control, observed, predicted, results, scenario

from harness.errors import DefinitionError, OutputError
from harness.report.results_file import read_results, write_results


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.json"


def complaint(path: Path) -> str:
    with pytest.raises(DefinitionError) as caught:
        read_results(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    return text.removeprefix(f"{path}: ")


def damaged(path: Path, **changes: Any) -> Path:
    """Write a good file with some of its first scenario's keys changed."""
    write_results(results(scenario("file", "nat", "nat", observed("no"))), path)
    data = json.loads(path.read_text(encoding="utf-8"))
    data["scenarios"][0].update(changes)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_what_is_written_is_read_back_whole(path: Path) -> None:
    everything = results(
        *article(
            scenario(
                "file", "nat", "direct", observed("yes", attempt(how="réponse \x1b[1m"), attempt()),
                controls=(control(),), forecast=predicted("no"), bundle="scenarios/1",
            ),
            scenario("email", "nat", "direct", None),
        )
    )  # fmt: skip
    write_results(everything, path)
    assert read_results(path) == everything


def test_the_file_is_what_the_contract_says(path: Path) -> None:
    write_results(results(scenario("file", "nat", "direct", observed("no"))), path)
    data = json.loads(path.read_bytes().decode("utf-8"))
    assert list(data) == ["schema", "run", "scenarios", "summary", "cards"]
    assert data["schema"] == 1
    assert data["scenarios"][0]["id"] == "file/nat+direct"
    assert data["scenarios"][0]["documented"]["answer"] == "no"
    assert data["summary"]["agrees"] == 1


def test_the_file_is_for_people_too(path: Path) -> None:
    write_results(results(scenario("file", "nat", "nat", None, why="réponse")), path)
    text = path.read_text(encoding="utf-8")
    assert "réponse" in text
    assert text.startswith('{\n "schema": 1,\n')
    assert text.endswith("}\n")


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(results(), path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        write_results(results(scenario("file", "nat", "nat", None)), path)
    assert str(caught.value) == f"{path}: No space left on device"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_in_the_files_place_is_said_in_one_line(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OutputError) as caught:
        write_results(results(), path)
    assert str(caught.value) == f"{path}: Is a directory"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_is_said_in_one_line(path: Path) -> None:
    assert complaint(path) == "No such file or directory"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b'{"schema": 1,', "Invalid JSON: EOF while parsing"),
        (b'{"schema": "\xff"}', "Invalid JSON: invalid unicode code point"),
        (b"[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        (b"[]", "Input should be an object"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    assert complaint(path).startswith(reason)


def test_a_wrong_value_is_named_by_its_key(path: Path) -> None:
    assert complaint(damaged(path, verdict="fine")) == (
        "scenarios.0.verdict: Input should be 'agrees', 'differs', 'undocumented', 'invalid' "
        "or 'error'"
    )


def test_a_missing_key_is_named_and_the_others_are_counted(path: Path) -> None:
    path.write_text('{"schema": 1, "summary": {}}')
    assert complaint(path) == "run: Field required (and 1 more)"


def test_another_layout_is_refused(path: Path) -> None:
    path.write_text('{"schema": 2, "run": {}}')
    assert complaint(path).startswith("schema: Input should be 1")


def test_a_key_of_a_later_harness_is_passed_over(path: Path) -> None:
    damaged(path, later="field")
    assert read_results(path).scenarios


def test_a_hostile_key_cannot_reach_the_terminal(path: Path) -> None:
    hostile = {"\x1b[2J\n" * 100: 1}
    text = complaint(damaged(path, observed={"answer": "no", "winner": None, "attempts": hostile}))
    assert text.startswith("scenarios.0.observed.attempts")
    assert text.isprintable()
    assert len(text) < 200
