"""Setting up a clone, with programs on PATH that only write down how they were called."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import bootstrap
from harness.bootstrap import Administrator, Clone, Need, SetupError

ROOT_USER = Administrator(root=True, terminal=False)
USER_AT_TERMINAL = Administrator(root=False, terminal=True)
USER_IN_CI = Administrator(root=False, terminal=False)

QUIET = "DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l"
INSTALL = (
    "apt-get install -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 nftables"
)
TO_RUN_PACKAGES = [need.packages[0] for need in bootstrap.TO_RUN]
FREERDP = next(need for need in bootstrap.TO_TEST if "FreeRDP" in need.what)
NFTABLES = Need("libnftables.so.1", ("nftables",))
PYTHON = ".".join(map(str, sys.version_info[:2]))

# What the fake programs do after they have written down their call.
SUDO_ALLOWS = 'while case "$1" in -n) ;; *=*) export "$1" ;; *) false ;; esac; do shift; done; "$@"'
SUDO_REFUSES = 'echo "sudo: a password is required" >&2; exit 1'
APT_FAILS = 'echo "E: Unable to fetch some archives" >&2; exit 100'


class Programs:
    """The only programs on PATH: fakes that write down each call, then do as they are told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls.log"
        self.log.touch()
        for real in ("env", "sh"):
            path = shutil.which(real)
            assert path
            (folder / real).symlink_to(path)

    def fake(self, name: str, script: str = "") -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{script}\n')
        program.chmod(0o755)

    def dpkg_has(self, *packages: str) -> None:
        rows = (f"echo {package} install ok installed" for package in packages)
        self.fake("dpkg-query", "\n".join([*rows, "exit 1"]))

    def apt_offers(self, *packages: str) -> None:
        rows = (f"printf '{package}:\\n  Candidate: 1.0\\n'" for package in packages)
        self.fake("apt-cache", "\n".join(rows))

    def calls(self, *names: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.split()[0] in names]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "programs"
    folder.mkdir()
    fakes = Programs(folder)
    monkeypatch.setenv("PATH", str(folder))
    return fakes


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with no more in it than the set-up reads."""
    root = tmp_path / "clone"
    (root / "harness").mkdir(parents=True)
    (root / ".ci").mkdir()
    shutil.copy(bootstrap.__file__, root / "harness")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / ".ci" / "constraints.txt").write_text("click==8\n")
    return Clone(root, PYTHON)


def fake_venv(clone: Clone, python: str = "", pip: str = "") -> None:
    """Give the clone an environment whose python and pip are scripts."""
    programs = clone.venv / "bin"
    programs.mkdir(parents=True)
    for name, script in (("python", python), ("pip", pip)):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)


def pip_of(clone: Clone, python: str = PYTHON) -> str:
    """What the pip script of an environment made in this clone answers to --version."""
    return (
        f"echo 'pip 23.0 from {clone.venv}/lib/python{python}/site-packages/pip (python {python})'"
    )


def set_up(clone: Clone, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Set the clone up as `make` does, with the programs that PATH has."""
    return subprocess.run(
        [sys.executable, "-IS", str(clone.root / "harness" / "bootstrap.py"), *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )


def one_line(error: SetupError) -> str:
    assert "\n" not in str(error)
    return str(error)


# --- Python ---------------------------------------------------------------------------------------


def test_an_old_python_can_read_the_file_that_refuses_it() -> None:
    source = Path(bootstrap.__file__).read_text()
    ast.parse(source, feature_version=(3, 8))


def test_an_old_python_is_told_what_is_needed_and_how_to_name_another() -> None:
    with pytest.raises(SetupError) as refused:
        bootstrap.require_python((3, 8, 10), "/usr/bin/python3")
    assert "/usr/bin/python3 is 3.8.10" in one_line(refused.value)
    assert "make PYTHON=python3.11" in str(refused.value)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (4, 0, 0)])
def test_a_python_of_today_is_accepted(version: tuple[int, ...]) -> None:
    bootstrap.require_python(version, "python3")


# --- Which packages are missing -------------------------------------------------------------------


def test_the_real_dpkg_tells_an_installed_package_from_one_that_does_not_exist() -> None:
    nonesuch = Need("nothing", ("no-such-package-anywhere",))
    dpkg = Need("dpkg", ("no-such-package-anywhere", "dpkg"))
    assert bootstrap.unmet([dpkg, nonesuch]) == [nonesuch]


@pytest.mark.parametrize(
    "status",
    [
        "deinstall ok config-files",
        "install ok half-configured",
        "install reinstreq installed",
        "unknown ok not-installed",
    ],
)
def test_a_package_that_is_not_wholly_installed_is_missing(programs: Programs, status: str) -> None:
    programs.fake("dpkg-query", f"echo nftables {status}")
    assert bootstrap.installed(["nftables"]) == set()


def test_a_package_that_its_owner_holds_back_is_installed(programs: Programs) -> None:
    programs.fake("dpkg-query", "echo nftables hold ok installed")
    assert bootstrap.installed(["nftables"]) == {"nftables"}


