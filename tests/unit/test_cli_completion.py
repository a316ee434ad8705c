"""A real bash completes commands, chains of devices, nodes and bundles."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from not_run import not_run

from harness.runner.labs import LabEntry, NodeEntry, registered
from harness.runtime.docker.ownership import Owner

SCRIPTS = sysconfig.get_path("scripts")
DEADLINE = 30.0

# What readline does: the words, where the cursor is, the function, and what it has found.
COMPLETE = """
source completion.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_ra_harness_completion ra-harness
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's working folder with the script that the command prints for bash."""
    monkeypatch.setenv("PATH", f"{SCRIPTS}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path)
    Path("completion.bash").write_text(script("bash"), encoding="utf-8")
    return tmp_path


def script(shell: str) -> str:
    return subprocess.run(
        ["ra-harness", "completion", shell],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=True,
    ).stdout


def complete(*words: str) -> list[str]:
    """Return what bash offers where the cursor is behind the last of these words."""
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", "ra-harness", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("sh",), ["shell", "show"]),
        (("up", "upn"), ["upnp-nat"]),
        (("up", "nat", "xp"), ["xp-ics"]),
        (("up", "di"), ["direct"]),
        (("run", "--novice", "nat,up"), ["nat,upnp-nat"]),
        (("run", "--expert", "icf,nat,cg"), ["icf,nat,cgnat"]),
        (("run", "--novice", "nat,di"), []),
        (("matrix", "--devices", "nat,di"), ["nat,direct"]),
        (("run", "--method", "m"), ["messenger"]),
        (("list", "t"), ["topologies"]),
        (("up", "--topologies", "nowhere", "n"), []),
    ],
    ids=" ".join,
)
def test_bash_completes_commands_options_and_chains(
    words: tuple[str, ...], offered: list[str]
) -> None:
    assert complete(*words) == offered


def test_a_device_is_not_offered_twice_in_a_chain() -> None:
    offered = complete("up", "icf,nat,")
    assert "icf,nat,cgnat" in offered
    assert "icf,nat,nat" not in offered
    assert "icf,nat,icf" not in offered


@pytest.fixture
def lab() -> Iterator[LabEntry]:
    """Return a lab that this process says it holds."""
    nodes = tuple(
        NodeEntry(name=name, what="a node", addresses=(), disk="/run", network=0)
        for name in ("novice", "novice.nat", "expert")
    )
    entry = LabEntry(
        id="3f9a",
        topology="nat+direct",
        since=datetime.now(UTC),
        owner=Owner.current().text(),
        user=None,
        world=0,
        mounts=0,
        nodes=nodes,
    )
    with registered(entry):
        yield entry


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("shell", "n"), ["novice", "novice.nat"]),
        (("shell", "--lab", ""), ["3f9a"]),
        (("shell", "--lab", "3f9a", "e"), ["expert"]),
        (("shell", "--lab", "0000", "e"), []),
    ],
    ids=" ".join,
)
def test_bash_completes_nodes_and_labs_that_are_up(
    lab: LabEntry, words: tuple[str, ...], offered: list[str]
) -> None:
    assert complete(*words) == offered


@pytest.fixture
def bundles() -> list[str]:
    """Return the paths of the bundles of a results folder."""
    paths = [f"results/scenarios/{each}" for each in ("file/nat+direct", "messenger/nat,cgnat+nat")]
    for path in paths:
        Path(path).mkdir(parents=True)
        (Path(path) / "verdict.json").touch()
    Path("results/results.json").touch()
    Path("sources").mkdir()
    return paths


@pytest.mark.parametrize("begun", ["", "res", "results/", "results/scenarios/", "results/scen"])
def test_bash_completes_bundles_from_wherever_the_word_has_come_to(
    bundles: list[str], begun: str
) -> None:
    assert complete("show", begun) == bundles


def test_bash_completes_one_bundle_of_several(bundles: list[str], tmp_path: Path) -> None:
    assert complete("show", "results/scenarios/file/n") == bundles[:1]
    assert complete("show", f"{tmp_path}/results/scenarios/m") == [f"{tmp_path}/{bundles[1]}"]


def test_judge_is_offered_the_results_folder_too(bundles: list[str]) -> None:
    assert complete("judge", "res") == ["results", *bundles]


def test_tab_completes_in_an_interactive_bash(folder: Path) -> None:
    """Typed on a real terminal; the line is never entered, so nothing is run."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "--noprofile", "--rcfile", "completion.bash", "-i"])
    try:
        os.write(terminal, b"PS1='at your service'; : \n")
        expect(terminal, b"service")
        os.write(terminal, b"ra-harness run --expert icf,upn\t")
        expect(terminal, b"icf,upnp-nat ")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def expect(terminal: int, words: bytes) -> None:
    shown, until = b"", time.monotonic() + DEADLINE
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], until - time.monotonic())
        assert ready, shown.decode(errors="replace")
        shown += os.read(terminal, 4096)


def test_click_s_own_way_gives_the_same_script() -> None:
    own = subprocess.run(
        ["ra-harness"],
        env={**os.environ, "_RA_HARNESS_COMPLETE": "bash_source"},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=True,
    )
    assert own.stdout.strip() == script("bash").strip()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_script_without_complaint(shell: str) -> None:
    """Fish is made to complete: click's own script would cut a chain at its first comma."""
    text = script(shell)
    assert "_RA_HARNESS_COMPLETE" in text
    if shutil.which(shell) is None:
        not_run(f"{shell} is missing: install Debian's package {shell}")
    if shell == "zsh":
        subprocess.run(["zsh", "-n"], input=text, encoding="utf-8", check=True, timeout=DEADLINE)
        return
    asked = f'{text}\ncomplete --do-complete "ra-harness up nat,upn"\n'
    done = subprocess.run(
        ["fish", "--no-config"],
        input=asked,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout.split() == ["nat,upnp-nat"]
