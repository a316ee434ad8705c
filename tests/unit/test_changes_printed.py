"""Changes as a terminal shows them."""

from __future__ import annotations

from io import StringIO

from card_runs import card, check, gear, router
from factories import attempt, observed, results, scenario
from rich.console import Console

from harness.judge.card import Level, Outcome
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


def test_a_time_of_an_attempt_says_which_dial_took_it() -> None:
    slow = scenario("file", "nat", "direct", observed("no", attempt(seconds=1.02)))
    text = printed(results(AGREES), results(slow))
    assert "file/nat+direct, expert -> 80.1.2.3:3389: 0.01 s -> 1.02 s (+1.01 s)" in text


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


def test_the_head_says_from_which_firmware_to_which() -> None:
    text = printed(gear(), gear(routers=(router(firmware="1.1"),)))
    assert text.splitlines()[2] == "acme: X1; firmware 1.0 -> 1.1"
    assert "\nacme: X1; firmware 1.0\n" in printed(gear(), gear())


def test_the_head_says_what_else_of_a_router_is_not_as_it_was() -> None:
    other = {"claims": "nat", "wan_addressing": "static"}
    text = printed(gear(), gear(routers=(router().model_copy(update=other),)))
    assert (
        "acme: X1; firmware 1.0; its maker claims upnp-nat -> nat; WAN by dhcp -> static\n" in text
    )
    assert "only in the new run" in printed(gear(), gear(routers=(router("beta", "X2"),)))


def test_a_check_says_what_it_was_and_is_and_what_is_demanded_comes_first() -> None:
    works = [
        check("advised", level=Level.RECOMMENDED, title="Advised"),
        check("mended", Outcome.NON_COMPLIANT, title="Mended"),
        check("needed", title="Needed"),
        check("gone"),
    ]
    fails = [
        check("advised", Outcome.NON_COMPLIANT, Level.RECOMMENDED, title="Advised"),
        check("mended", title="Mended"),
        check("needed", Outcome.NON_COMPLIANT, title="Needed", detail="it stays open"),
    ]
    text = printed(gear(card(*works)), gear(card(*fails)))
    lines = text[text.index("Cards\n") :].splitlines()
    assert lines[1:4] == [
        "  worse   acme: Needed (WANIPConnection:2 2.5.16, required)",
        "    was  compliant: 718 ConflictInMappingEntry",
        "    now  non-compliant: it stays open",
    ]
    assert lines[4].startswith("  worse   acme: Advised")
    assert lines[7].startswith("  better  acme: Mended")
    assert lines[12] == "    now  not on the card"
    assert text.endswith(
        "12 scenarios compared: no change; 3 checks compared: 2 worse, 1 better, 1\n"
        "otherwise changed\n"
    )


def test_a_card_of_one_run_alone_is_named() -> None:
    text = printed(gear(card(check())), gear())
    assert "  the card of acme is in the old run only\n" in text
    assert text.endswith(
        "12 scenarios compared: no change; the card of acme is in the old run only\n"
    )


def test_nothing_that_a_router_says_reaches_the_terminal_as_it_is() -> None:
    odd = "\x1b[31m\u202e"
    made = router(odd, odd, odd).model_copy(update={"claims": odd, "wan_addressing": odd})
    old = gear(card(check(), of=router(odd)), routers=(router(odd),))
    bad = check(outcome=Outcome.ERROR, title=odd, source=odd, detail=odd)
    text = printed(old, gear(card(bad, of=made), routers=(made,)))
    assert text.isascii()
    assert "\x1b" not in text
    assert "\\x1b[31m" in text