def test_any_alternative_that_is_installed_meets_the_need(programs: Programs) -> None:
    programs.dpkg_has("libfreerdp3-3")
    programs.fake("apt-get")
    assert bootstrap.unmet([FREERDP]) == []


def test_the_first_alternative_that_apt_has_is_taken(programs: Programs) -> None:
    programs.apt_offers("libfreerdp3-3", "libfreerdp2-2t64")
    programs.fake("apt-get")
    bootstrap.provide([FREERDP], ROOT_USER)
    assert [call.split()[-1] for call in programs.calls("apt-get")] == ["libfreerdp2-2t64"]


def test_a_package_without_a_candidate_is_not_on_offer(programs: Programs) -> None:
    programs.fake("apt-cache", r"printf 'a:\n  Candidate: (none)\nb:\n  Candidate: 2\n'")
    assert bootstrap.candidates(["a", "b"]) == {"b"}


@pytest.mark.parametrize("need", bootstrap.TO_RUN + bootstrap.TO_TEST)
def test_the_package_that_starts_a_daemon_is_never_asked_for(need: Need) -> None:
    assert "miniupnpd" not in need.packages


# --- How packages are installed -------------------------------------------------------------------


def test_root_installs_without_sudo_and_without_refreshing_lists(programs: Programs) -> None:
    programs.apt_offers("nftables")
    programs.fake("apt-get", f'echo "$DEBIAN_FRONTEND" >> "{programs.log}"')
    programs.fake("sudo", SUDO_ALLOWS)
    bootstrap.provide([NFTABLES], ROOT_USER)
    assert programs.calls("apt-get", "sudo", "noninteractive") == [INSTALL, "noninteractive"]


@pytest.mark.parametrize(
    ("user", "sudo"), [(USER_AT_TERMINAL, "sudo"), (USER_IN_CI, "sudo -n")], ids=["terminal", "ci"]
)
def test_a_user_installs_by_sudo_which_may_ask_only_on_a_terminal(
    programs: Programs, user: Administrator, sudo: str
) -> None:
    programs.apt_offers("nftables")
    programs.fake("apt-get")
    programs.fake("sudo", SUDO_ALLOWS)
    bootstrap.provide([NFTABLES], user)
    assert programs.calls("apt-get", "sudo") == [f"{sudo} {QUIET} {INSTALL}", INSTALL]


def test_a_user_whom_sudo_refuses_gets_the_command_for_an_administrator(programs: Programs) -> None:
    programs.apt_offers("nftables")
    programs.fake("apt-get")
    programs.fake("sudo", SUDO_REFUSES)
    with pytest.raises(SetupError) as refused:
        bootstrap.provide([NFTABLES], USER_IN_CI)
    assert "sudo: a password is required" in one_line(refused.value)
    assert str(refused.value).endswith("apt-get install --no-install-recommends nftables")
    assert programs.calls("apt-get", "sudo") == [f"sudo -n {QUIET} {INSTALL}"]


def test_a_user_without_sudo_gets_the_command_for_an_administrator(programs: Programs) -> None:
    programs.apt_offers("nftables")
    programs.fake("apt-get")
    with pytest.raises(SetupError) as refused:
        bootstrap.provide([NFTABLES], USER_AT_TERMINAL)
    assert "libnftables.so.1" in one_line(refused.value)
    assert str(refused.value).endswith("apt-get install --no-install-recommends nftables")
    assert programs.calls("apt-get") == []


def test_lists_are_refreshed_when_apt_has_no_candidate(programs: Programs) -> None:
    known = programs.folder / "lists"
    programs.fake("apt-cache", f"[ -e {known} ] && printf 'nftables:\\n  Candidate: 1\\n'")
    programs.fake("apt-get", f'[ "$1" != update ] || : > {known}')
    bootstrap.provide([NFTABLES], ROOT_USER)
    assert programs.calls("apt-get") == ["apt-get update", INSTALL]


def test_lists_are_refreshed_once_when_installing_fails(programs: Programs) -> None:
    programs.apt_offers("nftables")
    programs.fake("apt-get", APT_FAILS)
    with pytest.raises(SetupError) as failed:
        bootstrap.provide([NFTABLES], ROOT_USER)
    assert "nftables: E: Unable to fetch some archives" in one_line(failed.value)
    assert programs.calls("apt-get") == [INSTALL, "apt-get update", INSTALL]


def test_a_package_that_apt_never_has_is_named_with_its_alternatives(programs: Programs) -> None:
    programs.apt_offers()
    programs.fake("apt-get")
    with pytest.raises(SetupError) as failed:
        bootstrap.provide(bootstrap.TO_TEST, ROOT_USER)
    assert "libfreerdp2-2, libfreerdp2-2t64, libfreerdp3-3" in one_line(failed.value)
    assert programs.calls("apt-get") == ["apt-get update"]


# --- When the environment is made or brought up to date -------------------------------------------


def stamp(clone: Clone, extras: str = "") -> None:
    clone.stamp.write_text(clone.fingerprint(extras))


