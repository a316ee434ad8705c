"""The first process of a container does what it is told, outlives bad callers, ends with its owner.

Most of it is run as a plain child. What kills everything around it, or takes in orphans, is run as
the first process of a pid namespace, as in a container.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import PATIENCE
from not_run import not_run
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from harness.nodes.init import DISK, OWNER_DEADLINE, SOCKET

BEGIN = """
import sys, harness.nodes.init as init
init.FOLDER, init.OWNER_DEADLINE = sys.argv.pop(1), float(sys.argv.pop(1))
init.start()
"""
UNSHARE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
OWN_PIDS = (*UNSHARE, "--mount-proc")

LONGEST_LINE = 1 << 16
"""Bytes that a line may have, its end included."""

# Runs while there is a file beside the disk, which is there for no longer than the test.
UNTIL_TOLD = "while [ -e ../wait ]; do :; done"

# Prints the descriptors that it was started with; its own is closed when they are listed.
DESCRIPTORS = "import os; print([n for n in range(64) if os.path.exists(f'/proc/self/fd/{n}')])"


@dataclass(frozen=True)
class Init:
    """A running one: its folder, the process that was started for it, and what it complains of."""

    folder: Path
    process: subprocess.Popen[bytes]
    complaints: Path

    @property
    def disk(self) -> Path:
        return self.folder / DISK

    def connect(self) -> socket.socket:
        """Connect, as soon as it serves."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(PATIENCE)
        wait = Retrying(
            retry=retry_if_exception_type(FileNotFoundError),
            stop=stop_after_delay(PATIENCE),
            wait=wait_fixed(0.002),
            reraise=True,
        )
        wait(line.connect, str(self.folder / SOCKET))
        return line

    def call(self, *words: str) -> socket.socket:
        """Say a line."""
        line = self.connect()
        line.sendall("\0".join(words).encode() + b"\n")
        return line

    def spawn(self, *command: str, log: str = "spawned.log") -> socket.socket:
        """Have a program started."""
        return self.call("spawn", log, *command)

    def ended(self, *command: str) -> int:
        """Have a program run to its end; return its status."""
        return int(answer(self.spawn(*command)))

    def said(self, log: str = "spawned.log") -> str:
        """Return what is in a log."""
        return (self.disk / log).read_text(encoding="utf-8")


def answer(line: socket.socket) -> str:
    """Return all that comes until the other end closes."""
    with closing(line):
        return b"".join(iter(lambda: line.recv(4096), b"")).decode()


def until_true(condition: object) -> None:
    """Wait until a condition, called without arguments, is true."""
    assert callable(condition)
    Retrying(
        retry=retry_if_result(lambda true: not true),
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.002),
    )(condition)


@contextmanager
def running(
    prefix: Sequence[str], *modules: str, owner_deadline: float = OWNER_DEADLINE
) -> Iterator[Init]:
    # Not pytest's folder: the path of a Unix socket has 107 bytes at the most.
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "node"
        folder.mkdir()
        complaints = Path(parent) / "complaints"
        arguments = (str(folder), str(owner_deadline), *modules)
        command = [*prefix, sys.executable, "-c", BEGIN, *arguments]
        with complaints.open("wb") as errors, subprocess.Popen(command, stderr=errors) as process:
            try:
                yield Init(folder, process, complaints)
            finally:
                process.kill()


@pytest.fixture
def init() -> Iterator[Init]:
    """Run it as a plain child."""
    with running(()) as started:
        yield started


