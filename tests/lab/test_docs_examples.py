"""The worked example of docs/adding-a-device.md is run as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pages import DOCS, fences, headings
from runs import COMMAND, DEADLINE, own_topologies, run

PAGE = DOCS / "adding-a-device.md"
PROMPT = "$ "
SECONDS = re.compile(r"\d+\.\d+ s\b")
CONTROLS = re.compile(r"controls (\d+) of \1 passed")


@dataclass(frozen=True)
class Typed:
    """A command of the page, what the page says that it prints, and what it did print."""

    command: str
    said: str
    printed: str
    status: int


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the page with its output."""
    for block in fences(PAGE, "console"):
        for typed in block.removeprefix(PROMPT).split(f"\n{PROMPT}"):
            command, _, output = typed.partition("\n")
            yield command, output


def essentials(output: str) -> str:
    """Return what every run prints alike: not times, and not how lines were broken for them."""
    words = " ".join(output.split())
    return CONTROLS.sub("controls all passed", SECONDS.sub("? s", words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the page's commands can be typed."""
    folder = tmp_path_factory.mktemp("example")
    own_topologies(folder)
    return folder


@pytest.fixture(scope="module")
def typed(folder: Path) -> list[Typed]:
    """Do what the page says, from its top to its end."""
    done = []
    for command, said in commands():
        words = shlex.split(command)
        if words[0] == "ra-harness":
            words[:1] = COMMAND
        ended = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        done.append(Typed(command, said, ended.stdout or ended.stderr, ended.returncode))
        if words[0] == "cp":
            write_definition(folder)
    return done


def write_definition(folder: Path) -> None:
    """Write the page's TOML file where its first line says."""
    (text,) = fences(PAGE, "toml")
    name = text.splitlines()[0].removeprefix("# ")
    (folder / name).write_text(text, encoding="utf-8")


def test_the_page_has_an_example_to_be_run() -> None:
    programs = [shlex.split(command)[0] for command, _ in commands()]
    assert programs == ["cp", "ra-harness", "grep", "ra-harness", "sed", "ra-harness"]


def test_every_command_prints_what_the_page_says(typed: list[Typed]) -> None:
    for each in typed:
        assert essentials(each.printed) == essentials(each.said), each.command


def test_only_the_wrong_definition_is_refused(typed: list[Typed]) -> None:
    assert [each.status for each in typed] == [0, 0, 0, 0, 0, 2]


def test_what_the_example_wrote_is_what_the_published_schema_says(
    folder: Path, typed: list[Typed]
) -> None:
    assert typed
    schema = json.loads((DOCS / "results.schema.json").read_text(encoding="utf-8"))
    written = json.loads((folder / "results" / "results.json").read_text(encoding="utf-8"))
    assert len(written["scenarios"]) == 16
    assert [error.message for error in Draft202012Validator(schema).iter_errors(written)] == []


def test_every_control_of_a_run_is_explained_in_the_troubleshooting_page(tmp_path: Path) -> None:
    """With a daemon that maps ports on one side, a proxy on the other, and a "No"."""
    both = run(tmp_path / "both", "--novice", "upnp-nat", "--expert", "socks-proxy")
    unreachable = run(tmp_path / "no", "--novice", "nat", "--method", "file")
    scenarios = both.results.scenarios + unreachable.results.scenarios
    names = {control.name for each in scenarios for control in each.controls}
    assert len(names) > 10
    assert names - set(headings(DOCS / "troubleshooting.md")) == set()
