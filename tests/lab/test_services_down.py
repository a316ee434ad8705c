"""What is not a connection attempt never counts as a "No"."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from runs import fake_daemon
from worlds import topology

from harness.assistance.people import Terms
from harness.judge.model import ScenarioResult
from harness.judge.verdict import exit_code
from harness.report.progress import PlainProgress
from harness.runner import programs
from harness.runner import run as runner
from harness.runner.catalogue import of_topology
from harness.runner.results_folder import ResultsFolder
from harness.words import Method, Verdict


def _run(folder: Path, method: Method, novice: str = "nat") -> ScenarioResult:
    scenarios = of_topology(topology(novice=novice), [method], Terms(password="secret"))
    progress = PlainProgress(Console(file=StringIO()))
    results = runner.run(scenarios, ResultsFolder(folder), runner.Choice("namespaces", 1), progress)
    assert exit_code(results.scenarios) == 3
    (result,) = results.scenarios
    return result


@pytest.mark.parametrize(
    ("method", "port"), [(Method.EMAIL, "91.30.30.10:25"), (Method.MESSENGER, "91.30.30.10:1863")]
)
def test_a_service_out_of_reach_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Method, port: str
) -> None:
    monkeypatch.setitem(programs.SERVICES_OF, method, ("reflector",))
    result = _run(tmp_path / "out", method)
    assert result.verdict is Verdict.ERROR
    assert result.observed is None
    assert port in result.why


def test_a_scenario_that_hangs_is_killed_and_says_what_was_heard_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SCENARIO_DEADLINE", 1.0)
    monkeypatch.setenv("PATH", fake_daemon(tmp_path, "exec sleep 1000")["PATH"])
    result = _run(tmp_path / "out", Method.FILE, novice="xp-ics")
    assert result.verdict is Verdict.ERROR
    assert result.why.startswith("it was killed at its deadline")
