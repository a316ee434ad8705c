"""The pages written by hand speak of what there is: keys, layers, commands, targets, options."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import DOCS, ROOT, pages, tokens
from pydantic import BaseModel

from harness.topology.model import Device, Gear, Internet, TopologyFile

EACH = pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
COMMAND = re.compile(r"(?<![\w/.-])(?:\.venv/bin/)?ra-harness ([a-z][a-z-]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
TARGET = re.compile(r"(?:[\w ]*: |- |\$ |sudo )*make +([a-z][a-z-]*)")
FILE = re.compile(r"(?<![\w/-])(?:harness|topologies|images|tests|docs|\.ci)/[\w./-]*\w")
PLACEHOLDER = re.compile(r"\b[A-Z]{4,}\b")


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys of a definition and of every table in it."""
    for name, field in model.model_fields.items():
        yield name
        for inner in models_of(field.annotation):
            yield from keys(inner)


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    # What a real router is comes from a bench file.
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation != Gear:
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from models_of(part)


def code(path: Path) -> Iterator[str]:
    """Yield what a page shows as code: its blocks, and what stands in a line."""
    for token in tokens(path):
        if token.type in ("fence", "code_block"):
            yield from token.content.splitlines()
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def usage(*arguments: str) -> str:
    """Return what the command says of itself."""
    command = [sys.executable, "-m", "harness", *arguments, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Return the options of each command of ``ra-harness``."""
    listed = usage().partition("Commands:\n")[2]
    commands = re.findall(r"^  ([a-z][a-z-]*) ", listed, re.MULTILINE)
    return {command: set(OPTION.findall(usage(command))) for command in commands}


@pytest.mark.parametrize("model", [Device, TopologyFile, Internet])
def test_every_key_of_a_definition_is_explained(model: type[BaseModel]) -> None:
    page = (DOCS / "topologies.md").read_text(encoding="utf-8")
    # A device's name is its file's.
    wanted = set(keys(model)) - {"gear", "services", "name"}
    missing = {key for key in wanted if not re.search(rf"\b{key}\b", page)}
    assert missing == set(), "see docs/topologies.md"


def test_the_layers_are_listed_from_the_top_as_they_are_checked() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = checked["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    blocks = [
        each.content for each in tokens(DOCS / "how-it-works.md") if each.type == "code_block"
    ]
    rows = next(block for block in blocks if block.startswith("cli")).splitlines()
    told = [name for row in rows for name in row.partition("   ")[0].split(", ")]
    wanted = [name for layer in layers for name in layer.split(" | ")]
    assert told == wanted, "see the list in docs/how-it-works.md"


@EACH
def test_every_command_and_option_that_a_page_shows_is_there(
    path: Path, options: dict[str, set[str]]
) -> None:
    wrong = []
    for line in code(path):
        for command in COMMAND.findall(line):
            known = options.get(command)
            if known is None:
                wrong.append(line)
            elif COMMAND.match(line.strip().removeprefix("$ ")):
                wrong += [f"{command} {each}" for each in OPTION.findall(line) if each not in known]
    assert wrong == []


@EACH
def test_every_target_of_make_that_a_page_shows_is_there(path: Path) -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", rules, re.MULTILINE))
    shown = {found[1] for line in code(path) if (found := TARGET.match(line.strip()))}
    assert shown - targets == set()


@EACH
def test_every_file_of_the_project_that_a_page_names_is_there(path: Path) -> None:
    shown = {name for line in code(path) for name in FILE.findall(line)}
    named = {name for name in shown if not PLACEHOLDER.search(name)}
    assert {name for name in named if not (ROOT / name).exists()} == set()
