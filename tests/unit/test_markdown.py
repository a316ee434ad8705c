"""The Markdown summary, and the CI jobs of docs/ci.md that show it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from factories import article, control, observed, predicted, results, scenario
from markdown_it import MarkdownIt

from harness.judge.model import ScenarioResult
from harness.report.markdown import code, markdown, write_markdown

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "`` ` ```",
    "` <b>",
    "**x** [a](http://b) @all #1 | y \\",
    "a\n# b\r\x1b[31m",
    "&lt;",
    "é",
]
DOCS = Path(__file__).parents[2] / "docs" / "ci.md"


def summary(*scenarios: ScenarioResult) -> str:
    return markdown(results(*scenarios))


def test_the_first_line_is_the_verdict() -> None:
    assert summary(*article()).splitlines()[0] == ("## ✅ As documented: 36 of 36 agree (41.2 s)")
    unproven = summary(*article(scenario("file", "nat", "nat", None)))
    assert unproven.startswith("## ⚠️ Not proven: 35 of 36 agree, 1 error")


def test_what_is_amiss_comes_first_with_its_reason_and_the_gravest_before() -> None:
    text = summary(
        *article(
            scenario("file", "nat", "nat", None),
            scenario("file", "nat", "direct", observed("yes")),
            scenario(
                "file", "xp-ics", "direct", observed("yes"), controls=(control(passed=False),)
            ),
        )
    )
    lines = text.splitlines()
    assert [line.split("`")[0] for line in lines[2:5]] == [
        "- ❌ **differs** ",
        "- ⚠️ **invalid** ",
        "- 💥 **error** ",
    ]
    assert "documented no, observed yes: the expert connected" in lines[2]
    assert "the expert's node did not start within 5 s" in lines[4]


def test_what_was_not_predicted_is_amiss() -> None:
    text = summary(scenario("file", "nat", "nat", observed("no"), forecast=predicted("yes")))
    assert "- ❌ **not as predicted** ` file/nat+nat `: ` predicted yes because" in text


def test_a_cell_has_what_is_documented_what_was_seen_and_the_verdict() -> None:
    text = summary(*article(scenario("file", "nat", "direct", observed("yes"))))
    row = next(
        line for line in text.splitlines() if line.startswith("| **Novice** | says Yes<br>f")
    )
    assert row.split(" | ")[3] == "says No<br>file Yes: ❌ differs<br>mail No: ✅ agrees"


def test_a_cell_that_was_not_run_says_so() -> None:
    text = summary(scenario("messenger", "nat", "nat", observed("no")))
    assert "says No<br>saw No: ✅ agrees |" in text
    assert "says Yes<br>saw: not run |" in text
    assert "### Table 2" not in text


def test_verdicts_are_counted_by_part_and_in_all() -> None:
    text = summary(*article(), scenario("file", "nat,nat", "direct", observed("no")))
    assert "| Table 1: Windows Messenger | 12 | 0 | 0 | 0 | 0 | 0 of 0 |" in text
    assert "| Other scenarios | 0 | 0 | 1 | 0 | 0 | 0 of 0 |" in text
    assert "| **all** | 36 | 0 | 1 | 0 | 0 | 0 of 0 |" in text


def test_the_versions_are_there() -> None:
    assert "- ` miniupnpd ` ` 2.3.1 `" in summary()


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_device_is_shown_and_does_nothing(text: str) -> None:
    result = scenario("file", "nat", "direct", observed("yes"), why=text)
    made = summary(result.model_copy(update={"id": text}))
    line = next(line for line in made.splitlines() if line.startswith("- ❌"))
    [inline] = [token for token in MarkdownIt().parse(line) if token.type == "inline"]
    tokens = inline.children or []
    kinds = {"text", "strong_open", "strong_close", "code_inline"}
    assert {token.type for token in tokens} == kinds
    shown = text.encode("ascii", "backslashreplace").decode()
    for char, escape in (("\n", r"\n"), ("\r", r"\r"), ("\x1b", r"\x1b")):
        shown = shown.replace(char, escape)
    assert [token.content for token in tokens if token.type == "code_inline"] == [shown, shown]


def test_long_text_is_cut() -> None:
    assert code("x" * 20, 10) == "` xxxxxxx... `"


def test_the_summary_of_any_run_is_below_100_kb(tmp_path: Path) -> None:
    many = [scenario("file", "nat", "direct", observed("yes"), why="é" * 5000) for _ in range(3000)]
    made = results(*article(), *many)
    versions = {f"{number}{'é' * 500}": "é" * 5000 for number in range(500)}
    made = made.model_copy(update={"run": made.run.model_copy(update={"versions": versions})})
    write_markdown(made, tmp_path / "summary.md")
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert len(text.encode()) < 100_000
    assert "more: `results.json` has them all" in text


def job_files() -> list[dict[str, object]]:
    blocks = MarkdownIt().parse(DOCS.read_text(encoding="utf-8"))
    return [yaml.safe_load(each.content) for each in blocks if each.info == "yaml"]


def test_the_documented_jobs_are_yaml_and_run_the_scenarios_and_keep_what_they_write() -> None:
    github, gitlab = map(str, job_files())
    for job in (github, gitlab):
        assert "make setup" in job
        assert "make kb OUT=results" in job
        assert "results/junit.xml" in job
        assert ".cache/pip" in job
    assert "$GITHUB_STEP_SUMMARY" in github
    assert "results/summary.md" in github
