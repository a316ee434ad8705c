"""A daemon of a device: started in its node, and known to listen where its device should."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.judge.model import Control
from harness.runtime.netns import NetNs
from harness.runtime.process import spawn_daemon

READY_DEADLINE = 3.0
"""Seconds a daemon has to listen; it needs about 6 ms."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def find(program: str, package: str) -> str:
    """Return a program's path.

    Raises:
        MachineError: it is not installed; the text names the package that has it.
    """
    path = shutil.which(program) or shutil.which(program, path=_SYSTEM_PATH)
    if path is None:
        raise MachineError(
            f"{program} is missing: install Debian's package {package} (make setup does)"
        )
    return path


@dataclass(frozen=True)
class Service:
    """What to start in a node: a command, and where it will listen (``UDP 1900``).

    ``control`` names the check that it does.
    """

    name: str
    control: str
    command: Sequence[str]
    listens: tuple[str, ...]


class Daemon:
    """A started service."""

    def __init__(self, service: Service, node: str, namespace: NetNs, folder: Path) -> None:
        """Start it in a node; what it says goes to ``folder``."""
        self.node = node
        self.service = service
        self._log = folder / f"{service.name}.log"
        self.process: subprocess.Popen[bytes] = spawn_daemon(namespace, service.command, self._log)

    def control(self) -> Control:
        """Wait until it listens where its device should, and say whether it does."""
        name = self.service.control
        missing = self._await_listening()
        if not missing:
            return Control(name=name, node=self.node, passed=True, detail="it listens")
        status = self.process.poll()
        state = "it runs" if status is None else f"it ended with status {status}"
        said = self.log().strip().splitlines()
        last = f"; its last words: {said[-1]}" if said else ""
        detail = f"nothing listens on {', '.join(missing)}; {state}{last}"
        return Control(name=name, node=self.node, passed=False, detail=detail)

    def log(self) -> str:
        """Return what the daemon has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _await_listening(self) -> list[str]:
        """Return what nothing listens on at the deadline, or when the daemon has ended."""
        wait = Retrying(
            retry=retry_if_result(lambda missing: bool(missing) and self.process.poll() is None),
            stop=stop_after_delay(READY_DEADLINE),
            wait=wait_fixed(0.001),
            retry_error_callback=_last_result,
        )
        missing: list[str] = wait(self._missing)
        return missing

    def _missing(self) -> list[str]:
        return [name for name in self.service.listens if not self._is_open(name)]

    def _is_open(self, name: str) -> bool:
        protocol, port = name.split()
        suffix = f":{int(port):04X}"
        for table in (protocol.lower(), f"{protocol.lower()}6"):
            path = Path(f"/proc/{self.process.pid}/net/{table}")
            rows = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
            if any(row.split()[1].endswith(suffix) for row in rows):
                return True
        return False


def _last_result(state: RetryCallState) -> list[str]:
    if state.outcome is None:
        raise ValueError("no attempt was made")
    result: list[str] = state.outcome.result()
    return result
