"""The command line: a mistake is one line, exit 2, and leaves everything as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from definitions import copy_of_project

from harness import __version__

OUT = "out"

COVERED = Path("/run")
"""What the sealed world covers."""

Tree = dict[str, bytes | None]


def ra_harness(
    folder: Path, *arguments: str, deadline: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, as its installed script does."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=deadline,
        check=False,
    )


def tree(folder: Path) -> Tree:
    """Return everything in a folder: the content of each file, None for each folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def refusal(folder: Path, *arguments: str) -> str:
    """Run what must be refused; return what was said, without the command's name.

    Whatever is wrong, it is said in one line, and nothing in the folder has changed.
    """
    before = tree(folder)
    done = ra_harness(folder, "run", *arguments)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("ra-harness: ")
    assert tree(folder) == before
    return line.removeprefix("ra-harness: ")


# Arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("--method", "fax"), ("--method", "'fax'", "messenger"), id="method"),
        pytest.param(
            ("--method", "file", "--method", "fax"), ("--method", "'fax'"), id="second method"
        ),
        pytest.param(("--runtime", "fax"), ("--runtime", "'fax'", "namespaces"), id="runtime"),
        pytest.param(("--jobs", "0"), ("--jobs", "0 "), id="no jobs"),
        pytest.param(("--jobs", "many"), ("--jobs", "'many'"), id="jobs in words"),
        pytest.param(("--job-count", "1"), ("--job-count",), id="unknown option"),
        pytest.param(("nat",), ("(nat)",), id="stray argument"),
        pytest.param(("--method",), ("--method",), id="option without its value"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(
    tmp_path: Path, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    line = refusal(tmp_path, "--out", OUT, *arguments)
    assert all(word in line for word in said)


def test_an_unknown_command_is_refused_by_name(tmp_path: Path) -> None:
    done = ra_harness(tmp_path, "walk")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ra-harness: No such command 'walk'.\n"


# Definitions


def test_an_unknown_device_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    line = refusal(tmp_path, "--out", OUT, "--novice", "nta", "--expert", "nat")
    assert "nta+nat: novice.chain: there is no device 'nta'" in line
    assert "upnp-nat" in line


@pytest.mark.parametrize("chain", ["", "nat,", "nat, xp-ics"])
def test_a_chain_that_is_not_names_joined_by_commas_is_refused(tmp_path: Path, chain: str) -> None:
    assert "expert" in refusal(tmp_path, "--out", OUT, "--expert", chain)


def test_devices_of_one_chain_with_one_subnet_are_refused(tmp_path: Path) -> None:
    line = refusal(tmp_path, "--out", OUT, "--expert", "nat,upnp-nat,nat")
    assert "expert.chain" in line
    assert "192.168.1.0/24" in line


@pytest.mark.parametrize("option", ["--novice", "--expert"])
def test_a_topology_file_leaves_nothing_for_a_chain_to_say(tmp_path: Path, option: str) -> None:
    """Not even where the file is good: which of the two was meant is not known."""
    (tmp_path / "one.toml").write_text('[novice]\nchain = ["nat"]\n', encoding="utf-8")
    line = refusal(tmp_path, "--out", OUT, "--topology", "one.toml", option, "direct")
    assert "--topology" in line
    assert option in line


def test_a_missing_topology_file_is_refused(tmp_path: Path) -> None:
    line = refusal(tmp_path, "--out", OUT, "--topology", "no such.toml")
    assert line == "no such.toml: No such file or directory"


def test_a_folder_is_no_topology_file(tmp_path: Path) -> None:
    assert "--topology" in refusal(tmp_path, "--out", OUT, "--topology", ".")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param('[novice]\nchian = ["nat"]\n', "novice.chian: ", id="key"),
        pytest.param('"two\\nlines" = 1\n', "two lines: ", id="key of two lines"),
    ],
)
def test_a_wrong_topology_file_is_refused_with_file_key_and_reason(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "one.toml").write_text(content, encoding="utf-8")
    line = refusal(tmp_path, "--out", OUT, "--topology", "one.toml")
    assert line == f"one.toml: {said}there is no such key"


def test_a_missing_topologies_folder_is_refused(tmp_path: Path) -> None:
    line = refusal(tmp_path, "--out", OUT, "--topologies", "nowhere")
    assert line == "nowhere/internet.toml: No such file or directory"


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    line = refusal(tmp_path, "--out", OUT, "--topologies", ".")
    assert line == "internet.toml: No such file or directory"


def test_a_file_is_no_topologies_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "--topologies" in refusal(tmp_path, "--out", OUT, "--topologies", "file")


def test_a_wrong_file_in_a_topologies_folder_is_refused(tmp_path: Path) -> None:
    """Before anything runs, though scenarios that do not need the file would come first."""
    name = "kb301529/nat+nat.toml"
    with (copy_of_project(tmp_path) / name).open("a", encoding="utf-8") as file:
        file.write("\n[colour]\n")
    line = refusal(tmp_path, "--out", OUT, "--topologies", "topologies")
    assert line == f"topologies/{name}: colour: there is no such key"


def test_a_missing_topology_of_the_article_is_refused(tmp_path: Path) -> None:
    (copy_of_project(tmp_path) / "kb301529" / "direct+xp-ics.toml").unlink()
    line = refusal(tmp_path, "--out", OUT, "--topologies", "topologies")
    assert line == "topologies/kb301529/direct+xp-ics.toml: No such file or directory"


