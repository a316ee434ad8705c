"""A bundle is judged again by its files alone, alone or in its run's results folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bundles import PORTS, PRIVATE, WAN, edit, keep_controls, mend, write_bundle
from rejudging import judge_command, judged, results_of

from harness.errors import DefinitionError
from harness.runner.rejudge import bundles, rejudge
from harness.words import Answer, Verdict


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a bundle in a results folder."""
    return write_bundle(tmp_path / "results")


# What was not altered


def test_a_bundle_comes_to_the_verdict_that_its_run_came_to(path: Path) -> None:
    (found,) = bundles(path)
    both = rejudge(found)
    assert both.now == both.before
    assert both.now.verdict is Verdict.AGREES
    assert both.now.observed is not None
    assert both.now.observed.answer is Answer.NO


def test_a_results_folder_is_judged_by_its_bundles(path: Path) -> None:
    done = judge_command(results_of(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 of 1 as the run judged them: 1 agrees\n"


def test_a_bundle_without_capture_is_judged_by_the_kernels_log(path: Path) -> None:
    """A run may keep none; then it has no control of it either."""
    (path / "capture.pcapng").unlink()
    keep_controls(path, lambda control: control["name"] != "the capture is whole")
    mend(path)
    assert judged(path).verdict is Verdict.AGREES


def test_a_verdict_that_was_rewritten_is_said_to_be_another(path: Path) -> None:
    edit(path / "verdict.json", lambda sealed: sealed["result"].update(verdict="differs"))
    done = judge_command(path)
    assert done.returncode == 0
    assert "the run said differs, its bundle says agrees" in done.stdout
    assert "0 of 1 as the run judged them: 1 agrees" in done.stdout


def test_a_scenario_that_was_not_observed_stays_an_error(path: Path) -> None:
    def lose(sealed: Any) -> None:
        sealed["result"].update(observed=None, verdict="error", why="its lab did not start")

    edit(path / "verdict.json", lose)
    result = judged(path)
    assert (result.verdict, result.why) == (Verdict.ERROR, "its lab did not start")


# What was altered carelessly


def files(path: Path) -> list[str]:
    return [str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()]


def test_a_change_of_any_file_makes_the_bundle_invalid(path: Path) -> None:
    for name in set(files(path)) - {"verdict.json", "definition.json"}:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content + b"\n")
        assert_altered(path, name, "is not what the run wrote")
        (path / name).unlink()
        assert_altered(path, name, "No such file")
        (path / name).write_bytes(content)
    assert judged(path).verdict is Verdict.AGREES


def assert_altered(path: Path, name: str, how: str) -> None:
    result = judged(path)
    assert result.verdict is Verdict.INVALID
    assert f"the bundle was altered: {name}" in result.why
    assert how in result.why


# Results folders


def test_a_scenario_without_its_bundle_is_said_to_be_invalid(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    found = {each.path.name: rejudge(each).now for each in bundles(results_of(path))}
    assert "it has no bundle" in found["nat+direct"].why
    assert "results.json does not have this scenario" in found["elsewhere"].why
    assert {each.verdict for each in found.values()} == {Verdict.INVALID}


def test_results_that_say_another_verdict_than_the_bundle_are_not_believed(path: Path) -> None:
    def differ(content: Any) -> None:
        content["scenarios"][0]["verdict"] = "differs"
        content["summary"] = {"differs": 1}

    edit(results_of(path) / "results.json", differ)
    done = judge_command(results_of(path))
    assert done.returncode == 3
    assert "the run said differs, its bundle says invalid" in done.stdout
    words = " ".join(done.stdout.split())
    assert "results.json has another result of it than its bundle's verdict.json" in words


def test_a_bundle_that_the_results_do_not_have_is_not_believed(path: Path) -> None:
    def forget(content: Any) -> None:
        content["scenarios"] = []
        content["summary"] = {}

    edit(results_of(path) / "results.json", forget)
    result = judged(results_of(path))
    assert result.verdict is Verdict.INVALID
    assert "results.json does not have this scenario" in result.why


def test_results_whose_summary_does_not_add_up_are_refused(path: Path) -> None:
    edit(results_of(path) / "results.json", lambda content: content["summary"].update(differs=1))
    with pytest.raises(DefinitionError, match="its summary does not count its scenarios"):
        list(bundles(results_of(path)))


def test_an_interrupted_run_is_judged_by_the_bundles_it_wrote(path: Path) -> None:
    (results_of(path) / "results.json").unlink()
    assert judged(results_of(path)).verdict is Verdict.AGREES


def test_a_results_file_whose_scenario_leads_out_of_the_folder_reads_nothing_there(
    path: Path,
) -> None:
    """The bundle outside is good, and is not taken."""
    outside = results_of(path).parent / "nat+direct"
    path.rename(outside)
    folder = results_of(path)

    def lead_out(content: Any) -> None:
        content["scenarios"][0]["id"] = "../../nat+direct"

    edit(folder / "results.json", lead_out)
    result = judged(folder)
    assert result.verdict is Verdict.INVALID
    assert result.why == "it has no bundle"


# Where it runs


def test_neither_docker_nor_libnftables_is_needed(path: Path) -> None:
    script = """
import ctypes, sys
sys.modules["docker"] = None
class NoLibrary(ctypes.CDLL):
    def __init__(self, name, *args, **kwargs):
        assert name is None or "nft" not in str(name), name
        super().__init__(name, *args, **kwargs)
ctypes.CDLL = NoLibrary
from harness.cli import main
sys.argv = ["ra-harness", "judge", sys.argv[1]]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_private_address_is_dialled_too() -> None:
    """Or the bundle that all of this is tried on would be a poor one."""
    assert set(PORTS) == {PRIVATE, WAN}
