"""A machine that lacks something is told so in one line, with the remedy, and nothing is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs import COMMAND, Ended, run
from test_article import ORDINARY

from harness.errors import MachineError
from harness.gear import lan_side
from harness.lab import machine, miniupnpd
from harness.runtime.world import sealed
from harness.words import Verdict

# A namespace of its own, where the caller may mount as it likes and nobody else sees it.
MOUNTING = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-euc")

# Becomes uid 1000 in a user namespace in which no further one may be made, then runs the command.
NO_USER_NAMESPACES = """
import os, sys
from pathlib import Path
from harness.runtime.syscalls import CLONE_NEWUSER, unshare
uid, gid = os.getuid(), os.getgid()
unshare(CLONE_NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
Path("/proc/sys/user/max_user_namespaces").write_text("0")
os.execv(sys.argv[1], sys.argv[1:])
"""


def _library() -> str:
    cache = subprocess.run(
        [shutil.which("ldconfig", path="/sbin:/usr/sbin") or "ldconfig", "-p"],
        capture_output=True,
        text=True,
        check=True,
    )
    (line, *_) = (each for each in cache.stdout.splitlines() if "libnftables.so.1" in each)
    return line.split("=>")[1].strip()


def _refused(ended: Ended, status: int = 2) -> str:
    """Check that a run was refused in one line, and return the line."""
    assert ended.status == status, ended.err
    (line,) = ended.err.splitlines()
    assert line.startswith("ra-harness: ")
    assert ended.out == ""
    return line


def test_neither_root_nor_user_namespaces(tmp_path: Path) -> None:
    prefix = (sys.executable, "-c", NO_USER_NAMESPACES)
    line = _refused(run(tmp_path / "out", prefix=prefix))
    assert "neither root nor user namespaces: run as root, or" in line


@pytest.mark.parametrize(
    ("hidden", "package"),
    [("libnftables", "nftables"), ("miniupnpd", "miniupnpd-nftables")],
)
def test_a_missing_program_is_named_with_the_package_that_has_it(
    tmp_path: Path, hidden: str, package: str
) -> None:
    found = _library() if hidden == "libnftables" else miniupnpd.find()
    script = f'mount --bind /dev/null {Path(found).resolve()}; exec "$@"'
    line = _refused(run(tmp_path / "out", prefix=(*MOUNTING, script, "sh")))
    assert f"{hidden}" in line
    assert f"is missing: install Debian's package {package} (make setup does)" in line


def test_the_mapping_daemon_is_not_needed_where_no_device_maps(tmp_path: Path) -> None:
    hide = f'mount --bind /dev/null {miniupnpd.find()}; exec "$@"'
    arguments = ("--novice", "nat", "--method", "file")
    ended = run(tmp_path / "out", *arguments, prefix=(*MOUNTING, hide, "sh"))
    assert ended.status == 0, ended.err


def test_a_kernel_without_nftables_nat() -> None:
    """Stood for by a chain of a kind that no kernel has at that hook: the kernel's refusal is the
    same."""
    lacking = machine.PROBE.replace("hook prerouting priority dstnat", "hook forward priority 0")
    with (
        pytest.raises(MachineError, match="this kernel cannot do nftables NAT"),
        sealed(lambda: machine.probe(lacking), lambda sock: None),
    ):
        pass


def test_a_results_folder_on_a_full_disk(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=64k none {tmp_path}; exec "$@"'
    line = _refused(run(tmp_path / "out", prefix=(*MOUNTING, script, "sh")))
    assert "No space left on device" in line
    assert "choose another with --out (make: OUT=)" in line


def test_a_results_folder_that_fills_up_in_mid_run(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o nr_inodes=60 none {tmp_path}; exec "$@"'
    ended = run(tmp_path / "out", prefix=(*MOUNTING, script, "sh"))
    assert ended.status == 3
    last = ended.err.splitlines()[-1]
    assert last.startswith("ra-harness: ")
    assert "could not be written: No space left on device" in last
    assert "Traceback" not in ended.err


def test_a_results_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    # Without capabilities even root's files obey their mode.
    line = _refused(run(tmp_path / "out", prefix=ORDINARY))
    assert "Permission denied" in line
    tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    ("end", "reason"), [("> /dev/full", "No space"), ("| true", "Broken pipe")]
)
def test_standard_output_that_cannot_be_written(tmp_path: Path, end: str, reason: str) -> None:
    """The run is over by then and its results are kept; the exit code claims nothing."""
    script = f'set -o pipefail; "$@" {end}'
    chain = ("--novice", "nat", "--method", "file")
    ended = run(tmp_path / "out", *chain, prefix=("bash", "-c", script, "sh"))
    assert ended.status == 3
    last = ended.err.splitlines()[-1]
    assert last.startswith("ra-harness: the run is over")
    assert reason in last
    assert ended.verdicts(Verdict.AGREES) == {"file/nat+direct"}


def test_doctor_says_that_this_machine_can_run_the_namespaces_runtime() -> None:
    ended = subprocess.run([*COMMAND, "doctor"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "namespaces: ready" in ended.stdout
    assert ("gear: ready" in ended.stdout) is (os.geteuid() == 0)


def test_doctor_names_what_stops_each_runtime_and_the_remedy() -> None:
    """Root of a user namespace may make a sealed world, and has no power over containers."""
    hidden = (miniupnpd.find(), lan_side.find())
    hide = "".join(f"mount --bind /dev/null {each}; " for each in hidden) + 'exec "$@"'
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    ended = subprocess.run(
        [*MOUNTING, hide, "sh", *COMMAND, "doctor"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 2
    namespaces, docker, boxed, gear = ended.stdout.splitlines()
    assert "install Debian's package miniupnpd-nftables" in namespaces
    missing = "no Docker engine answers at unix:///nowhere/docker.sock (No such file or directory)"
    assert docker.startswith(f"docker: {missing}: start it, or unset DOCKER_HOST")
    assert boxed.startswith(f"boxed: {missing}")
    assert gear.startswith("gear: udhcpc is missing: install Debian's package udhcpc")


def test_doctor_tells_an_ordinary_user_that_real_routers_need_root() -> None:
    command = [*ORDINARY, *COMMAND, "doctor"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "\ngear: only root may take a NIC: run the command with sudo\n" in ended.stdout
