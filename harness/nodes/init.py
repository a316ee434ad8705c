"""The first process of a container: starts programs and daemons in it, and ends with its owner.

It listens on a Unix socket beside the node's disk and is spoken to in single lines of words that
are separated by NUL:

``own``
    The owner. The container ends when this connection does, however the owner ends; and where
    nobody has owned it :data:`OWNER_DEADLINE` seconds after its start.
``start MODULE LOG``
    Runs a node program in a child; the connection becomes its standard input and output.
``spawn LOG COMMAND...``
    Runs a program from disk. When it has ended, its wait status comes as a line, as a number.
``reset``
    Kills everything but this process. The answer, a line, is how many processes are left.

It imports only what Debian's python3-minimal has, and with ``start`` what the node program needs.
The modules named on its command line are imported before anybody calls, once for all starts.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback

FOLDER = "/run/node"
SOCKET = "init.sock"
DISK = "disk"

OWNER_DEADLINE = 30.0

_LINE_LIMIT = 1 << 16
_FIRST_DESCRIPTOR = 3
_LAST_DESCRIPTOR = 4096
_CANNOT_EXECUTE = 127


def start() -> None:
    """Serve in :data:`FOLDER`, an empty folder, until the owner hangs up."""
    os.chdir(FOLDER)
    os.mkdir(DISK)  # noqa: PTH102 - pathlib costs a fifth of this program's start
    for name in sys.argv[1:]:
        importlib.import_module(f"harness.nodes.{name}")
    _Init().serve()


class _Init:
    """The children and the callers that wait for them."""

    def __init__(self) -> None:
        """Listen, and be woken by the end of a child."""
        self._wake, alarm = socket.socketpair()
        self._wake.setblocking(False)
        alarm.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        self._alarm = alarm
        self._owner: socket.socket | None = None
        self._unowned_until = time.monotonic() + OWNER_DEADLINE
        self._spawned: dict[int, socket.socket] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Under another name until it listens: whoever sees the name can connect.
        self._listener.bind(f"{SOCKET}.new")
        self._listener.listen()
        os.rename(f"{SOCKET}.new", SOCKET)  # noqa: PTH104 - as above

    def serve(self) -> None:
        while True:
            waiting = [self._wake, self._listener]
            if self._owner is not None:
                waiting.append(self._owner)
            patience = None if self._owner else max(0.0, self._unowned_until - time.monotonic())
            ready, _, _ = select.select(waiting, [], [], patience)
            if self._owner in ready or not ready:
                return
            if self._wake in ready:
                self._wake.recv(_LINE_LIMIT)
                self._reap()
            if self._listener in ready:
                caller, _ = self._listener.accept()
                self._obey(caller, _read_words(caller))

    def _obey(self, caller: socket.socket, words: list[str]) -> None:
        match words:
            case ["own"]:
                self._owner = caller
            case ["start", module, log]:
                if os.fork() == 0:
                    _run_program(caller, module, log)
                caller.close()
            case ["spawn", log, *command]:
                pid = os.fork()
                if pid == 0:
                    _execute(command, log)
                self._spawned[pid] = caller
            case ["reset"]:
                _answer(caller, str(self._end_all()))
            case _:
                sys.stderr.write(f"init: not understood: {words}\n")
                caller.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (caller := self._spawned.pop(pid, None)) is not None:
                _answer(caller, str(os.waitstatus_to_exitcode(status)))

    def _end_all(self) -> int:
        """Kill every other process of the container; return how many are there afterwards."""
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return 0
        while True:
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            if (caller := self._spawned.pop(pid, None)) is not None:
                _answer(caller, str(os.waitstatus_to_exitcode(status)))
        others = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]  # noqa: PTH208
        return len(others)


def _read_words(caller: socket.socket) -> list[str]:
    """Read one line; return no word where it does not end, for half a line is another one."""
    line = b""
    while not line.endswith(b"\n"):
        # Byte by byte: what follows the line is for the program that is started.
        byte = caller.recv(1)
        if not byte or len(line) == _LINE_LIMIT:
            return []
        line += byte
    return line[:-1].decode(errors="surrogateescape").split("\0")


def _answer(caller: socket.socket, word: str) -> None:
    try:
        caller.sendall(word.encode() + b"\n")
    except BrokenPipeError:
        pass  # who asked has gone: nobody is left to tell
    finally:
        caller.close()


def _run_program(streams: socket.socket, module: str, log: str) -> None:
    """Be a node program; never returns."""
    status = 1
    try:
        _become(log, streams.fileno(), streams.fileno())
        importlib.import_module(f"harness.nodes.{module}").start()
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of init's code may run in the child
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _execute(command: list[str], log: str) -> None:
    """Be another program; never returns."""
    try:
        _become(log, os.open(os.devnull, os.O_RDONLY), None)
        # Python ignores these for itself, and what is ignored stays so over exec.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    except BaseException:  # noqa: BLE001 - as above
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(_CANNOT_EXECUTE)


def _become(log: str, source: int, target: int | None) -> None:
    """Take over standard streams, working folder and signals of a fresh process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(DISK)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(source, 0)
    os.dup2(errors if target is None else target, 1)
    os.dup2(errors, 2)
    os.closerange(_FIRST_DESCRIPTOR, _LAST_DESCRIPTOR)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)


if __name__ == "__main__":
    start()