def test_a_topology_of_the_article_that_is_another_one_is_refused(tmp_path: Path) -> None:
    file = copy_of_project(tmp_path) / "kb301529" / "nat+nat.toml"
    file.write_text('[novice]\nchain = ["nat"]\n', encoding="utf-8")
    line = refusal(tmp_path, "--out", OUT, "--topologies", "topologies")
    assert line.startswith("topologies/kb301529/nat+nat.toml: ")
    assert "nat+direct" in line


# The results folder


@pytest.fixture
def good() -> tuple[str, ...]:
    """Return arguments that nothing is wrong with, for one scenario only."""
    return ("--method", "file", "--novice", "nat", "--jobs", "1")


@pytest.mark.parametrize("out", ["file", "file/far/below"])
def test_a_results_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, good: tuple[str, ...], out: str
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    line = refusal(tmp_path, *good, "--out", out)
    assert f"results folder {out} cannot be written" in line
    assert "--out" in line


def test_a_scenarios_folder_that_no_run_made_is_somebody_else_s(
    tmp_path: Path, good: tuple[str, ...]
) -> None:
    theirs = tmp_path / OUT / "scenarios"
    (theirs / "messenger").mkdir(parents=True)
    (theirs / "messenger" / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / OUT / "results.json").write_text("{}", encoding="utf-8")
    (tmp_path / OUT / "junit.xml").write_text("<mine/>", encoding="utf-8")
    line = refusal(tmp_path, *good, "--out", OUT)
    assert f"{OUT}/scenarios is not from an earlier run" in line
    assert "--out" in line


@pytest.mark.parametrize("name", ["results.json", "junit.xml", "summary.md"])
def test_a_result_of_somebody_else_s_is_not_replaced(
    tmp_path: Path, good: tuple[str, ...], name: str
) -> None:
    (tmp_path / OUT).mkdir()
    (tmp_path / OUT / name).write_text("mine", encoding="utf-8")
    line = refusal(tmp_path, *good, "--out", OUT)
    assert f"{OUT}/{name} is not from an earlier run" in line


def test_an_empty_results_folder_name_is_refused(tmp_path: Path, good: tuple[str, ...]) -> None:
    assert "names no folder" in refusal(tmp_path, *good, "--out", "")


def test_no_command_at_all_is_answered_with_the_help_as_it_is_laid_out(tmp_path: Path) -> None:
    done = ra_harness(tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "\nCommands:\n" in done.stderr


def test_a_file_named_scenarios_is_somebody_else_s(tmp_path: Path, good: tuple[str, ...]) -> None:
    (tmp_path / OUT).mkdir()
    (tmp_path / OUT / "scenarios").write_text("mine", encoding="utf-8")
    assert f"{OUT}/scenarios" in refusal(tmp_path, *good, "--out", OUT)


@pytest.fixture
def covered() -> Iterator[Path]:
    """Return a folder that is not there, where the world would cover it."""
    folder = COVERED / f"ra-harness-test-{uuid4()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("by_link", [False, True])
def test_a_results_folder_that_the_sealed_world_covers_is_refused_and_not_made(
    tmp_path: Path, good: tuple[str, ...], covered: Path, by_link: bool
) -> None:
    """Bundles written there would be lost with the world."""
    (tmp_path / "link").symlink_to(COVERED)
    out = Path("link", covered.name, "out") if by_link else covered / "out"
    line = refusal(tmp_path, *good, "--out", str(out))
    assert str(out) in line
    assert "sealed world covers" in line
    assert not covered.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--method", "fax"),
        ("--novice", "nta"),
    ],
    ids=lambda wrong: wrong[0],
)
def test_a_mistake_leaves_an_earlier_run_s_results_as_they_are(
    tmp_path: Path, wrong: tuple[str, str]
) -> None:
    """Only a run that begins replaces them."""
    earlier = tmp_path / OUT / "scenarios"
    earlier.mkdir(parents=True)
    (earlier / ".ra-harness").touch()
    (earlier.parent / "results.json").write_text("{}", encoding="utf-8")
    refusal(tmp_path, "--out", OUT, *wrong)


# What is not a mistake


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ("run", "--help"), ("run", "-h"), ("--version",)]
)
def test_a_question_is_answered_at_once_on_standard_output(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = ra_harness(tmp_path, *arguments, deadline=10.0)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ra-harness" in done.stdout
    assert tree(tmp_path) == {}


def test_help_of_run_lists_its_options(tmp_path: Path) -> None:
    text = ra_harness(tmp_path, "run", "--help").stdout
    for option in (
        "--runtime [namespaces|docker",
        "--method [messenger|email|file]",
        "--novice CHAIN",
        "--expert CHAIN",
        "--topology FILE",
        "--topologies DIRECTORY",
        "--out PATH",
        "--jobs INTEGER RANGE",
    ):
        assert f"  {option}" in text


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    assert ra_harness(tmp_path, "--version").stdout.split()[-1] == __version__


def test_a_mistake_is_said_without_loading_what_a_run_needs(tmp_path: Path) -> None:
    """It is said at once: neither netlink nor the mail server is imported for it."""
    code = (
        "import sys\n"
        "from harness.cli import main\n"
        f"sys.argv = ['ra-harness', 'run', '--method', 'fax', '--out', {OUT!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'pyroute2', 'twisted', 'rich', 'pydantic'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
