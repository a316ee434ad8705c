"""A daemon of a device: started in its node, and known to listen where its device should."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.judge.model import Control
from harness.runtime.namespaces import SYSTEM_PATH
from harness.runtime.node import Node
from harness.runtime.sockdiag import listening

READY_DEADLINE = 3.0
"""Seconds a daemon has to listen; it needs about 6 ms."""


def find(program: str, package: str, target: str = "setup") -> str:
    """Return the path of a program of the host, which a target of make installs with its package.

    Raises:
        MachineError: it is not installed; the text names the package that has it.
    """
    path = shutil.which(program) or shutil.which(program, path=SYSTEM_PATH)
    if path is None:
        raise MachineError(
            f"{program} is missing: install Debian's package {package} (make {target} does)"
        )
    return path


@dataclass(frozen=True)
class Service:
    """What to start in a node: a command, and where it will listen (``UDP 1900``).

    ``files`` are put on the node's disk first: the command's working folder. ``control`` names the
    check that it listens.
    """

    name: str
    control: str
    command: Sequence[str]
    listens: tuple[str, ...]
    files: Mapping[str, str]


class Daemon:
    """A started service."""

    def __init__(self, service: Service, name: str, node: Node) -> None:
        """Start it in the node of that name; what it says goes to the node's disk.

        Raises:
            ScenarioError: it cannot be started.
        """
        self.node = name
        self.service = service
        self._namespace = node.namespace
        log = f"{service.name}.log"
        self._log = node.disk / log
        for file, text in service.files.items():
            (node.disk / file).write_text(text, encoding="ascii")
        self._process = node.spawn(service.command, log)

    def control(self) -> Control:
        """Wait until it listens where its device should, and say whether it does."""
        name = self.service.control
        missing = self._await_listening()
        if not missing:
            return Control(name=name, node=self.node, passed=True, detail="it listens")
        status = self._process.poll()
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
            retry=retry_if_result(lambda missing: bool(missing) and self._process.poll() is None),
            stop=stop_after_delay(READY_DEADLINE),
            wait=wait_fixed(0.001),
            retry_error_callback=_last_result,
        )
        missing: list[str] = wait(self._missing)
        return missing

    def _missing(self) -> list[str]:
        found = listening(self._namespace)
        return [name for name in self.service.listens if name not in found]


def _last_result(state: RetryCallState) -> list[str]:
    if state.outcome is None:
        raise ValueError("no attempt was made")
    result: list[str] = state.outcome.result()
    return result
