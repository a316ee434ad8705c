"""Makes a fresh clone ready: Debian packages, `.venv`, and the project inside it.

The system's own python3 runs this file before anything is installed, so it uses only the standard
library, and only syntax that an older Python can read: that Python has to say that it is too old.
`make` calls it before everything else. When nothing is missing it says nothing and is quick.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

OLDEST_PYTHON = (3, 11)
TEST_EXTRAS = "[dev]"
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
LINES_OF_LOG = 15


class SetupError(Exception):
    """What is missing or wrong, and what to do, on one line; `log` is what a program said of it."""

    def __init__(self, message: str, log: str = "") -> None:
        """Keep both: the line for the person, the log for whoever needs to know more."""
        super().__init__(message)
        self.log = log


class Need(NamedTuple):
    """Something the project uses, and the packages that bring it: the first that apt has is taken.

    None of them starts a service, nor does anything they depend on. Checked on Debian 12: of all
    packages in `apt-get -s -o Dir::State::status=/dev/null install --no-install-recommends ...`,
    only nftables and dpkg contain a unit or an init script (`dpkg -L`), and the maintainer script
    of nftables leaves its unit disabled. The packages `miniupnpd` and `tinyproxy` do start daemons:
    none of these depends on them, and packages that are only recommended are never installed.
    """

    what: str
    packages: tuple[str, ...]


TO_RUN = (
    Need("libnftables.so.1", ("nftables",)),
    Need("the miniupnpd program", ("miniupnpd-nftables",)),
    Need("the tinyproxy program", ("tinyproxy-bin",)),
    Need("the microsocks program", ("microsocks",)),
    Need("the ss program", ("iproute2",)),
)
TO_USE_GEAR = (
    Need("the udhcpc program", ("udhcpc",)),
    Need("the dnsmasq program", ("dnsmasq-base",)),
)
TO_TEST = (
    *TO_USE_GEAR,
    Need("the FreeRDP library", ("libfreerdp2-2", "libfreerdp2-2t64", "libfreerdp3-3")),
    Need("the tshark program", ("tshark",)),
    Need("the tcpdump program", ("tcpdump",)),
)


class Outcome(NamedTuple):
    """How a program ended and everything it wrote."""

    status: int
    output: str


class Administrator(NamedTuple):
    """How this user becomes root: is already, or asks sudo, which may ask back on a terminal."""

    root: bool
    terminal: bool

    def command(self, *words: str) -> list[str]:
        """Return the command that runs the words as root and lets nothing ask or restart."""
        quiet = ("DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l")
        if self.root:
            return ["env", *quiet, *words]
        ask = ["sudo"] if self.terminal else ["sudo", "-n"]
        return [*ask, *quiet, *words]


def say(message: str) -> None:
    """Tell the person what is being done."""
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


def complain(error: SetupError) -> None:
    """Tell the person what stopped the set-up, and the end of the log where there is one."""
    sys.stderr.write(f"setup: {error}\n")
    for line in error.log.splitlines()[-LINES_OF_LOG:]:
        sys.stderr.write(f"    {line}\n")


def run(command: Sequence[str], cwd: Path | None = None, **settings: str) -> Outcome:
    """Run a program without input to its end, keeping what it writes."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **settings}
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                process.wait()
            except KeyboardInterrupt:
                process.wait()  # the same Ctrl-C reached it, and apt-get must not be cut off
                raise
        log.seek(0)
        return Outcome(process.returncode, log.read().decode(errors="replace"))


def complaint(output: str) -> str:
    """Return the line of a program's output that best says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for marks in (("E:", "ERROR:"), ("error:",), ("",)):
        marked = [line for line in lines if line.startswith(marks)]
        if marked:
            return marked[0] if marks[0] else marked[-1]
    return "it said nothing"


# --- Python ---------------------------------------------------------------------------------------


def require_python(version: tuple[int, ...], program: str) -> None:
    """Refuse a Python that cannot run the project."""
    if version[:2] >= OLDEST_PYTHON:
        return
    found = ".".join(map(str, version[:3]))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    raise SetupError(
        f"Python {oldest} or newer is needed, and {program} is {found}: install a newer one"
        f" and name it, for example `make PYTHON=python{oldest}`"
    )


def base_python() -> str:
    """Return the Python that a new environment is made with, never one inside an environment."""
    return getattr(sys, "_base_executable", "") or sys.executable


def venv_needs() -> tuple[Need, ...]:
    """Return the package that lets this Python make environments: Debian splits it off."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return ()
    major, minor = sys.version_info[:2]
    packages = (f"python{major}.{minor}-venv", f"python{major}-venv")
    return (Need("Python's ensurepip module", packages),)


