"""Runs a command in a node of a lab that another process holds.

The caller stays outside. A child of it enters the node's namespaces and waits for the command,
whose stopping and interrupting at a terminal it does not share: a process in the world that nobody
reaped would keep the kernel from ending the world.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from harness.errors import MachineError
from harness.runtime import syscalls
from harness.runtime.child import finish
from harness.runtime.pretence import pretend_to_be_root
from harness.runtime.syscalls import die_with_parent, setns, unshare

NOT_FOUND = 127
CANNOT_EXECUTE = 126
"""Exit codes where the command itself cannot be started, as shells have them."""

_SIGNALLED = 128

KILLED = _SIGNALLED + signal.SIGKILL
"""Exit code of a command that was killed, as all are when the lab ends."""

# What a terminal sends to everybody on it. The command takes it; whoever waits for it does not.
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

_LONGEST_TROUBLE = 4096


@dataclass(frozen=True)
class Door:
    """Descriptors of the namespaces of one node; ``user`` is None where the lab is root's own.

    ``world`` is the pid namespace, ``mounts`` the mount namespace, ``network`` the node's own.
    """

    user: int | None
    world: int
    mounts: int
    network: int


def run_in(door: Door, name: str, command: Sequence[str], extra: Mapping[str, str]) -> int:
    """Run a command in a node, with this process's standard streams; return its exit code.

    The host name that it sees is ``name``. It keeps the working folder, where that is there, and
    the environment, to which ``extra`` is added. The code is 128 and the signal's number where a
    signal ended it, :data:`NOT_FOUND` or :data:`CANNOT_EXECUTE` where it could not be started.

    Raises:
        MachineError: the node cannot be entered.
    """
    ours, theirs = socket.socketpair()
    in_foreground = _is_in_foreground()
    dispositions = {each: signal.getsignal(each) for each in (*_FROM_TERMINAL, *_STOPPING)}
    for each in _FROM_TERMINAL:
        signal.signal(each, signal.SIG_IGN)
    caller = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        start = partial(_execute, command, extra, dispositions, door.user is not None)
        finish(partial(_wait_inside, caller, door, name, start, theirs))
    theirs.close()
    try:
        with ours:
            trouble = ours.recv(_LONGEST_TROUBLE).decode()
        _, status = os.waitpid(pid, 0)
        if in_foreground:
            _take_terminal_back()
    finally:
        for each in _FROM_TERMINAL:
            signal.signal(each, dispositions[each])
    if trouble:
        raise MachineError(f"{name} cannot be entered: {trouble}")
    return _code(status)


def shell(name: str) -> list[str]:
    """Return the command that is a shell whose prompt names the node, from its memory on."""
    bash = shutil.which("bash")
    if bash is None:
        return ["/bin/sh"]
    settings = os.memfd_create("bashrc", 0)
    os.write(settings, f'[ -f ~/.bashrc ] && . ~/.bashrc\nPS1="({name}) $PS1"\n'.encode())
    return [bash, "--rcfile", f"/proc/self/fd/{settings}"]


def _wait_inside(
    caller: int, door: Door, name: str, start: partial[NoReturn], sock: socket.socket
) -> NoReturn:
    """Be the child that enters, starts the command, and waits for it."""
    for each in _STOPPING:
        signal.signal(each, signal.SIG_IGN)
    try:
        _enter(door, name)
        # Not before: entering a user namespace clears it.
        die_with_parent()
        if os.getppid() != caller:
            os._exit(1)
        pid = os.fork()
    except OSError as error:
        sock.sendall(f"{error.filename or 'fork'}: {error.strerror}".encode())
        os._exit(1)
    if pid == 0:
        finish(start)
    sock.close()
    _, status = os.waitpid(pid, 0)
    os._exit(_code(status))


def _enter(door: Door, name: str) -> None:
    folder = Path.cwd()
    if door.user is not None:
        setns(door.user, syscalls.CLONE_NEWUSER)
    setns(door.network, syscalls.CLONE_NEWNET)
    setns(door.world, syscalls.CLONE_NEWPID)
    setns(door.mounts, syscalls.CLONE_NEWNS)
    unshare(syscalls.CLONE_NEWUTS)
    socket.sethostname(name)
    # Entering the mounts has led to their root.
    if folder.is_dir():
        os.chdir(folder)


def _execute(
    command: Sequence[str],
    extra: Mapping[str, str],
    dispositions: Mapping[signal.Signals, object],
    ordinary: bool,
) -> NoReturn:
    """Become the command."""
    die_with_parent()
    if ordinary:
        pretend_to_be_root()
    for each, before in dispositions.items():
        if before is not signal.SIG_IGN:
            signal.signal(each, signal.SIG_DFL)
    # Python ignores it for itself.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), {**os.environ, **extra})
    except OSError as error:
        sys.stderr.write(f"ra-harness: {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_EXECUTE)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNALLED - code


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False  # no terminal of this session


def _take_terminal_back() -> None:
    """Make this process's group the terminal's foreground again: an ended shell leaves its own."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(0, os.getpgrp())
    finally:
        signal.signal(signal.SIGTTOU, before)
