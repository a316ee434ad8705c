"""Runs of ``ra-harness gear`` against routers on a bench of their own."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hosts
from gear_background import SECONDS, Later, Unable, later
from routers import GearRouter, TestBench
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.judge.model import Results, ScenarioResult
from harness.runtime.child import finish
from harness.runtime.netns import NetNs
from harness.runtime.syscalls import die_with_parent

__all__ = [
    "COMMAND",
    "Command",
    "Ended",
    "Gear",
    "Later",
    "MEMORY",
    "Outcome",
    "SECONDS",
    "command",
    "descendants",
    "later",
    "left_of",
    "played",
    "router",
    "run",
]

COMMAND = Path(sys.executable).parent / "ra-harness"

RUN_SECONDS = 240.0
"""A run must be over after this time; the longest, of a router that drips, takes about 100."""

PATIENCE = {"link": 20.0, "lease": 30.0, "boot": 20.0, "answer": 1.0}
"""Seconds that the routers have for what they do in some milliseconds, but for DHCP."""

MEMORY = 192 * 1024
"""KiB that no process of a run may need at its worst. They need a third of it; a hostile
description would be 256 MiB and more."""


# --- The command ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a command ended: status, output, and the KiB that its largest process needed."""

    status: int
    out: str
    err: str
    seconds: float
    memory: int

    @property
    def said(self) -> str:
        """Both outputs."""
        return self.out + self.err


class Command:
    """A program that was started in a namespace, or as it is; it ends with this process."""

    def __init__(self, arguments: Sequence[str], folder: Path, namespace: NetNs | None) -> None:
        """Start it; ``folder`` is for its outputs."""
        self._began = time.monotonic()
        self._files = [Path(tempfile.mkstemp(dir=folder)[1]) for _ in range(2)]
        self.pid = os.fork()
        if self.pid == 0:
            finish(partial(self._be, arguments, namespace))
        self._fd = os.pidfd_open(self.pid)

    def _be(self, arguments: Sequence[str], namespace: NetNs | None) -> None:
        die_with_parent()
        if namespace is not None:
            namespace.enter()
        for target, path in enumerate((Path(os.devnull), *self._files)):
            os.dup2(os.open(path, os.O_RDWR), target)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setpgid(0, 0)
        environment = {"PATH": os.environ["PATH"], "COLUMNS": "200"}
        os.execve(arguments[0], list(arguments), environment)

    def await_said(self, text: str) -> None:
        """Wait until the command has said this, or has ended."""
        hosts.await_true.retry_with(stop=stop_after_delay(RUN_SECONDS))(
            lambda: text in self._files[1].read_text(errors="replace") or self._over(0)
        )
        assert not self._over(0), f"it ended before it said {text!r}:\n{self.wait()}"

    def wait(self) -> Ended:
        """Wait for its end."""
        assert self._over(RUN_SECONDS), f"it goes on after {RUN_SECONDS:g} s"
        _, status, usage = os.wait4(self.pid, 0)
        os.close(self._fd)
        out, err = (file.read_text(encoding="utf-8") for file in self._files)
        seconds = time.monotonic() - self._began
        code = os.waitstatus_to_exitcode(status)
        return Ended(code, out, err, seconds, usage.ru_maxrss)

    def _over(self, seconds: float) -> bool:
        return bool(select.select([self._fd], [], [], seconds)[0])


def command(arguments: Sequence[str], folder: Path, namespace: NetNs | None = None) -> Ended:
    """Run ``ra-harness`` to its end."""
    return Command((str(COMMAND), *arguments), folder, namespace).wait()


# --- The bench ------------------------------------------------------------------------------------


def router(kind: Callable[[], GearRouter]) -> GearRouter:
    """Make a router, or raise :class:`Unable`."""
    try:
        return kind()
    except MachineError as error:
        raise Unable(str(error)) from error