# --- Debian packages ------------------------------------------------------------------------------


def every_package(needs: Iterable[Need]) -> list[str]:
    """Return all packages that could meet one of the needs."""
    return [package for need in needs for package in need.packages]


def installed(packages: Iterable[str]) -> set[str]:
    """Return those of the packages that dpkg has completely installed."""
    query = run(["dpkg-query", "-W", "-f=${Package} ${Status}\\n", *packages])
    rows = (line.split() for line in query.output.splitlines())
    return {row[0] for row in rows if row[2:] == ["ok", "installed"]}


def candidates(packages: Iterable[str]) -> set[str]:
    """Return those of the packages that apt could install now."""
    found = set()
    name = ""
    for line in run(["apt-cache", "policy", *packages]).output.splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:") and "(none)" not in line:
            found.add(name)
    return found


def unmet(needs: Sequence[Need]) -> list[Need]:
    """Return the needs that no installed package meets."""
    if not (shutil.which("dpkg-query") and shutil.which("apt-get")):
        wanted = "; ".join(f"{need.what} (in Debian: {need.packages[0]})" for need in needs)
        raise SetupError(
            "no dpkg and apt here, and this sets up Debian and its kin only. Needed are:"
            f" {wanted}. With these, `pip install -e . -c .ci/constraints.txt` in a virtual"
            " environment of your own gives the command ra-harness"
        )
    have = installed(every_package(needs))
    return [need for need in needs if have.isdisjoint(need.packages)]


def provide(needs: Sequence[Need], administrator: Administrator) -> None:
    """Install a package for every need; where that fails, once more with fresh package lists."""
    if not administrator.root and not shutil.which("sudo"):
        raise refusal(needs, "this user is not root and there is no sudo")
    failure = install(needs, administrator)
    if failure is None:
        return
    say("Refreshing apt's package lists")
    as_root(administrator, ["apt-get", "update"], needs)  # one dead source of many is no matter
    failure = install(needs, administrator)
    if failure is not None:
        raise failure


def install(needs: Sequence[Need], administrator: Administrator) -> SetupError | None:
    """Install a package for every need as apt's lists are now; return what kept it from that."""
    known = candidates(every_package(needs))
    nowhere = [need for need in needs if known.isdisjoint(need.packages)]
    if nowhere:
        lacks = (f"{need.what} (looked for {', '.join(need.packages)})" for need in nowhere)
        return SetupError(f"apt's sources have no package for {'; '.join(lacks)}: add one that has")
    names = preferred(needs, known)
    say(f"Installing Debian packages: {' '.join(names)}")
    outcome = as_root(administrator, install_command(names), needs)
    if outcome.status == 0:
        return None
    what = complaint(outcome.output)
    return SetupError(f"apt-get cannot install {' '.join(names)}: {what}", outcome.output)


def preferred(needs: Iterable[Need], known: set[str]) -> list[str]:
    """Return one package for each need: the first that apt has, or the first of all."""
    return [next((p for p in need.packages if p in known), need.packages[0]) for need in needs]


def install_command(packages: Sequence[str]) -> list[str]:
    """Return the command that adds packages, takes none away, and waits for another apt to end."""
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    return ["apt-get", "install", "-y", "--no-install-recommends", "--no-remove", *wait, *packages]


def as_root(administrator: Administrator, words: list[str], needs: Sequence[Need]) -> Outcome:
    """Run an apt command as root."""
    outcome = run(administrator.command(*words))
    if outcome.status == 1 and not administrator.root:  # 1 is sudo's own; apt-get fails with 100
        raise refusal(needs, f"sudo does not let this user ({complaint(outcome.output)})")
    return outcome


def refusal(needs: Sequence[Need], why: str) -> SetupError:
    """Return what is missing and the command that somebody else has to run."""
    names = " ".join(preferred(needs, candidates(every_package(needs))))
    return SetupError(
        f"missing {', '.join(need.what for need in needs)}, and {why}. An administrator runs:"
        f" apt-get update && apt-get install --no-install-recommends {names}"
    )


# --- The virtual environment ----------------------------------------------------------------------


