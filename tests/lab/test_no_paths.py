"""No file of a bundle tells where the harness is, whose it is, or what the machine is called."""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import testinfra
from rich.console import Console
from worlds import topology

import harness
from harness.assistance.people import Terms
from harness.errors import ScenarioError
from harness.judge.model import ScenarioResult
from harness.lab.lab import Lab
from harness.plugin.heard import Heard
from harness.report.progress import PlainProgress
from harness.runner import run as runner
from harness.runner.catalogue import of_topology
from harness.runner.paths import without_paths
from harness.runner.results_folder import ResultsFolder
from harness.words import Method, Verdict

PACKAGE = Path(harness.__file__).parent
MISSING = PACKAGE / "nothing.txt"


def _run(folder: Path, novice: str = "upnp-nat") -> tuple[ScenarioResult, Path]:
    """Run by file in this process, whose sabotage the lab inherits; return result and bundle."""
    scenarios = of_topology(topology(novice), [Method.FILE], Terms(password="secret"))
    progress = PlainProgress(Console(file=StringIO()))
    choice = runner.Choice("namespaces", 1)
    (result,) = runner.run(scenarios, ResultsFolder(folder), choice, progress).scenarios
    return result, folder / str(result.bundle)


def _told(folder: Path) -> dict[str, list[str]]:
    """Return what each file tells of this machine, this user and these folders."""
    secrets = {
        *(str(path) for path in (PACKAGE.parent, Path.home(), Path.cwd(), Path(sys.prefix))),
        *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib")),
        tempfile.gettempdir(),
        os.uname().nodename,
    }
    # The word root is said of how the harness ran, not of who ran it.
    secrets |= {getpass.getuser()} - {"root"}
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        # Among random bytes and in base64 a short name is met by chance; "</root>" is XML.
        least = 6 if path.suffix in {".pcapng", ".MsRcIncident"} else 1
        sought = [re.escape(each.encode()) for each in secrets if len(each) >= least]
        word = re.compile(rb"(?<![\w/+<-])(?:" + b"|".join(sought) + rb")\b")
        if told := word.findall(path.read_bytes()):
            found[path.name] = [each.decode() for each in told]
    return found


def test_a_bundle_tells_no_path_and_no_name(tmp_path: Path) -> None:
    result, bundle = _run(tmp_path / "out")
    assert result.verdict is Verdict.AGREES
    assert _told(bundle) == {}


def _by_python(_: Lab) -> None:
    """Fail in Python's own code, with an error that names a file of the package."""
    MISSING.read_bytes()


def _by_another_package(_: Lab) -> None:
    testinfra.get_host("nowhere://here").run("true")


def _with_several_errors(_: Lab) -> None:
    """Fail as tasks do that run side by side."""
    try:
        MISSING.read_bytes()
    except OSError as error:
        raise ExceptionGroup("tasks", [error, ValueError(f"no {Path.home()}/x")]) from error


def _by_what_a_program_said(_: Lab) -> None:
    raise ScenarioError(f"novice's program ended: cannot read {MISSING}")


@pytest.mark.parametrize(
    ("fails", "files"),
    [
        (_by_python, {"harness/runner/scenario.py", "<python>/pathlib.py"}),
        (_by_another_package, {"harness/runner/scenario.py", "<site-packages>/testinfra/host.py"}),
        (_with_several_errors, {"harness/runner/scenario.py", "<python>/pathlib.py"}),
    ],
)
def test_a_failed_scenario_s_traceback_tells_files_by_their_place_in_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[[Lab], None], files: set[str]
) -> None:
    monkeypatch.setattr(Lab, "check", fails)
    result, bundle = _run(tmp_path / "out")
    assert result.verdict is Verdict.ERROR
    named = set(re.findall(r'File "([^"]+)", line \d+', (bundle / "traceback.txt").read_text()))
    assert files <= named
    assert not [name for name in named if Path(name).is_absolute()]
    assert _told(tmp_path / "out") == {}


def test_what_went_wrong_is_still_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "check", _by_python)
    result, bundle = _run(tmp_path / "out", "nat")
    last = "FileNotFoundError: [Errno 2] No such file or directory: 'harness/nothing.txt'"
    assert last in result.why
    assert (bundle / "traceback.txt").read_text().splitlines()[-1] == last
    assert last in json.loads((bundle / "verdict.json").read_bytes())["result"]["why"]


def test_the_words_of_a_program_that_ended_tell_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lab, "check", _by_what_a_program_said)
    result, bundle = _run(tmp_path / "out", "nat")
    assert result.why.startswith("novice's program ended: cannot read harness/nothing.txt")
    assert _told(bundle) == {}


def test_the_bundle_of_a_lab_that_a_test_plays_in_tells_no_path_either(tmp_path: Path) -> None:
    (scenario,) = of_topology(topology("nat"), [Method.FILE], Terms(password="secret"))
    heard = Heard(scenario)
    try:
        MISSING.read_bytes()
    except OSError:
        heard.take({"failed": traceback.format_exc()}, b"")
    result = heard.write(ResultsFolder(tmp_path / "out"))
    assert result.why.endswith("No such file or directory: 'harness/nothing.txt'")
    assert (tmp_path / "out" / str(result.bundle) / "traceback.txt").is_file()
    assert _told(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"{PACKAGE}/errors.py: no", "harness/errors.py: no"),
        (f"{PACKAGE.parent}/topologies/internet.toml", "<clone>/topologies/internet.toml"),
        (f"no {Path.home()}.", "no ~."),
        (f"no {Path.home()}s/x", f"no {Path.home()}s/x"),
        ('File "/srv/lab/tests/play.py", line 3', 'File "<elsewhere>/play.py", line 3'),
        ('File "<frozen importlib._bootstrap>"', 'File "<frozen importlib._bootstrap>"'),
        ("'/proc/sys/net/ipv4/ip_forward'", "'/proc/sys/net/ipv4/ip_forward'"),
        ("'/run/0/novice/invitation'", "'/run/0/novice/invitation'"),
        ("path.split('/')[0]", "path.split('/')[0]"),
        ("GET http://192.168.2.1:5000/rootDesc.xml", "GET http://192.168.2.1:5000/rootDesc.xml"),
    ],
)
def test_of_a_text_only_the_paths_of_the_machine_are_shortened(said: str, told: str) -> None:
    assert without_paths(said) == told
