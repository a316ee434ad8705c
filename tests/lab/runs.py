"""Runs of the real command, and what they wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.judge.model import Results, ScenarioResult
from harness.report.results_file import read_results
from harness.topology.load import default_folder
from harness.words import Answer, Verdict

COMMAND = (sys.executable, "-m", "harness")
DEADLINE = 100

ARTICLE_IDS = frozenset(
    f"{method}/{novice}+{expert}"
    for method in ("messenger", "email", "file")
    for device in ("xp-ics", "me-ics", "nat", "upnp-nat")
    for novice, expert in ((device, "direct"), ("direct", device), (device, device))
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def results(self) -> Results:
        """The results that it wrote."""
        return read_results(self.folder / "results.json")

    def verdicts(self, verdict: Verdict) -> set[str]:
        """The ids of the scenarios with this verdict."""
        return {each.id for each in self.results.scenarios if each.verdict is verdict}

    def cells(self, verdict: Verdict) -> set[str]:
        """The ids of the scenarios of the article's two tables with this verdict."""
        return self.verdicts(verdict) & ARTICLE_IDS

    def answers(self) -> dict[str, Answer | None]:
        """What was observed in each scenario; None where nothing was."""
        return {
            each.id: each.observed.answer if each.observed else None
            for each in self.results.scenarios
        }

    def scenario(self, scenario_id: str) -> ScenarioResult:
        """One scenario's result."""
        (found,) = (each for each in self.results.scenarios if each.id == scenario_id)
        return found


def run(
    folder: Path,
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Ended:
    """Run ``ra-harness run`` with its results in ``folder``."""
    command = [*prefix, *COMMAND, "run", "--out", folder, *arguments]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr, folder)


def own_topologies(folder: Path) -> Path:
    """Copy the project's topologies to change them; return the copy."""
    return Path(shutil.copytree(default_folder(), folder / "topologies"))


def replace_in(path: Path, old: str, new: str) -> None:
    """Replace a text that is there exactly once in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def fake_daemon(folder: Path, script: str) -> dict[str, str]:
    """Put a program in the daemon's place; return the environment that finds it first."""
    program = folder / "bin" / "miniupnpd"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}
