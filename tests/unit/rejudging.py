"""How bundles are judged again: in this process, or by the command where memory is short."""

from __future__ import annotations

import resource
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from harness.judge.model import ScenarioResult
from harness.report.rejudged import print_rejudged
from harness.runner.rejudge import bundles, rejudge

GIB = 1 << 30


def judged(path: Path) -> ScenarioResult:
    """Judge the one bundle of a folder again."""
    (found,) = bundles(path)
    return rejudge(found).now


def judge_command(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the command where memory is short."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GIB, GIB))

    return subprocess.run(
        [sys.executable, "-m", "harness", "judge", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
        preexec_fn=limit,
    )


def results_of(path: Path) -> Path:
    """Return the results folder that a bundle is in."""
    return path.parents[2]


def judge_in_process(path: Path) -> str:
    """Judge a bundle and return what is printed of it."""
    (found,) = bundles(path)
    both = rejudge(found)
    stream = StringIO()
    print_rejudged(Console(file=stream, width=80), [(both.before, both.now)])
    assert all(len(line) <= 80 for line in stream.getvalue().splitlines())
    return stream.getvalue()
