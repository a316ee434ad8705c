"""However a run ends, the NICs are as they were, nothing of it is left, and the next run works."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hosts
import pytest
from gear_runs import SECONDS, Ended, Gear, Later, descendants, later, left_of, router
from routers import GearRouter, Lie, LyingRouter, NftIgdRouter, TestBench

pytestmark = pytest.mark.timeout(SECONDS)

OPTIONS = ("--no-card", "--method", "file")
WAYS = {"macvlan": (), "move": ("--move",)}


@dataclass(frozen=True)
class Stopped:
    """A run that was stopped: the NICs before, in the middle and after, and what was left of it.

    ``then`` is how the next run on the same NICs ended.
    """

    ended: Ended
    before: Mapping[str, Any]
    amid: Mapping[str, Any]
    after: Mapping[str, Any]
    processes: int
    left: list[int]
    then: Ended


def dress(gear: Gear) -> None:
    """Give the NIC on the LAN what a spare NIC may have, beside a name."""
    with gear.bench.host.entered():
        hosts.run("ip link set lan0 up mtu 1400 txqueuelen 500 address 02:00:00:00:00:17")
        hosts.run("ip addr add 169.254.9.3/24 dev lan0 scope link")
        via = "via 169.254.9.9 dev lan0"
        hosts.run(f"ip route add 198.18.9.0/24 {via} metric 7 mtu 1300 table 77")
    hosts.await_true(lambda: gear.states()["lan0"]["operstate"] == "UP")


def stopped(how: signal.Signals, way: str, folder: Path) -> Stopped:
    with TestBench() as bench:
        gear = Gear(bench, folder, router(NftIgdRouter))
        dress(gear)
        before = gear.states()
        running = gear.start(*OPTIONS, *WAYS[way])
        running.await_said("1/4 ")  # the second scenario is under way, for some seconds
        amid, processes = gear.states(), descendants(running.pid)
        # As a terminal does it, which ends a command by sending to all that it started.
        os.killpg(running.pid, how)
        ended = running.wait()
        return Stopped(
            ended=ended,
            before=before,
            amid=amid,
            after=gear.states_as(before),
            processes=len(processes),
            left=left_of(processes),
            then=gear.start(*OPTIONS, *WAYS[way], out="next").wait(),
        )


@dataclass(frozen=True)
class Over:
    """A run that came to its end, and the NICs before and after it."""

    ended: Ended
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def over(kind: Callable[[], GearRouter], way: str, folder: Path) -> Over:
    with TestBench() as bench:
        gear = Gear(bench, folder, router(kind))
        dress(gear)
        before = gear.states()
        ended = gear.start(*OPTIONS, *WAYS[way]).wait()
        return Over(ended, before, gear.states_as(before))


SIGNALS = (signal.SIGKILL, signal.SIGINT)
STOPPED: dict[tuple[signal.Signals, str], Later[Stopped]] = {
    (how, way): later(partial(stopped, how, way)) for how in SIGNALS for way in WAYS
}
HONEST: dict[str, Later[Over]] = {way: later(partial(over, NftIgdRouter, way)) for way in WAYS}
LYING: dict[str, Later[Over]] = {
    way: later(partial(over, partial(LyingRouter, Lie.ACTION_FAILED), way)) for way in WAYS
}

each_way = pytest.mark.parametrize("way", WAYS)
each_signal = pytest.mark.parametrize("how", SIGNALS, ids=lambda how: how.name)


@each_way
@pytest.mark.parametrize(("runs", "status"), [(HONEST, 0), (LYING, 1)], ids=["agrees", "differs"])
def test_nics_are_as_before_when_a_run_is_over(
    runs: Mapping[str, Later[Over]], status: int, way: str
) -> None:
    found = runs[way].result()
    assert found.ended.status == status, found.ended.said
    assert found.after == found.before


@each_way
@each_signal
def test_nics_are_as_before_when_a_run_was_stopped(how: signal.Signals, way: str) -> None:
    found = STOPPED[how, way].result()
    assert found.amid != found.before, "the NICs were not taken at all"
    assert found.after == found.before


@each_way
@each_signal
def test_no_process_is_left_of_a_run_that_was_stopped(how: signal.Signals, way: str) -> None:
    found = STOPPED[how, way].result()
    assert found.processes > 5, "the processes of the run were not seen at all"
    assert found.left == []


@each_way
@each_signal
def test_the_next_run_works(how: signal.Signals, way: str) -> None:
    then = STOPPED[how, way].result().then
    assert then.status == 0, then.said
    assert "4 of 4 agree" in then.out


@each_way
def test_ctrl_c_ends_a_run_by_130_and_a_line(way: str) -> None:
    ended = STOPPED[signal.SIGINT, way].result().ended
    assert ended.status == 130, ended.said
    assert "Traceback" not in ended.said
    assert ended.seconds < 60


@each_way
def test_a_killed_run_says_nothing_more(way: str) -> None:
    ended = STOPPED[signal.SIGKILL, way].result().ended
    assert ended.status == -signal.SIGKILL
    assert "Traceback" not in ended.said
