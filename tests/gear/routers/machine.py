"""What a router runs on: processes and files of its own, and a network namespace given to it.

Its process and mount namespaces are those of a sealed world: they end with the test's process,
however that ends. Its files are the system's, with its software over them; what it writes is in
memory. So is its log.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NoReturn

from harness.errors import MachineError
from harness.runtime.child import finish
from harness.runtime.netns import NetNs
from harness.runtime.pool import MAX_MESSAGE, send_on
from harness.runtime.syscalls import mount
from harness.runtime.world import SCRATCH, sealed

Service = tuple[str, ...] | Callable[[], None]
"""A program that stays in the foreground, or a function to run in a process of its own."""

BOOT_SECONDS = 60.0
"""A router must have booted after this time. The slowest, shorewall, needs about 3 s."""

# Folders of the system that the router's software lies over and that it may write to.
_FOLDERS = ("etc", "usr", "var")

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "TMPDIR": "/run/tmp",
}


class Machine:
    """A router's processes and files. It boots once."""

    def __init__(self, layer: Path) -> None:
        """Put the files of ``layer`` (see :func:`software.layer`) over the system's."""
        self._layer = layer
        self._running = ExitStack()
        self._log = -1

    def ask(self, *command: str) -> str:
        """Return the first line that a program of the router prints.

        Raises:
            MachineError: it cannot be run, or prints nothing.
        """

        def body(sock: socket.socket) -> None:
            ended = subprocess.run(
                command,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            send_on(sock)({"said": ended.stdout.strip()})

        with sealed(partial(_furnish, self._layer, {}), body) as channel:
            data = channel.recv(MAX_MESSAGE)
        lines = json.loads(data)["said"].splitlines() if data else []
        if not lines:
            raise MachineError(f"`{' '.join(command)}` prints nothing: is it {command[0]}?")
        return str(lines[0])

    def boot(
        self,
        namespace: NetNs,
        files: Mapping[str, str],
        script: str,
        services: Sequence[Service],
    ) -> None:
        """Write the files, run the shell script to its end, then start the services.

        Paths that end in ``.sh`` are made executable.

        Raises:
            MachineError: the script failed; the text has the log's last line.
        """
        self._log = os.memfd_create("router.log")
        self._running.callback(os.close, self._log)
        probe = partial(_furnish, self._layer, files)
        body = partial(_first_process, namespace, self._log, script, services)
        channel = self._running.enter_context(sealed(probe, body))
        channel.settimeout(BOOT_SECONDS)
        if not channel.recv(MAX_MESSAGE):
            said = self.log().strip().splitlines()
            raise MachineError(
                f"a router did not boot; its last words: {said[-1] if said else '-'}"
            )

    def log(self) -> str:
        """Return what everything in it has said since it booted."""
        size = os.fstat(self._log).st_size
        return os.pread(self._log, size, 0).decode(errors="replace")

    def stop(self) -> None:
        """End every process of it."""
        self._running.close()


def _furnish(layer: Path, files: Mapping[str, str]) -> None:
    """Lay the router's software and files over the system's."""
    (SCRATCH / "lock").mkdir()
    (SCRATCH / "tmp").mkdir()
    for name in _FOLDERS:
        upper, work = SCRATCH / f"{name}.upper", SCRATCH / f"{name}.work"
        upper.mkdir()
        work.mkdir()
        below = [folder for folder in (layer / name, Path("/", name)) if folder.is_dir()]
        # By descriptor: in an option, a path's own commas and colons would part it.
        opened = [os.open(folder, os.O_PATH | os.O_CLOEXEC) for folder in below]
        lower = ":".join(f"/proc/self/fd/{descriptor}" for descriptor in opened)
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        mount("overlay", f"/{name}", "overlay", 0, options)
        for descriptor in opened:
            os.close(descriptor)
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if path.suffix == ".sh" else 0o644)


def _first_process(
    namespace: NetNs, log: int, script: str, services: Sequence[Service], sock: socket.socket
) -> NoReturn:
    namespace.enter()
    # Appending: everything in the router writes to the one file.
    appending = os.open(f"/proc/self/fd/{log}", os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, appending, appending)):
        os.dup2(source, target)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(_ENVIRONMENT)
    subprocess.run(["/bin/sh", "-eu", "-c", script], check=True)
    running = dict(map(_start, services))
    send_on(sock)({"booted": True})
    while running:
        pid, status = os.wait()
        if (name := running.pop(pid, None)) is not None:
            sys.stdout.write(f"{name} ended: {os.waitstatus_to_exitcode(status)}\n")
    while True:
        signal.pause()


def _start(service: Service) -> tuple[int, str]:
    """Start a service; return its process id and its name."""
    if not callable(service):
        return os.posix_spawnp(service[0], service, os.environ), service[0]
    pid = os.fork()
    if pid == 0:
        finish(service)
    return pid, "a service"
