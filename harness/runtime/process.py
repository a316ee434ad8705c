"""Processes inside a namespace: node programs, forked from this one, and daemons.

A program is forked rather than started anew: the interpreter and its modules are there already,
which saves about 0.1 s of CPU for each node. The child keeps nothing of its parent but memory: its
standard streams are a socket to the harness and a log file, and every other descriptor is closed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from harness.runtime.child import finish
from harness.runtime.netns import NetNs
from harness.runtime.syscalls import die_with_parent

_FIRST_DESCRIPTOR = 3
_LAST_DESCRIPTOR = 4096


def fork_program(
    namespace: NetNs, start: Callable[[], None], folder: Path, log: Path
) -> tuple[int, socket.socket]:
    """Run ``start`` in a child inside the namespace; return its pid and our end of its streams.

    The child's standard input and output are a stream socket, its standard error is ``log``, its
    working folder is ``folder``. It dies with the thread that called this.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        finish(partial(_be_program, parent, start, namespace, theirs, folder, log))
    theirs.close()
    return pid, ours


def _be_program(
    parent: int,
    start: Callable[[], None],
    namespace: NetNs,
    streams: socket.socket,
    folder: Path,
    log: Path,
) -> None:
    die_with_parent()
    if os.getppid() == parent:
        _become(namespace, streams, folder, log)
        start()


def spawn_daemon(
    namespace: NetNs,
    command: Sequence[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start a program from disk inside the namespace; what it prints goes to ``log``.

    It is looked for on the environment's PATH, its working folder is ``folder``.

    Raises:
        OSError: it cannot be started.
    """
    with namespace.entered(), log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - a lab's process has one thread
        )


def _become(namespace: NetNs, streams: socket.socket, folder: Path, log: Path) -> None:
    namespace.enter()
    os.chdir(folder)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(streams.fileno(), 0)
    os.dup2(streams.fileno(), 1)
    os.dup2(errors, 2)
    os.closerange(_FIRST_DESCRIPTOR, _LAST_DESCRIPTOR)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
