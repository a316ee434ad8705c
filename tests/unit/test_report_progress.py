"""How far a run is, on a terminal and in a log."""

from __future__ import annotations

import subprocess
import sys
import threading
from io import StringIO

import pytest
from factories import control, observed, predicted, scenario
from rich.console import Console

from harness.judge.model import ScenarioResult
from harness.report.live import LiveProgress
from harness.report.progress import PlainProgress, choose

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the tests are started from out of them."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("TTY_INTERACTIVE", raising=False)


class Terminal(StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(width: int = 80) -> Console:
    return Console(file=Terminal(), width=width, force_terminal=True, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def newest(console: Console) -> list[str]:
    """Return the lines of the display as it was drawn last."""
    return written(console).rpartition("\x1b[2K")[2].splitlines()


def a_log_of(*finished: ScenarioResult, total: int) -> list[str]:
    console = Console(file=StringIO(), width=40)
    with choose(console) as progress:
        progress.started(total)
        for result in finished:
            progress.scenario_started(result.id)
            progress.scenario_finished(result)
    return written(console).splitlines()


def test_a_log_gets_one_aligned_line_for_each_finished_scenario() -> None:
    broken = control(passed=False)
    assert a_log_of(
        scenario("file", "nat", "direct", observed("no")),
        scenario("messenger", "upnp-nat", "upnp-nat", observed("no"), seconds=12.345),
        scenario("email", "nat", "nat", None),
        scenario("email", "me-ics", "direct", observed("yes"), controls=(broken,)),
        total=36,
    ) == [
        " 1/36 agrees  file/nat+direct              documented no, observed no    0.11 s",
        " 2/36 differs messenger/upnp-nat+upnp-nat  documented yes, observed no   12.35 s",
        " 3/36 error   email/nat+nat                documented no, not observed   0.11 s",
        " 4/36 invalid email/me-ics+direct          documented yes, observed yes  0.11 s",
    ]


def test_a_log_says_what_the_article_does_not_document() -> None:
    [line] = a_log_of(scenario("file", "nat,nat", "direct", observed("yes")), total=1)
    assert line == (
        "1/1 undocumented file/nat,nat+direct          not documented, observed yes  0.11 s"
    )


def test_a_log_shows_a_hostile_id_harmless() -> None:
    hostile = scenario("file", "nat", "nat", observed("no")).model_copy(
        update={"id": "[red]\x1b[2J\n:bomb:"}
    )
    [line] = a_log_of(hostile, total=1)
    assert r"[red]\x1b[2J\n:bomb:" in line


@pytest.mark.parametrize("make", [PlainProgress, LiveProgress])
def test_what_a_router_says_is_shown_harmless(
    make: type[PlainProgress] | type[LiveProgress],
) -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False)
    make(console).say("acme: it says '\x1b[2J\u202e :smile: [red]'")
    assert written(console) == "acme: it says '\\x1b[2J\\u202e :smile: [red]'\n"


def test_a_terminal_gets_the_live_display_and_a_log_does_not() -> None:
    assert isinstance(choose(terminal()), LiveProgress)
    assert isinstance(choose(Console(file=StringIO())), PlainProgress)


def test_a_log_that_is_forced_to_be_colourful_is_still_a_log() -> None:
    assert isinstance(choose(Console(file=StringIO(), force_terminal=True)), PlainProgress)


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose(Console(file=Terminal())), PlainProgress)


def test_the_display_shows_the_count_and_what_is_running() -> None:
    console = terminal()
    with choose(console) as progress:
        progress.started(3)
        for result_id in ("file/nat+direct", "file/nat+nat", "email/[red]"):
            progress.scenario_started(result_id)
        progress.scenario_finished(scenario("file", "nat", "direct", observed("no")))
        bar, running = newest(console)
        assert bar.startswith("━" * 13)
        assert bar.rstrip().endswith("  1 of 3")
        assert running.strip() == "running file/nat+nat, email/[red]"


def test_the_display_counts_whatever_somebody_has_to_look_at() -> None:
    console = terminal()
    with choose(console) as progress:
        progress.started(4)
        progress.scenario_finished(scenario("file", "nat", "nat", observed("no")))
        progress.scenario_finished(scenario("file", "nat", "nat", observed("yes")))
        assert "2 of 4, 1 does not agree" in newest(console)[0]
        progress.scenario_finished(scenario("file", "nat", "nat", None))
        unexpected = scenario("file", "a", "b", observed("yes"), forecast=predicted("no"))
        progress.scenario_finished(unexpected)
        assert "4 of 4, 3 do not agree" in newest(console)[0]


@pytest.mark.parametrize("width", [5, 40, 80])
def test_the_display_is_never_wider_than_the_terminal(width: int) -> None:
    console = terminal(width)
    with choose(console) as progress:
        progress.started(100)
        for number in range(30):
            progress.scenario_started(f"messenger/upnp-nat+upnp-nat{number}")
        assert max(map(len, newest(console))) <= width


def test_more_running_scenarios_than_fit_are_counted() -> None:
    console = terminal()
    with choose(console) as progress:
        progress.started(100)
        for number in range(12):
            progress.scenario_started(f"messenger/upnp-nat+nat{number}")
        assert newest(console)[-1].strip() == (
            "running messenger/upnp-nat+nat0, messenger/upnp-nat+nat1 and 10 more"
        )


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, ValueError, None])
def test_an_interrupted_display_leaves_a_clean_screen_and_a_cursor(
    ending: type[BaseException] | None,
) -> None:
    console = terminal()

    def run() -> None:
        with choose(console) as progress:
            progress.started(2)
            progress.scenario_started("file/nat+nat")
            if ending is not None:
                raise ending

    if ending is None:
        run()
    else:
        with pytest.raises(ending):
            run()
    text = written(console)
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    # After its last drawing the display goes up line by line and erases each.
    assert text.rpartition(SHOW_CURSOR)[2].count("\x1b[1A\x1b[2K") == 2


def test_a_display_may_be_closed_twice() -> None:
    console = terminal()
    with choose(console) as progress:
        progress.started(1)
        progress.close()
        after = written(console)
    assert written(console) == after


def test_the_display_starts_no_thread() -> None:
    before = set(threading.enumerate())
    with choose(terminal()) as progress:
        progress.started(1)
        assert set(threading.enumerate()) <= before


def test_what_is_printed_meanwhile_stands_above_the_display() -> None:
    console = terminal()
    with choose(console) as progress:
        progress.started(1)
        console.print("a word from the run")
        word, bar, *_ = newest(console)
        assert word == "a word from the run"
        assert bar.rstrip().endswith("0 of 1")


def test_the_plain_progress_does_not_load_the_live_display() -> None:
    code = (
        "import sys, io, rich.console, harness.report.progress as p;"
        "p.choose(rich.console.Console(file=io.StringIO()));"
        "sys.exit('rich.live' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