class Gear:
    """Routers plugged into a bench, and the command run there.

    ``more`` is what the bench file says of each router beside what it has to; a NIC's name in it
    may be another's.
    """

    def __init__(
        self,
        bench: TestBench,
        folder: Path,
        *routers: GearRouter,
        patience: Mapping[str, float] | None = None,
        more: str = "",
    ) -> None:
        """Plug them in and write the bench file."""
        self.bench = bench
        self.folder = folder
        self.file = folder / "bench.toml"
        self.nics: list[str] = []
        text = ["[patience]"]
        text += [f"{key} = {value}" for key, value in {**PATIENCE, **(patience or {})}.items()]
        for each in routers:
            lan, wan = bench.plug(each)
            self.nics += [lan, wan]
            facts = {
                "name": each.name,
                "model": each.model,
                "firmware": each.firmware,
                "lan_nic": lan,
                "wan_nic": wan,
                "claims": each.claims,
            }
            # What JSON makes of a string, TOML reads.
            text += [
                "[[router]]",
                *(f"{key} = {json.dumps(value)}" for key, value in facts.items()),
            ]
            text.append(more)
        self.file.write_text("\n".join(text) + "\n", encoding="utf-8")

    def start(self, *options: str, out: str = "results") -> Command:
        """Start the command on the bench file."""
        arguments = ["gear", "--bench", str(self.file), "--out", str(self.folder / out), *options]
        return Command((str(COMMAND), *arguments), self.folder, self.bench.host)

    def states(self) -> dict[str, Any]:
        """Return the lab machine's links, and all that is known of its NICs."""
        with self.bench.host.entered():
            links = [each["ifname"] for each in json.loads(hosts.run("ip -j link"))]
            return {"links": links, **{nic: hosts.state(nic) for nic in self.nics}}

    def states_as(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return the states; wait for what the kernel does by itself if they are not as before."""
        wait = Retrying(
            retry=retry_if_result(lambda states: states != before),
            stop=stop_after_delay(hosts.DEADLINE),
            wait=wait_fixed(0.05),
            retry_error_callback=lambda tries: tries.outcome and tries.outcome.result(),
        )
        states: dict[str, Any] = wait(self.states)
        return states


@dataclass(frozen=True)
class Outcome:
    """A run to its end: what it said and wrote, and its NICs before and after it."""

    ended: Ended
    folder: Path
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    models: tuple[str, ...]
    firmwares: tuple[str, ...]

    @property
    def results(self) -> Results:
        """What it wrote to ``results.json``."""
        path = self.folder / "results.json"
        assert path.exists(), self.ended.said
        return Results.model_validate_json(path.read_bytes())

    def scenario(self, name: str) -> ScenarioResult:
        """Return one scenario's result."""
        (found,) = (each for each in self.results.scenarios if each.id == name)
        return found


def run(
    *kinds: Callable[[], GearRouter],
    options: Sequence[str] = ("--no-card",),
    patience: Mapping[str, float] | None = None,
    more: str = "",
) -> Later[Outcome]:
    """Register a run against routers, to its end."""

    def work(folder: Path) -> Outcome:
        routers = [router(kind) for kind in kinds]
        with TestBench() as bench:
            gear = Gear(bench, folder, *routers, patience=patience, more=more)
            return played(gear, routers, options)

    return later(work)


def played(gear: Gear, routers: Sequence[GearRouter], options: Sequence[str]) -> Outcome:
    """Run the command on a bench that stands, to its end."""
    before = gear.states()
    ended = gear.start(*options).wait()
    return Outcome(
        ended=ended,
        folder=gear.folder / "results",
        before=before,
        after=gear.states_as(before),
        models=tuple(each.model for each in routers),
        firmwares=tuple(each.firmware for each in routers),
    )


# --- Who belongs to a run -------------------------------------------------------------------------


def descendants(pid: int) -> dict[int, str]:
    """Return every process that a process started, by pid, with when it was started."""
    found: dict[int, str] = {}
    for child in children(pid):
        found |= {child: began(child), **descendants(child)}
    return found


def children(pid: int) -> list[int]:
    """Return the processes that a process started, those of its threads too."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text(encoding="ascii").split()]


def began(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; nothing where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The name before it may have spaces; the start is the 22nd field (proc_pid_stat(5)).
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def left_of(processes: Mapping[int, str]) -> list[int]:
    """Return which of these processes go on, when those that end have had time to."""
    wait = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(hosts.DEADLINE),
        wait=wait_fixed(0.05),
        retry_error_callback=lambda tries: tries.outcome and tries.outcome.result(),
    )
    left: list[int] = wait(lambda: [pid for pid, then in processes.items() if began(pid) == then])
    return left
