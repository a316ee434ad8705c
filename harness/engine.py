"""Sees to it that a Docker engine answers, for ``RUNTIME=docker``: `make engine` runs this.

It starts the engine that is installed, and installs Debian's own where there is none. Nothing else
in the project starts or installs one.
"""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import requests
from docker import from_env
from docker.errors import DockerException
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness import bootstrap
from harness.bootstrap import Administrator, Need, SetupError
from harness.errors import ExitCode
from harness.runtime.docker import engine as engines

ROOT = Path(__file__).resolve().parent.parent
_LOCAL_ADDRESSES = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")

PATIENCE = 5
"""Seconds that an engine has to answer a question; an idle one needs milliseconds."""

START_DEADLINE = 60.0
"""Seconds that an engine has from its start to its first answer; it needs one to five."""

_NEEDS = (Need("the dockerd program", ("docker.io",)),)
_SYSTEMD = Path("/run/systemd/system")
_LOG = Path("/var/log/ra-harness-dockerd.log")
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

# In a session of its own, so that no terminal's end ends it. $! is the engine's own pid: in the
# background setsid need not fork. dockerd looks for containerd and iptables on PATH.
_START_SCRIPT = """
trap '' HUP
PATH="$PATH:$2"
setsid dockerd > "$1" 2>&1 < /dev/null &
echo $!
"""


class Answer(NamedTuple):
    """What came of asking for the engine: its version, or why there is none."""

    version: str
    trouble: str = ""
    denied: bool = False


class EngineError(Exception):
    """Why no engine answers and what to do, on one line."""


def address() -> str:
    """Return where the engine is looked for: DOCKER_HOST, or the context of Docker's command.

    Raises:
        EngineError: the context cannot be read.
    """
    try:
        return engines.address()
    except (DockerException, OSError, ValueError) as error:
        raise EngineError(f"Docker's context cannot be read: {error}") from error


def ask() -> Answer:
    """Ask the engine for its version."""
    try:
        client = from_env(timeout=PATIENCE)
        try:
            return Answer(client.version()["Version"])
        finally:
            client.close()
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        causes = list(_causes(error))
        denied = any(isinstance(cause, PermissionError) for cause in causes)
        return Answer("", _reason(causes), denied)


def bring(administrator: Administrator) -> str:
    """Return one line on the engine that answers, after starting or installing one if need be.

    Raises:
        EngineError: none answers.
        SetupError: it cannot be installed.
    """
    where = address()
    answer = ask()
    if answer.version:
        return f"Docker {answer.version} answers at {where}"
    if answer.denied:
        raise _no_access(where)
    if where not in _LOCAL_ADDRESSES:
        raise EngineError(
            f"no Docker engine answers at {where} ({answer.trouble}): start it, or unset"
            " DOCKER_HOST and DOCKER_CONTEXT to use one on this machine"
        )
    # Another `make engine` may be at it.
    with bootstrap.one_at_a_time(ROOT):
        how = "started by another" if ask().version else _start(administrator)
    answer = ask()
    if answer.denied:
        raise _no_access(where)
    return f"Docker {answer.version} answers at {where} ({how})"


def main() -> int:
    """Bring an engine, say so in one line, and return the exit status."""
    administrator = Administrator(root=os.geteuid() == 0, terminal=sys.stdin.isatty())
    try:
        bootstrap.say(bring(administrator))
    except (EngineError, SetupError) as error:
        sys.stderr.write(f"engine: {error}\n")
        return ExitCode.USAGE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return 0


# --- Starting -------------------------------------------------------------------------------------


def _start(administrator: Administrator) -> str:
    """Start the engine, installed before if need be; return how, for the line to say."""
    if _dockerd() is None:
        if not shutil.which("apt-get"):
            raise EngineError(
                "no Docker engine is installed, and this installs Debian's and its kin's only:"
                " install one as its makers say (docs.docker.com/engine/install)"
            )
        bootstrap.provide(_NEEDS, administrator)
        if ask().version:
            return "installed now; its package started it"
    if _SYSTEMD.is_dir():
        return _start_by_systemd(administrator)
    return _start_directly(administrator)


def _dockerd() -> str | None:
    return shutil.which("dockerd") or shutil.which("dockerd", path=_SYSTEM_PATH)


def _start_by_systemd(administrator: Administrator) -> str:
    outcome = bootstrap.run(administrator.command("systemctl", "start", "docker"))
    if outcome.status:
        raise EngineError(
            f"systemctl cannot start docker: {bootstrap.complaint(outcome.output)}"
            " (more in: journalctl -u docker)"
        )
    _await_answer(None)
    return "started now by systemctl"


def _start_directly(administrator: Administrator) -> str:
    """Start dockerd itself: without systemd, a service's script is often forbidden to."""
    words = ["sh", "-c", _START_SCRIPT, "sh", str(_LOG), _SYSTEM_PATH]
    outcome = bootstrap.run(administrator.command(*words))
    said = outcome.output.split()
    if outcome.status or not said or not said[-1].isdigit():
        raise EngineError(f"dockerd cannot be started: {bootstrap.complaint(outcome.output)}")
    pid = int(said[-1])
    _await_answer(pid)
    return f"started now: pid {pid}, log {_LOG}"


def _await_answer(pid: int | None) -> None:
    """Wait until the engine answers or, where its pid is known, has ended."""
    wait = Retrying(
        retry=retry_if_result(lambda settled: not settled),
        stop=stop_after_delay(START_DEADLINE),
        wait=wait_fixed(0.1),
    )
    try:
        wait(lambda: _is_reached() or (pid is not None and _has_ended(pid)))
    except RetryError:
        raise EngineError(
            f"the Docker engine was started and does not answer after {START_DEADLINE:g} s:"
            f" {_last_words()}"
        ) from None
    if not _is_reached():
        raise EngineError(f"the Docker engine ended as soon as it was started: {_last_words()}")


def _is_reached() -> bool:
    """Say whether something answers, were it only that this user may not ask."""
    answer = ask()
    return bool(answer.version) or answer.denied


def _has_ended(pid: int) -> bool:
    """Say whether a process is gone, or a zombie that nobody waits for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def _last_words() -> str:
    if _SYSTEMD.is_dir():
        return "see journalctl -u docker"
    log = _LOG.read_text(encoding="utf-8", errors="replace")
    return f"{bootstrap.complaint(log)} (log: {_LOG})"


# --- Saying why -----------------------------------------------------------------------------------


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    step: BaseException | None = error
    while step is not None:
        yield step
        step = step.__cause__ or step.__context__


def _reason(causes: Sequence[BaseException]) -> str:
    """Return the system's own words where there are any: the libraries' wrap them three times."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno:
            return cause.strerror or str(cause)
    return " ".join(str(causes[0]).split())


def _no_access(where: str) -> EngineError:
    """Say how this user gets at a socket that is closed to them."""
    user = getpass.getuser()
    closed = f"user {user} may not use the Docker engine at {where}"
    socket = Path(where.removeprefix("unix://"))
    try:
        group = socket.group()
    except (OSError, KeyError):
        return EngineError(f"{closed}: run this with sudo")
    if group == "root":
        return EngineError(f"{closed}, which is root's: run this with sudo")
    return EngineError(
        f"{closed}: an administrator runs `usermod -aG {group} {user}`, and {user} logs in again"
    )


if __name__ == "__main__":
    sys.exit(main())
