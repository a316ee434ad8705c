"""Work in processes of their own, many at the same time: runs against routers mostly wait.

What all modules will ask for is registered when they are imported, and begins when the first result
is asked for.
"""

from __future__ import annotations

import os
import pickle
import select
import tempfile
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from not_run import not_run

from harness.runtime.child import finish
from harness.runtime.syscalls import die_with_parent

T = TypeVar("T")

AT_ONCE = 24
"""Runs at the same time. One takes 3 s of CPU in 40 s or so."""

SECONDS = 300
"""What a test has that waits for runs, others' before its own among them."""


@cache
def _folders() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gear-runs-")


@dataclass(eq=False)
class Later(Generic[T]):
    """Work that is done in a process of its own, with a folder of its own; see :func:`later`."""

    work: Callable[[Path], T]
    said: tuple[str, Any] | None = field(default=None, init=False)

    def result(self) -> T:
        """Wait for the work and return what it returned; what failed there fails here.

        The test is not run, which is a failure in CI, where the routers cannot be had.
        """
        if os.geteuid() != 0:
            not_run("routers are made by root only: run the tests as root (sudo make test)")
        if self in _WAITING:  # somebody waits for it: it is the next
            _WAITING.remove(self)
            _WAITING.appendleft(self)
        while self.said is None:
            _go_on()
        how, value = self.said
        if how == "unable":
            not_run(value)
        assert how == "returned", value
        result: T = value
        return result


_WAITING: deque[Later[Any]] = deque()
_RUNNING: dict[int, tuple[Later[Any], int, Path]] = {}


def later(work: Callable[[Path], T]) -> Later[T]:
    """Register work at import, so that what all modules need goes on at the same time."""
    made = Later(work)
    _WAITING.append(made)
    return made


def _go_on() -> None:
    """Start what there is room for, and wait until something is over."""
    while _WAITING and len(_RUNNING) < AT_ONCE:
        each = _WAITING.popleft()
        folder = Path(tempfile.mkdtemp(dir=_folders().name))
        pid = os.fork()
        if pid == 0:
            finish(partial(_work, each, folder))
        _RUNNING[os.pidfd_open(pid)] = each, pid, folder
    ready, _, _ = select.select(list(_RUNNING), [], [])
    for descriptor in ready:
        each, pid, folder = _RUNNING.pop(descriptor)
        os.close(descriptor)
        os.waitpid(pid, 0)
        answer = folder / "answer"
        # It is what this process's own child wrote.
        read = pickle.loads(answer.read_bytes()) if answer.exists() else None
        each.said = read or ("failed", "its process ended without a word")


def _work(each: Later[Any], folder: Path) -> None:
    die_with_parent()
    try:
        said = "returned", each.work(folder)
    except Unable as lack:
        said = "unable", str(lack)
    except BaseException:  # noqa: BLE001 - the test that asks for it is told
        said = "failed", traceback.format_exc()
    part = folder / "answer.part"
    part.write_bytes(pickle.dumps(said))
    part.rename(folder / "answer")


class Unable(Exception):
    """A router's software cannot be had; the text says why."""