@pytest.fixture
def first() -> Iterator[Init]:
    """Run it as the first process of a pid namespace, which ends with it."""
    tried = subprocess.run([*OWN_PIDS, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        not_run(
            "what a container's first process does to all others; to get it, run as root "
            f"or allow user namespaces ({tried.stderr.strip()})"
        )
    with running(OWN_PIDS) as started:
        yield started


def children(pid: int) -> list[int]:
    """Return the children of a process, zombies among them."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in listed.split()]


# --- own


def test_it_ends_when_its_owner_hangs_up(init: Init) -> None:
    owner = init.call("own")
    assert init.ended("true") == 0
    assert init.process.poll() is None
    owner.close()
    assert init.process.wait(PATIENCE) == 0


def test_it_ends_when_its_owner_speaks_again(init: Init) -> None:
    """An owner has nothing to say: it holds the line."""
    with closing(init.call("own")) as owner:
        owner.sendall(b"own\n")
        assert init.process.wait(PATIENCE) == 0


def test_it_outlives_every_caller_but_its_owner(init: Init) -> None:
    with closing(init.call("own")):
        for words in (("own?",), ("start", "stranger", "stranger.log"), ("spawn", "log", "true")):
            init.call(*words).close()
        assert init.ended("true") == 0


def test_it_ends_where_nobody_owns_it() -> None:
    with running((), owner_deadline=0.05) as started:
        assert started.process.wait(PATIENCE) == 0


def test_it_has_no_deadline_once_it_is_owned() -> None:
    with running((), owner_deadline=1.0) as started, closing(started.call("own")):
        over = (started.folder / SOCKET).stat().st_ctime + 1.2
        until_true(lambda: time.time() > over)
        assert started.ended("true") == 0


def test_everything_in_its_pid_namespace_ends_with_it(first: Init) -> None:
    owner = first.call("own")
    running_on = first.spawn("sleep", "1000")
    assert first.ended("sh", "-c", "sleep 1000 & exit 0") == 0
    owner.close()
    assert first.process.wait(PATIENCE) == 0
    # Nobody is there to say how it ended.
    assert answer(running_on) == ""


def test_a_module_that_does_not_exist_ends_it_before_it_serves() -> None:
    with running((), "stranger", "gremlin") as started:
        assert started.process.wait(PATIENCE) == 1
        assert "harness.nodes.gremlin" in started.complaints.read_text()
        assert not (started.folder / SOCKET).exists()


# --- start


def test_the_connection_becomes_the_program_s_streams(init: Init) -> None:
    """What follows the line, even in one datagram with it, is for the program."""
    line = init.connect()
    line.sendall(b'start\0stranger\0stranger.log\n{"id": 7, "do": "reboot"}\n')
    with closing(line.makefile("rb")) as replies:
        assert json.loads(replies.readline())["id"] == 7
        line.sendall(b'{"id": 8, "do": "reboot"}\n')
        assert json.loads(replies.readline())["id"] == 8
        line.shutdown(socket.SHUT_WR)
        assert replies.readline() == b""
    line.close()
    assert "KeyError" in init.said("stranger.log")


def test_two_programs_of_one_kind_run_side_by_side(init: Init) -> None:
    lines = [init.call("start", "stranger", f"{number}.log") for number in range(2)]
    for number, line in enumerate(lines):
        line.sendall(json.dumps({"id": number, "do": "reboot"}).encode() + b"\n")
    for number, line in enumerate(lines):
        line.shutdown(socket.SHUT_WR)
        assert json.loads(answer(line))["id"] == number


def test_a_program_holds_nobody_else_s_line(init: Init) -> None:
    """Or who waits for the end of another program would wait for the end of this one."""
    (init.folder / "wait").touch()
    line = init.spawn("sh", "-c", UNTIL_TOLD)
    with closing(init.call("start", "stranger", "stranger.log")) as other:
        other.sendall(b'{"id": 7, "do": "reboot"}\n')
        assert other.recv(1) == b"{"
        (init.folder / "wait").unlink()
        assert answer(line) == "0\n"


def test_a_program_that_does_not_exist_says_so_in_its_log(init: Init) -> None:
    assert answer(init.call("start", "gremlin", "gremlin.log")) == ""
    assert "harness.nodes.gremlin" in init.said("gremlin.log")
    assert init.ended("true") == 0


def test_a_log_that_cannot_be_written_ends_the_program_and_nothing_else(init: Init) -> None:
    assert answer(init.call("start", "stranger", "no folder/stranger.log")) == ""
    assert "no folder/stranger.log" in init.complaints.read_text()
    assert init.ended("true") == 0


def test_a_program_that_has_ended_is_no_zombie(init: Init) -> None:
    line = init.call("start", "stranger", "stranger.log")
    until_true(lambda: len(children(init.process.pid)) == 1)
    line.close()
    until_true(lambda: children(init.process.pid) == [])


# --- spawn


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM), ("kill -KILL $$", -9)],
)
def test_the_status_of_a_program_is_told(init: Init, script: str, status: int) -> None:
    assert answer(init.spawn("sh", "-c", script)) == f"{status}\n"


def test_each_of_many_callers_is_told_of_its_own_program(init: Init) -> None:
    lines = [init.spawn("sh", "-c", f"exit {number}", log=f"{number}") for number in range(20)]
    assert [int(answer(line)) for line in lines] == list(range(20))


def test_nothing_is_told_while_a_program_runs(init: Init) -> None:
    (init.folder / "wait").touch()
    line = init.spawn("sh", "-c", f"{UNTIL_TOLD}; exit 3")
    assert init.ended("true") == 0
    assert select.select([line], [], [], 0) == ([], [], [])
    (init.folder / "wait").unlink()
    assert answer(line) == "3\n"


def test_a_program_has_the_disk_as_folder_no_input_and_one_log_for_all_it_prints(
    init: Init,
) -> None:
    assert init.ended("sh", "-c", "pwd -P; cat; echo complaint >&2") == 0
    assert init.said().splitlines() == [str(init.disk.resolve()), "complaint"]


def test_a_program_has_no_descriptor_but_its_streams(init: Init) -> None:
    (init.folder / "wait").touch()
    with closing(init.call("own")), closing(init.spawn("sh", "-c", UNTIL_TOLD, log="other.log")):
        assert init.ended(sys.executable, "-c", DESCRIPTORS) == 0
        (init.folder / "wait").unlink()
    assert init.said() == "[0, 1, 2]\n"


def test_a_program_does_not_ignore_what_python_ignores_for_itself(init: Init) -> None:
    assert init.ended("grep", "SigIgn", "/proc/self/status") == 0
    ignored = int(init.said().split()[1], 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not ignored >> (number - 1) & 1, number.name


@pytest.mark.parametrize("command", [("no-such-program",), ("/",), ()])
def test_a_program_from_disk_that_cannot_be_started_has_status_127(
    init: Init, command: tuple[str, ...]
) -> None:
    assert answer(init.spawn(*command)) == "127\n"
    assert "Error" in init.said()


def test_a_caller_that_has_left_is_missed_by_nobody(init: Init) -> None:
    (init.folder / "wait").touch()
    init.spawn("sh", "-c", UNTIL_TOLD).close()
    until_true(lambda: len(children(init.process.pid)) == 1)
    (init.folder / "wait").unlink()
    until_true(lambda: children(init.process.pid) == [])
    assert init.ended("true") == 0


def test_orphans_are_reaped(first: Init) -> None:
    (first.folder / "wait").touch()
    assert first.ended("sh", "-c", f"({UNTIL_TOLD}) & exit 0") == 0
    (pid,) = children(first.process.pid)
    assert len(children(pid)) == 1
    (first.folder / "wait").unlink()
    until_true(lambda: children(pid) == [])


# --- reset


def test_reset_kills_everything_else_and_tells_everybody(first: Init) -> None:
    with closing(first.call("own")):
        spawned = first.spawn("sleep", "1000")
        stubborn = first.spawn("sh", "-c", "trap '' TERM INT HUP; echo > ready; sleep 1000")
        started = first.call("start", "stranger", "stranger.log")
        assert first.ended("sh", "-c", "setsid sleep 1000 & exit 0") == 0
        until_true((first.disk / "ready").exists)
        (pid,) = children(first.process.pid)
        assert len(children(pid)) == 4
        assert answer(first.call("reset")) == "0\n"
        assert children(pid) == []
        assert [answer(line) for line in (spawned, stubborn)] == ["-9\n", "-9\n"]
        assert answer(started) == ""


def test_it_serves_on_after_a_reset_and_the_disk_is_as_it_was(first: Init) -> None:
    with closing(first.call("own")) as owner:
        (first.disk / "file").touch()
        for _ in range(3):
            running_on = first.spawn("sleep", "1000")
            assert answer(first.call("reset")) == "0\n"
            assert answer(running_on) == "-9\n"
        assert first.ended("test", "-e", "file") == 0
        owner.close()
        assert first.process.wait(PATIENCE) == 0


def test_reset_where_nothing_runs_leaves_nothing(first: Init) -> None:
    assert answer(first.call("reset")) == "0\n"


# --- lines that are none


@pytest.mark.parametrize(
    "line",
    [b"dance\n", b"\n", b"start\0stranger\n", b"spawn\n", b"own\0me\n", b"reset\0now\n"],
)
def test_a_line_that_is_not_understood_is_complained_of_and_nothing_ends(
    init: Init, line: bytes
) -> None:
    with closing(init.call("own")):
        caller = init.connect()
        caller.sendall(line)
        assert answer(caller) == ""
        assert init.ended("true") == 0
    assert init.complaints.read_text().startswith("init: not understood: ")


def test_a_line_that_is_no_text_ends_nothing(init: Init) -> None:
    with closing(init.call("own")):
        caller = init.connect()
        caller.sendall(b"start\0\xff\xfe\n")
        assert answer(caller) == ""
        assert init.ended("true") == 0


def test_a_caller_that_hangs_up_at_once_ends_nothing(init: Init) -> None:
    with closing(init.call("own")):
        init.connect().close()
        assert init.ended("true") == 0


def test_half_a_line_is_not_obeyed(first: Init) -> None:
    with closing(first.call("own")):
        running_on = first.spawn("sleep", "1000")
        caller = first.connect()
        caller.sendall(b"reset")
        caller.close()
        # It is answered later, so whatever became of the half line has become.
        assert first.ended("true") == 0
        assert select.select([running_on], [], [], 0) == ([], [], [])


def test_a_line_of_the_longest_length_is_obeyed(init: Init) -> None:
    short = len("\0".join(("spawn", "spawned.log", "sh", "-c", "exit 3", ""))) + 1
    assert init.ended("sh", "-c", "exit 3", "x" * (LONGEST_LINE - short)) == 3


def test_a_longer_line_is_not_obeyed(init: Init) -> None:
    """Cut off, it would be another command."""
    with closing(init.call("own")):
        line = init.connect()
        try:
            line.sendall(b"spawn\0spawned.log\0sh\0-c\0exit 3\0" + b"x" * LONGEST_LINE + b"\n")
            assert answer(line) == ""
        except (BrokenPipeError, ConnectionResetError):
            line.close()  # it was hung up on before all was said
        assert init.ended("true") == 0
    assert "not understood" in init.complaints.read_text()
    assert len(init.complaints.read_text()) < 1000
