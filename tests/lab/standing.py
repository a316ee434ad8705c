"""Labs that the real ``up`` keeps up, and commands beside it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runs import COMMAND

UP = "Ctrl-C ends the lab"
DEADLINE = 30.0


@dataclass(frozen=True)
class Up:
    """An ``up`` that has said that its lab is up; ``said`` is all of it."""

    process: subprocess.Popen[bytes]
    said: str
    environment: Mapping[str, str]

    @property
    def id(self) -> str:
        """The lab's id."""
        return self.said.removeprefix("Lab ").partition(":")[0]

    @property
    def beside(self) -> tuple[str, ...]:
        """A prefix that puts a command where the user of this lab is."""
        namespace = Path(f"/proc/{self.process.pid}/ns/user")
        if namespace.samefile("/proc/self/ns/user"):
            return ()
        return ("nsenter", f"--user={namespace}", "--preserve-credentials")

    def ra_harness(
        self, *arguments: str, text: str = "", folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run another command of the same user."""
        return subprocess.run(
            [*self.beside, *COMMAND, *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            env=self.environment,
            cwd=folder,
            check=False,
        )

    def shell(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``ra-harness shell``."""
        return self.ra_harness("shell", *arguments, text=text)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask for the end; return the exit status and what was said since the lab was up."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out.decode()


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which labs are known in ``home`` only."""
    home.mkdir(mode=0o700, exist_ok=True)
    given = {"XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home), "COLUMNS": "80"}
    return {**os.environ, **given, **(extra or {})}


def begin(
    *chains: str, env: Mapping[str, str], prefix: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start an ``up``; the caller ends it."""
    return subprocess.Popen(
        [*prefix, *COMMAND, "up", *chains],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=_heed_signals,  # noqa: PLW1509 - no thread of ours runs then
    )


def _heed_signals() -> None:
    """Heed what a shell has its background jobs ignore, this suite perhaps among them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def up(*chains: str, env: Mapping[str, str], prefix: Sequence[str] = ()) -> Iterator[Up]:
    """Bring a lab up; it is gone at the end, by SIGTERM if it is not already."""
    process = begin(*chains, env=env, prefix=prefix)
    try:
        yield Up(process, _read_until_up(process), env)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=DEADLINE)


def _read_until_up(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    said = b""
    until = time.monotonic() + DEADLINE
    while UP.encode() not in said:
        ready, _, _ = select.select([process.stdout], [], [], until - time.monotonic())
        assert ready, f"not up within {DEADLINE:g} s: {said.decode()}"
        chunk = os.read(process.stdout.fileno(), 65536)
        assert chunk, f"it ended: {said.decode()}"
        said += chunk
    return said.decode()
