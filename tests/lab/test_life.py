"""However a run ends, nothing of it stays, and no other run is harmed."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from runs import COMMAND, fake_daemon, run
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from test_article import ORDINARY

from harness.words import Verdict

DEADLINE = 20.0
SOON = 1.0
"""Seconds that the kernel may take to end a world: less than a run, or a hanging lab, lasts."""


def _until(what: str, holds: Callable[[], bool], within: float = DEADLINE) -> None:
    waiting = Retrying(
        retry=retry_if_result(lambda held: not held),
        stop=stop_after_delay(within),
        wait=wait_fixed(0.005),
        retry_error_callback=lambda _: False,
    )
    assert waiting(holds), f"not within {within:g} s: {what}"


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _link(pid: int, name: str) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/{name}").readlink())
    except OSError:
        return None


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "gone", 0
    state, parent, *_ = status.rpartition(")")[2].split()
    return state, int(parent)


def _descendants(pid: int) -> set[int]:
    parents = {each: _state_and_parent(each)[1] for each in _pids()}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


class World(dict[str, int]):
    """Namespaces by name, each held open: so the kernel gives its number to no other meanwhile."""

    def hold(self, pid: int, kind: str) -> None:
        """Add a namespace of a process, unless that has ended."""
        with contextlib.suppress(OSError):
            opened = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            name = f"{kind}:[{os.fstat(opened).st_ino}]"
            if name in self:
                os.close(opened)
            else:
                self[name] = opened

    def __del__(self) -> None:
        """Let go of them."""
        for opened in self.values():
            os.close(opened)


def _world_of(pid: int) -> World:
    """The pid and network namespaces of a process's descendants that are not our own."""
    world = World()
    for each in _descendants(pid):
        for kind in ("pid", "net"):
            if _link(each, f"ns/{kind}") != _link(os.getpid(), f"ns/{kind}"):
                world.hold(each, kind)
    return world


def _in_namespaces(world: World) -> set[int]:
    """The living processes in these namespaces; a zombie holds nothing, it waits for init."""
    return {
        pid
        for pid in _pids()
        if {_link(pid, name) for name in ("ns/pid", "ns/net")} & world.keys()
        and _state_and_parent(pid)[0] not in ("Z", "X", "gone")
    }


def _host_state() -> dict[str, object]:
    return {
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "mounts": Path("/proc/self/mounts").read_text(encoding="utf-8"),
        "run": sorted(path.name for path in Path("/run").iterdir()),
        "routes": Path("/proc/net/route").read_text(encoding="ascii"),
    }


def _start(
    folder: Path, prefix: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, *COMMAND, "run", "--out", folder],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - no thread of ours runs then
    )


def _heed_ctrl_c() -> None:
    """Heed what a shell has its background jobs ignore, this suite perhaps among them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _read_lines(process: subprocess.Popen[str], count: int) -> None:
    assert process.stderr is not None
    for _ in range(count):
        assert process.stderr.readline()


@pytest.mark.parametrize("finished", [0, 1, 20])
@pytest.mark.parametrize("prefix", [(), ORDINARY], ids=["caller", "ordinary-user"])
def test_sigkill_leaves_no_process_namespace_interface_mount_or_file(
    tmp_path: Path, finished: int, prefix: tuple[str, ...]
) -> None:
    before = _host_state()
    process = _start(tmp_path / "out", prefix)
    if finished == 0:
        _until("the world is there", lambda: len(_world_of(process.pid)) > 1)
    else:
        _read_lines(process, finished)
    world = _world_of(process.pid)
    assert world, "there was no world to kill"
    _kill_and_see_all_gone(process, world)
    assert _host_state() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}


def test_sigkill_ends_a_run_that_hangs(tmp_path: Path) -> None:
    """Nothing but the kernel can end this one: all its processes wait for a daemon that hangs."""
    process = _start(tmp_path / "out", environment=fake_daemon(tmp_path, "exec sleep 1000"))
    _until("a daemon hangs", lambda: "sleep\0001000\0" in _commands(_descendants(process.pid)))
    _kill_and_see_all_gone(process, _world_of(process.pid))


def _kill_and_see_all_gone(process: subprocess.Popen[str], world: World) -> None:
    process.kill()
    process.wait()
    _until("the world is gone", lambda: not _in_namespaces(world), SOON)
    process.communicate()


def _commands(pids: set[int]) -> set[str]:
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.add(Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace"))
    return found


def test_a_run_that_is_alive_is_unharmed_by_the_death_of_another(tmp_path: Path) -> None:
    victim = _start(tmp_path / "victim")
    _read_lines(victim, 1)
    alive = _start(tmp_path / "alive")
    _read_lines(alive, 1)
    victim.kill()
    victim.communicate()
    alive.communicate(timeout=60)
    assert alive.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = _start(tmp_path / "out")
    _read_lines(process, 2)
    world = _world_of(process.pid)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    _until("the world is gone", lambda: not _in_namespaces(world), SOON)


def test_ctrl_c_ends_at_once_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path / "out")
    _read_lines(process, 3)
    world = _world_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("ra-harness: interrupted")
    assert "Traceback" not in err
    assert not _in_namespaces(world), "the command returned before its world was gone"
    assert not (tmp_path / "out" / "results.json").exists()


def test_ctrl_c_on_a_terminal_leaves_the_cursor_visible(tmp_path: Path) -> None:
    """Typed on a real terminal: the signal goes to the whole foreground group."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        _heed_ctrl_c()
        os.execv(COMMAND[0], [*COMMAND, "run", "--out", str(tmp_path / "out")])
    shown = b""
    while b"running" not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    while chunk := _read_terminal(terminal):
        shown += chunk
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"interrupted" in shown
    assert b"Traceback" not in shown, shown.decode(errors="replace")
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def _read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        # EIO: the last process on the terminal's other side has closed it.
        return b""


def test_an_interrupted_run_does_not_leave_the_results_of_the_run_before(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = run(folder, "--method", "file", "--novice", "nat")
    assert first.verdicts(Verdict.AGREES) == {"file/nat+direct"}
    process = _start(folder)
    _read_lines(process, 1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert not (folder / "results.json").exists()
    assert not (folder / "junit.xml").exists()


def test_a_caller_that_ignores_its_children_s_ends_does_not_break_a_run(tmp_path: Path) -> None:
    script = 'trap "" CHLD; exec "$@"'
    chain = ("--novice", "nat", "--method", "file")
    ended = run(tmp_path / "out", *chain, prefix=("sh", "-c", script, "sh"))
    assert ended.status == 0, ended.err
