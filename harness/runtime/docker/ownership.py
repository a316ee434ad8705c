"""Whose a container or an image is, written on the thing itself, and whether the owner lives.

Nothing is ever removed by the look of its name: a thing is its owner's, or provably an orphan.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

OWNER_LABEL = "dev.ra-harness.owner"
"""Label that names the owning process; see :meth:`Owner.text`."""

RUN_LABEL = "dev.ra-harness.run"
"""Label that names the run a container belongs to."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# After "pid (comm)", comm being anything: state is the first field, start time the twentieth.
_STATE, _START = 0, 19
_FIELDS = 5


@dataclass(frozen=True)
class Owner:
    """One process: host name, boot id, pid namespace (inode), pid, and start (ticks since boot)."""

    host: str
    boot: str
    pid_namespace: int
    pid: int
    started: int

    @classmethod
    def current(cls) -> Owner:
        """The calling process."""
        state = _process_state(os.getpid())
        if state is None:
            raise RuntimeError("/proc does not show the calling process")
        return cls(socket.gethostname(), _boot(), _pid_namespace(), os.getpid(), state[1])

    @classmethod
    def read(cls, text: str) -> Owner:
        """Read what :meth:`text` wrote.

        Raises:
            ValueError: it is no such text.
        """
        fields = text.split("/")
        if len(fields) != _FIELDS:
            raise ValueError(f"not an owner: {text!r}")
        host, boot, pid_namespace, pid, started = fields
        return cls(host, boot, int(pid_namespace), int(pid), int(started))

    def text(self) -> str:
        """``HOST/BOOT/PIDNS/PID/START``."""
        return f"{self.host}/{self.boot}/{self.pid_namespace}/{self.pid}/{self.started}"

    def is_dead(self) -> bool:
        """Say whether the process is known to have ended.

        False where that cannot be known: on another host, or in another pid namespace.
        """
        if self.host != socket.gethostname():
            return False
        if self.boot != _boot():
            return True
        if self.pid_namespace != _pid_namespace():
            return False
        state = _process_state(self.pid)
        return state is None or state[0] == "Z" or state[1] != self.started


def is_orphan(labels: dict[str, str]) -> bool:
    """Say whether labels name an owner that is known to be dead."""
    try:
        return Owner.read(labels[OWNER_LABEL]).is_dead()
    except (KeyError, ValueError):
        return False


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a link that names no path


def _process_state(pid: int) -> tuple[str, int] | None:
    """Return state and start time of a process, None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return fields[_STATE], int(fields[_START])
