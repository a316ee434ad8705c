"""Every command explains itself: with examples, and on a terminal of 80 columns."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.cli.main import cli

COMMANDS = sorted(cli.commands)
WIDTH = 80


def help_of(*command: str, columns: int = WIDTH) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command, "--help"],
        env={**os.environ, "COLUMNS": str(columns)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("columns", [WIDTH, 200])
def test_the_help_of_all_fits_80_columns(columns: int) -> None:
    assert max(map(len, help_of(columns=columns).splitlines())) <= WIDTH


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_80_columns_and_has_examples(command: str) -> None:
    lines = help_of(command).splitlines()
    assert max(map(len, lines)) <= WIDTH
    examples = lines[lines.index("  Examples:") + 1 :]
    assert f"ra-harness {command}" in examples[0]


def test_every_command_of_the_design_is_there() -> None:
    wanted = "run matrix gear judge report diff doctor clean up shell list"
    assert set(wanted.split()) <= set(COMMANDS)
