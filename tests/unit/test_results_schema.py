"""The published schema of results.json takes what the harness writes, and refuses the rest."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from card_runs import OF_EACH_KIND, card, gear
from factories import article, control, observed, results, scenario
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pages import DOCS

from harness.judge.model import SCHEMA
from harness.report.docs import SCHEMA_ID, results_schema
from harness.report.docs.fields import FIELDS
from harness.report.results_file import read_results, write_results

PUBLISHED: dict[str, Any] = json.loads((DOCS / "results.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(PUBLISHED)


def records() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Results", PUBLISHED
    yield from PUBLISHED["$defs"].items()


def wrong(file: dict[str, Any]) -> str | None:
    """Return where a file is not as the schema says; None where all is."""
    error = best_match(VALIDATOR.iter_errors(file))
    return error.json_path if error is not None else None


@pytest.fixture
def file(tmp_path: Path) -> dict[str, Any]:
    """Return a results file as written, with a scenario of each kind."""
    path = tmp_path / "results.json"
    error = scenario("file", "nat", "nat", None)
    invalid = scenario("email", "nat", "nat", observed("no"), controls=(control(passed=False),))
    write_results(results(*article(error, invalid)), path)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_the_schema_is_a_schema_with_a_name_a_title_and_a_description() -> None:
    Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert PUBLISHED["$id"] == SCHEMA_ID == f"urn:ra-harness:results.schema:{SCHEMA}"
    assert PUBLISHED["title"] == "results.json of ra-harness"
    assert "none is renamed or removed without raising `schema`" in PUBLISHED["description"]


def test_the_published_schema_is_what_the_model_makes() -> None:
    assert json.loads(results_schema()) == PUBLISHED, (
        "docs/results.schema.json is not what the model says: "
        "run .venv/bin/python -m harness.report.docs"
    )


def test_every_field_is_described_and_nothing_else_is() -> None:
    fields = {f"{name}.{key}" for name, record in records() for key in record.get("properties", {})}
    assert fields == set(FIELDS), "see harness/report/docs/fields.py"
    assert [name for name, record in records() if not record.get("description")] == []


def test_descriptions_are_plain_text() -> None:
    told = [record["description"] for _, record in records()] + list(FIELDS.values())
    assert [text for text in told if "``" in text or ":class:" in text or "\n" in text] == []


def test_a_results_file_is_valid(file: dict[str, Any]) -> None:
    assert wrong(file) is None


def test_a_results_file_of_a_run_against_routers_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(gear(card(*OF_EACH_KIND)), path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert wrong(content) is None
    assert [each["name"] for each in content["run"]["routers"]] == ["acme"]
    content["cards"][0]["checks"][2]["outcome"] = "splendid"
    assert wrong(content) == "$.cards[0].checks[2].outcome"


def test_fields_that_a_later_harness_adds_are_passed_over(file: dict[str, Any]) -> None:
    file["weather"] = "fine"
    file["scenarios"][0]["mood"] = 3
    assert wrong(file) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("summary", "agrees"), "many"),
        (("run", "jobs"), 0),
        (("scenarios", 0, "verdict"), "maybe"),
        (("scenarios", 0, "method"), "telegraph"),
        (("scenarios", 0, "novice"), "nat"),
        (("scenarios", 0, "seconds"), -1),
        (("scenarios", 0, "observed", "answer"), "depends"),
        (("scenarios", 0, "observed", "attempts", 0, "port"), 65536),
        (("scenarios", 0, "observed", "attempts", 0, "end"), "lost"),
        (("scenarios", 0, "controls"), None),
    ],
)
def test_what_no_run_writes_is_refused_where_it_stands(
    file: dict[str, Any], path: tuple[str | int, ...], value: object, tmp_path: Path
) -> None:
    """By the schema, and by the program's own reader alike."""
    *way, last = path
    place: Any = file
    for step in way:
        place = place[step]
    assert place[last] != value
    place[last] = value
    named = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    assert wrong(file) == named
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(file), encoding="utf-8")
    with pytest.raises(Exception, match=str(path[-1])):
        read_results(altered)


@pytest.mark.parametrize("key", ["run", "scenarios", "summary"])
def test_no_part_may_be_missing(file: dict[str, Any], key: str) -> None:
    less = copy.deepcopy(file)
    del less[key]
    assert wrong(less) == "$"