def test_a_stamped_environment_is_ready(clone: Clone) -> None:
    fake_venv(clone)
    assert not clone.is_ready("")
    stamp(clone)
    assert clone.is_ready("")


def test_an_environment_for_tests_serves_runs_too_but_not_the_reverse(clone: Clone) -> None:
    fake_venv(clone)
    stamp(clone, bootstrap.TEST_EXTRAS)
    assert clone.is_ready("")
    stamp(clone)
    assert not clone.is_ready(bootstrap.TEST_EXTRAS)


@pytest.mark.parametrize("name", ["pyproject.toml", ".ci/constraints.txt"])
def test_changed_requirements_need_an_update(clone: Clone, name: str) -> None:
    fake_venv(clone)
    stamp(clone)
    with (clone.root / name).open("a") as file:
        file.write("# changed\n")
    assert not clone.is_ready("")


def test_another_python_needs_another_environment(clone: Clone) -> None:
    fake_venv(clone, pip=pip_of(clone))
    stamp(clone)
    later = clone._replace(python="3.99")
    assert not later.is_ready("")
    assert clone.has_working_venv()
    assert not later.has_working_venv()


def test_a_moved_clone_needs_another_environment(clone: Clone) -> None:
    fake_venv(clone, pip=pip_of(clone))
    stamp(clone)
    moved = Clone(clone.root.rename(clone.root.with_name("moved")), PYTHON)
    assert not moved.is_ready("")
    assert not moved.has_working_venv()


def test_an_environment_whose_python_is_gone_is_not_ready(clone: Clone) -> None:
    fake_venv(clone)
    stamp(clone)
    python = clone.venv / "bin" / "python"
    python.unlink()
    python.symlink_to(clone.root / "python-of-a-former-system")
    assert not clone.is_ready("")


def test_an_environment_that_does_not_run_is_made_anew(clone: Clone) -> None:
    fake_venv(clone, pip="exit 1")
    assert not clone.has_working_venv()


def test_an_update_installs_the_pinned_versions_and_stamps(
    clone: Clone, programs: Programs
) -> None:
    asked = f'echo "pip $* in $PWD, PIP_USER=$PIP_USER" >> "{programs.log}"'
    fake_venv(clone, python=asked, pip=pip_of(clone))
    bootstrap.set_up_venv(clone, bootstrap.TEST_EXTRAS)
    assert programs.calls("pip") == [
        "pip -I -m pip install --no-input --disable-pip-version-check"
        f" -c .ci/constraints.txt -e .[dev] in {clone.root}, PIP_USER=0"
    ]
    assert clone.is_ready(bootstrap.TEST_EXTRAS)


def test_a_failed_update_says_why_keeps_the_log_and_leaves_no_stamp(clone: Clone) -> None:
    said = "echo Looking; echo 'ERROR: No matching distribution found for click'; exit 1"
    fake_venv(clone, python=said, pip=pip_of(clone))
    stamp(clone)
    with pytest.raises(SetupError) as failed:
        bootstrap.set_up_venv(clone, bootstrap.TEST_EXTRAS)
    assert "ERROR: No matching distribution found for click" in one_line(failed.value)
    assert "Looking" in (clone.venv / "setup.log").read_text()
    assert not clone.is_ready("")


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("E: first\nE: then\n", "E: first"),
        ("error: subprocess-exited\n    ERROR: the cause\nnote: more\n", "ERROR: the cause"),
        ("error: subprocess-exited\nnote: more\n", "error: subprocess-exited"),
        ("sudo: a lecture\nsudo: a password is required\n\n", "sudo: a password is required"),
        ("", "it said nothing"),
    ],
)
def test_the_telling_line_of_a_log_is_found(output: str, told: str) -> None:
    assert bootstrap.complaint(output) == told


# --- The whole, as make calls it ------------------------------------------------------------------


def test_nothing_is_said_or_done_when_all_is_there(clone: Clone, programs: Programs) -> None:
    programs.dpkg_has(*TO_RUN_PACKAGES)
    programs.fake("apt-get")
    fake_venv(clone)
    stamp(clone)
    done = set_up(clone)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert programs.calls("apt-get", "sudo", "apt-cache") == []


def test_without_dpkg_the_needed_programs_are_named(clone: Clone, programs: Programs) -> None:
    done = set_up(clone)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "libnftables.so.1" in done.stderr
    assert "miniupnpd" in done.stderr


def test_a_clone_that_cannot_be_written_is_named_on_one_line(
    clone: Clone, programs: Programs
) -> None:
    programs.dpkg_has(*TO_RUN_PACKAGES)
    programs.fake("apt-get")
    programs.apt_offers()
    clone.venv.write_text("a file where the folder must be")
    done = set_up(clone)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(clone.venv) in done.stderr


def test_an_unknown_argument_is_refused(clone: Clone, programs: Programs) -> None:
    done = set_up(clone, "--test")
    assert done.returncode == 2
    assert done.stderr == "setup: --test: the only argument is --tests or --gear\n"