class Clone(NamedTuple):
    """A clone of the project, and the Python that its environment is for."""

    root: Path
    python: str

    @property
    def venv(self) -> Path:
        """Where its environment is."""
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        """The file that says what the environment was last set up for; empty while at work."""
        return self.venv / "setup.stamp"

    def fingerprint(self, extras: str) -> str:
        """Return a digest of all that decides what the environment must hold."""
        digest = hashlib.sha256()
        for name in ("pyproject.toml", ".ci/constraints.txt"):
            digest.update((self.root / name).read_bytes())
        digest.update(os.fsencode(f"{self.root}\0{self.python}\0{extras}"))
        return digest.hexdigest()

    def is_ready(self, extras: str) -> bool:
        """Tell whether the environment holds what is asked for, or more."""
        if not os.access(self.venv / "bin" / "python", os.X_OK):
            return False
        try:
            stamped = self.stamp.read_text(encoding="ascii")
        except OSError:
            return False
        return stamped in {self.fingerprint(more) for more in {extras, TEST_EXTRAS}}

    def has_working_venv(self) -> bool:
        """Tell whether the environment runs, was made in this very place, and for this Python.

        Its pip script answers all three: a moved clone's script names a path that is gone, a
        copied clone's one runs in the clone that it was copied from.
        """
        with suppress(OSError):
            version = run([str(self.venv / "bin" / "pip"), "--version"])
            words = f" from {self.venv}{os.sep}", f"(python {self.python})"
            return all(word in version.output for word in words)
        return False


def make_venv(clone: Clone) -> None:
    """Make the clone's environment anew, with nothing in it but pip."""
    importlib.invalidate_caches()  # Debian's package may have brought the module just now
    if venv_needs():
        raise SetupError(f"{base_python()} has no ensurepip module: use a Python that has")
    say(f"Making .venv with Python {clone.python}")
    outcome = run([base_python(), "-I", "-m", "venv", "--clear", str(clone.venv)])
    if outcome.status:
        what = complaint(outcome.output)
        raise SetupError(f"{base_python()} cannot make {clone.venv}: {what}", outcome.output)


def install_project(clone: Clone, extras: str) -> None:
    """Install the project, editable, and the exact versions it is tested with."""
    say("Installing Python packages into .venv")
    python = str(clone.venv / "bin" / "python")
    pip = [python, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    outcome = run(
        [*pip, "-c", ".ci/constraints.txt", "-e", f".{extras}"], cwd=clone.root, PIP_USER="0"
    )
    if outcome.status:
        log = clone.venv / "setup.log"
        log.write_text(outcome.output, encoding="utf-8")
        what = complaint(outcome.output)
        raise SetupError(f"pip failed: {what} (all it said: {log}; its end:)", outcome.output)


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Keep two `make` in one clone from building the same environment at once."""
    folder = os.open(root, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no folder
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def set_up_venv(clone: Clone, extras: str) -> None:
    """Bring the environment to what is asked for; after a failure the next call tries again."""
    with one_at_a_time(clone.root):
        if clone.is_ready(extras):
            return
        clone.venv.mkdir(exist_ok=True)
        clone.stamp.write_text("", encoding="ascii")
        if not clone.has_working_venv():
            make_venv(clone)
        install_project(clone, extras)
        clone.stamp.write_text(clone.fingerprint(extras), encoding="ascii")


# --- All of it ------------------------------------------------------------------------------------


FURTHER = {"--tests": TO_TEST, "--gear": TO_USE_GEAR}


def further(arguments: Sequence[str]) -> tuple[Need, ...]:
    """Return what is needed beside what scenarios need: by tests and checks, or by real routers."""
    unknown = set(arguments) - set(FURTHER)
    if unknown or len(arguments) > 1:
        raise SetupError(f"{' '.join(arguments)}: the only argument is {' or '.join(FURTHER)}")
    return FURTHER[arguments[0]] if arguments else ()


def set_up(root: Path, administrator: Administrator, needs: Sequence[Need], extras: str) -> None:
    """Install what is missing to run the scenarios, and what else is needed."""
    require_python(sys.version_info[:3], sys.executable)
    clone = Clone(root, ".".join(map(str, sys.version_info[:2])))
    ready = clone.is_ready(extras)
    missing = unmet((*TO_RUN, *needs))
    if not ready and not clone.has_working_venv():
        missing += venv_needs()
    if missing:
        provide(missing, administrator)
    if not ready:
        set_up_venv(clone, extras)


def main(arguments: Sequence[str]) -> int:
    """Set up the clone that this file is in; return the exit status."""
    root = Path(__file__).resolve().parent.parent
    administrator = Administrator(root=os.geteuid() == 0, terminal=sys.stdin.isatty())
    try:
        extras = TEST_EXTRAS if "--tests" in arguments else ""
        set_up(root, administrator, further(arguments), extras)
    except SetupError as error:
        complain(error)
        return EXIT_USAGE
    except OSError as error:
        complain(SetupError(f"{error}: the set-up needs a whole clone that this user may write to"))
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
