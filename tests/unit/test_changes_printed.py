"""Changes as a terminal shows them."""

from __future__ import annotations

from io import StringIO

from factories import attempt, observed, results, scenario
from rich.console import Console

from harness.judge.changes import compare
from harness.judge.model import Results
from harness.report.changes import print_changes
from harness.words import End

AGREES = scenario("file", "nat", "direct", observed("no"))
DIFFERS = scenario("file", "nat", "direct", observed("yes"))


def printed(old: Results, new: Results) -> str:
    file = StringIO()
    print_changes(compare(old, new), Console(width=80, file=file, force_terminal=False))
    return file.getvalue()


def test_no_change_is_said_in_one_line() -> None:
    text = printed(results(AGREES), results(AGREES))
    assert text.splitlines() == [
        "old  20260301-120000-1a2b, 2026-03-01 12:00, namespaces",
        "new  20260301-120000-1a2b, 2026-03-01 12:00, namespaces",
        "",
        "1 scenario compared: no change",
    ]


def test_a_cell_says_what_it_was_and_is_and_the_worst_comes_first() -> None:
    better = [each.model_copy(update={"id": "file/mended"}) for each in (DIFFERS, AGREES)]
    text = printed(results(better[0], AGREES), results(better[1], DIFFERS))
    assert text.index("  worse   file/nat+direct") < text.index("  better  file/mended")
    assert "    was  agrees (no): expert to 80.1.2.3:3389 dropped by" in text
    assert "    now  differs (yes): documented no, observed yes:" in text
    assert text.splitlines()[-1].startswith("2 scenarios compared: 1 worse, 1 better,")


def test_an_attempt_says_how_it_ended_then_and_now() -> None:
    refused = scenario("file", "nat", "direct", observed("no", attempt(end=End.REFUSED)))
    text = printed(results(AGREES), results(refused))
    assert "    was  expert -> 80.1.2.3:3389  timeout at novice.nat" in text
    assert "    now  expert -> 80.1.2.3:3389  refused at novice.nat" in text
    assert text.endswith("1 attempt ended otherwise\n")


def test_a_time_says_from_what_to_what() -> None:
    slow = AGREES.model_copy(update={"seconds": 2.0})
    text = printed(results(AGREES), results(slow))
    assert "    file/nat+direct: 0.11 s -> 2.00 s (+1.89 s)" in text


def test_a_slower_machine_is_told_once() -> None:
    runs = [
        results(*(AGREES.model_copy(update={"id": str(n), "seconds": took}) for n in range(5)))
        for took in (1.0, 3.0)
    ]
    assert "the median scenario took +2.00 s" in printed(*runs)


def test_what_one_run_only_has_is_named() -> None:
    text = printed(results(AGREES), results())
    assert "Only in the old run\n    file/nat+direct: agrees (no)" in text


def test_a_version_says_from_what_to_what() -> None:
    new = results(AGREES)
    run = new.run.model_copy(update={"versions": {}})
    text = printed(results(AGREES), new.model_copy(update={"run": run}))
    assert "  miniupnpd:\n    2.3.1 -> not said\n" in text


def test_it_fits_80_columns_and_shows_no_terminal_command() -> None:
    odd = AGREES.model_copy(update={"id": "x" * 100, "why": "\x1b[31m" + "y " * 100})
    long = DIFFERS.model_copy(update={"id": "x" * 100, "why": "z" * 200})
    text = printed(results(odd), results(long))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
