"""Changes as one page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from card_runs import card, check, gear, router, twelve
from factories import attempt, observed, predicted, results, scenario
from html_pages import HOSTILE, Reader, words

from harness.errors import OutputError
from harness.judge.card import Level, Outcome
from harness.judge.changes import compare
from harness.judge.model import Results, ScenarioResult
from harness.report.html.changes import changes_page, write_changes
from harness.words import End

AGREES = scenario("file", "nat", "direct", observed("no"))
DIFFERS = scenario("file", "nat", "direct", observed("yes"))


def told(old: Results, new: Results) -> str:
    return changes_page(compare(old, new), "./old/report.html", "./new/report.html")


def heading(text: str) -> str:
    found = re.search("<h1>.*</h1>", text)
    assert found is not None
    return words(found[0]).strip()


def named(result: ScenarioResult, name: str) -> ScenarioResult:
    return result.model_copy(update={"id": name})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (AGREES, DIFFERS, "\N{DOWNWARDS ARROW} Worse: 1 scenario compared: 1 worse"),
        (DIFFERS, AGREES, "\N{UPWARDS ARROW} Better: 1 scenario compared: 1 better"),
        (AGREES, AGREES, "= No change: 1 scenario compared: no change"),
        (AGREES, None, "\N{NOT EQUAL TO} Changed: 0 scenarios compared: 1 only in the old run"),
    ],
)
def test_the_heading_says_in_a_word_where_it_went(
    old: ScenarioResult, new: ScenarioResult | None, said: str
) -> None:
    text = told(results(old), results(*([new] if new else [])))
    assert heading(text).startswith(said)


def test_one_that_got_worse_outranks_any_that_got_better() -> None:
    old = results(named(DIFFERS, "file/mended"), AGREES)
    text = told(old, results(named(AGREES, "file/mended"), DIFFERS))
    assert heading(text).startswith("\N{DOWNWARDS ARROW} Worse: ")
    worse = words(text).index("worse file/nat+direct")
    assert worse < words(text).index("better file/mended")


def test_what_only_changed_beside_what_got_better_is_not_called_better() -> None:
    open_no = scenario("file", "nat,nat", "direct", observed("no"))
    open_yes = scenario("file", "nat,nat", "direct", observed("yes"))
    text = told(results(DIFFERS, open_no), results(AGREES, open_yes))
    assert heading(text).startswith("\N{NOT EQUAL TO} Changed: 2 scenarios compared: 1 better, 1 ")


def test_a_cell_says_what_it_was_and_is_and_leads_to_both_reports() -> None:
    text = told(results(AGREES), results(DIFFERS))
    assert "was \N{CHECK MARK} agrees (no) expert to 80.1.2.3:3389 dropped by" in words(text)
    assert "now \N{BALLOT X} differs (yes) documented no, observed yes:" in words(text)
    assert {
        "./old/report.html",
        "./new/report.html",
        "./old/report.html#file/nat+direct",
        "./new/report.html#file/nat+direct",
    } == set(Reader(text).addresses)


def test_runs_without_reports_are_named_and_not_linked() -> None:
    text = changes_page(compare(results(AGREES), results(DIFFERS)))
    assert Reader(text).addresses == []
    assert "old: 20260301-120000-1a2b, 2026-03-01 12:00, namespaces" in words(text)


def test_an_attempt_says_how_it_ended_then_and_now() -> None:
    refused = scenario("file", "nat", "direct", observed("no", attempt(end=End.REFUSED)))
    text = words(told(results(AGREES), results(refused)))
    assert "was expert -&gt; 80.1.2.3:3389 timeout at novice.nat" in text
    assert "now expert -&gt; 80.1.2.3:3389 refused at novice.nat" in text


@pytest.mark.parametrize(("took", "word"), [(2.0, "+1.89 s, slower"), (0.1, "")])
def test_a_time_that_moved_says_by_how_much_and_which_way(took: float, word: str) -> None:
    slow = AGREES.model_copy(update={"seconds": took})
    text = words(told(results(AGREES), results(slow)))
    assert ("Times that moved" in text) is bool(word)
    assert word in text


def test_a_slower_machine_is_told_once() -> None:
    runs = [
        results(*(named(AGREES, str(n)).model_copy(update={"seconds": t}) for n in range(5)))
        for t in (1.0, 3.0)
    ]
    assert words(told(*runs)).count("The median scenario took +2.00 s") == 1


def test_versions_that_changed_and_what_one_run_only_has_are_told() -> None:
    new = results()
    run = new.run.model_copy(update={"versions": {}})
    text = words(told(results(AGREES), new.model_copy(update={"run": run})))
    assert "miniupnpd 2.3.1 not said" in text
    assert "Only in the old run (1)" in text
    assert "Both runs had the same versions" in words(told(results(AGREES), results(AGREES)))


def test_what_became_unexpected_says_so() -> None:
    wrong = scenario("file", "cgnat", "icf", observed("yes"), forecast=predicted("no"))
    right = scenario("file", "cgnat", "icf", observed("no"), forecast=predicted("no"))
    text = words(told(results(right), results(wrong)))
    assert "now \N{WHITE CIRCLE} undocumented (yes, not as predicted)" in text


def test_what_a_results_file_says_is_text_and_never_markup() -> None:
    odd = named(AGREES, HOSTILE).model_copy(update={"why": HOSTILE})
    end = attempt(ended_at=HOSTILE, how=HOSTILE)
    worse = DIFFERS.model_copy(update={"id": HOSTILE, "observed": observed("yes", end)})
    new = results(worse)
    run = new.run.model_copy(update={"id": HOSTILE, "runtime": HOSTILE, "versions": {"x": HOSTILE}})
    text = told(results(odd), new.model_copy(update={"run": run}))
    reader = Reader(text)
    assert not {"script", "img"} & set(reader.tags)
    assert "\u202e" not in text
    assert all(address.startswith("./") for address in reader.addresses)


def test_links_are_relative_to_the_page_and_quoted(tmp_path: Path) -> None:
    page = tmp_path / "out" / "changes.html"
    page.parent.mkdir()
    old, new = tmp_path / "ol d" / "report.html", tmp_path / "out" / "report.html"
    write_changes(compare(results(AGREES), results(DIFFERS)), page, old, new)
    addresses = Reader(page.read_text(encoding="utf-8")).addresses
    assert "./../ol%20d/report.html#file/nat+direct" in addresses
    assert "./report.html" in addresses


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    changes = compare(results(AGREES), results(AGREES))
    with pytest.raises(OutputError, match="No such file"):
        write_changes(changes, tmp_path / "none" / "changes.html")


def checked(outcome: Outcome, level: Level = Level.REQUIRED) -> Results:
    return gear(card(check("a", outcome, level)))


@pytest.mark.parametrize(
    ("old", "new", "level", "headline"),
    [
        (Outcome.COMPLIANT, Outcome.NON_COMPLIANT, Level.REQUIRED, "Worse"),
        (Outcome.COMPLIANT, Outcome.NON_COMPLIANT, Level.RECOMMENDED, "Changed"),
        (Outcome.NON_COMPLIANT, Outcome.COMPLIANT, Level.RECOMMENDED, "Better"),
        (Outcome.COMPLIANT, Outcome.NOT_OFFERED, Level.REQUIRED, "Changed"),
    ],
)
def test_the_heading_counts_checks_of_cards(
    old: Outcome, new: Outcome, level: Level, headline: str
) -> None:
    text = heading(told(checked(old, level), checked(new, level)))
    assert f"{headline}: 12 scenarios compared: no change; 1 check compared: 1 " in text


def test_a_card_of_one_run_alone_is_a_change() -> None:
    text = told(checked(Outcome.COMPLIANT), gear())
    assert "Changed: " in heading(text)
    assert "The card of acme is in the old run only." in text
    assert '<ol class="findings changes">' not in text


def test_the_head_says_from_which_firmware_to_which() -> None:
    text = words(told(gear(), gear(routers=(router(firmware="1.1"),))))
    assert "acme : X1; firmware 1.0 -&gt; 1.1" in text


def test_a_check_says_what_it_was_and_is_and_leads_to_both_reports() -> None:
    text = told(checked(Outcome.COMPLIANT), checked(Outcome.NON_COMPLIANT))
    assert "worse acme: A taken port is refused WANIPConnection:2 2.5.16, required" in words(text)
    assert "was \N{CHECK MARK} compliant" in words(text)
    assert "now \N{BALLOT X} non-compliant" in words(text)
    assert {"./old/report.html#card:acme/a", "./new/report.html#card:acme/a"} <= set(
        Reader(text).addresses
    )


def test_a_check_that_a_card_does_not_have_leads_nowhere() -> None:
    text = told(gear(card(check("a"))), gear(card(check("a"), check("b"))))
    assert "was not on the card" in words(text)
    assert [each for each in Reader(text).addresses if each.endswith("/b")] == [
        "./new/report.html#card:acme/b"
    ]


def test_nothing_that_a_router_says_is_markup() -> None:
    made = router(HOSTILE, HOSTILE, HOSTILE).model_copy(
        update={"claims": HOSTILE, "wan_addressing": HOSTILE}
    )
    old = gear(card(check(HOSTILE), of=router(HOSTILE)), routers=(router(HOSTILE),))
    bad = check(HOSTILE, Outcome.ERROR, title=HOSTILE, source=HOSTILE, detail=HOSTILE)
    new = gear(card(bad, of=made), routers=(made,), scenarios=twelve(HOSTILE))
    tags = Reader(told(old, new)).tags
    assert not {"script", "img"} & set(tags)
