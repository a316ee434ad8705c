"""What a run against real routers prints: routers, scenarios, cards, and what needs a look."""

from __future__ import annotations

from io import StringIO

from card_runs import OF_EACH_KIND, card, check, gear, router, seen, twelve
from factories import predicted
from rich.console import Console

from harness.judge.card import Card, Outcome
from harness.judge.model import Results
from harness.report.gear import print_card, render_gear


def printed(results: Results, width: int = 100, notes: tuple[str, ...] = ()) -> str:
    file = StringIO()
    render_gear(results, Console(file=file, width=width), notes)
    return file.getvalue()


def printed_card(made: Card, width: int = 100) -> str:
    file = StringIO()
    print_card(made, Console(file=file, width=width))
    return file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def test_each_router_has_a_head_of_its_own_with_model_and_firmware() -> None:
    results = gear(
        scenarios=[*twelve(), *twelve("other")],
        routers=(router(), router("other", "Y2", "7.1 beta")),
    )
    text = words(printed(results))
    assert "acme: X1, firmware 1.0; its maker claims upnp-nat" in text
    assert "other: Y2, firmware 7.1 beta; its maker claims upnp-nat" in text
    assert "LAN 192.168.178.1/24, WAN 80.100.10.16 by DHCP" in text


def test_a_cell_has_the_answers_and_the_verdict() -> None:
    differs = seen("file", "acme", "direct", "no")
    text = printed(gear(scenarios=twelve("acme", differs)))
    row = text[text.index("novice acme") : text.index("novice direct")]
    assert row.count("says Yes") == 3
    assert row.count("saw  Yes") == 2
    assert row.count("saw  No") == 1
    assert row.count("agrees") == 2
    assert row.count("differs") == 1


def test_a_method_that_was_not_run_is_said_to_be_so() -> None:
    text = printed(gear(scenarios=[seen("file", "acme", "direct")]))
    assert text.count("not run") == 2


def test_only_what_needs_a_look_is_told_in_detail() -> None:
    differs = seen("file", "acme", "direct", "no")
    text = printed(gear(scenarios=twelve("acme", differs)))
    assert "file/acme+direct" in text
    assert "email/acme+direct" not in text


def test_findings_that_fill_more_than_a_screen_are_listed_again_below_the_cards() -> None:
    differing = [seen(method, "acme", "direct", "no") for method in ("messenger", "email", "file")]
    fourth = seen("file", "direct", "acme", "no")
    for found, times in ((differing, 0), ([*differing, fourth], 1)):
        text = printed(gear(card(check()), scenarios=twelve("acme", *found)))
        below = text[text.index("Card of acme") :]
        assert below.count("file/acme+direct: ") == times


def test_a_cell_that_the_model_did_not_expect_says_so() -> None:
    odd = seen("file", "acme", "direct").model_copy(update={"predicted": predicted("no")})
    for width in (100, 60):
        text = printed(gear(scenarios=twelve("acme", odd)), width)
        table, _, below = text.partition("file/acme+direct")
        assert table.count("not as predicted") == 1
        assert "not as predicted" in below


def test_a_card_alone_has_no_empty_table() -> None:
    text = printed(gear(card(*OF_EACH_KIND), scenarios=[]))
    assert "acme: X1" in text
    assert "Behind a router" not in text
    assert text.endswith("no scenario was run\n")


def test_a_narrow_terminal_gets_a_list_of_the_same() -> None:
    text = printed(gear(), width=60)
    assert "─" not in text
    assert "novice acme, expert direct" in text
    assert max(map(len, text.splitlines())) <= 60


def test_a_terminal_of_80_columns_is_wide_enough_for_the_table() -> None:
    text = printed(gear(), width=80)
    assert "╭" in text
    assert max(map(len, text.splitlines())) <= 80


def test_notes_stand_below_and_the_summary_last() -> None:
    text = printed(gear(), notes=("acme: a real router",))
    assert "note  acme: a real router" in text
    assert text.splitlines()[-1].startswith("12 of 12 agree")


def test_a_card_says_how_many_checks_came_to_what_and_names_the_bad_ones() -> None:
    text = words(printed_card(card(*OF_EACH_KIND)))
    assert (
        "Card of acme: 1 compliant, 2 non-compliant, 1 not offered, 1 not tested, 1 error" in text
    )
    assert "A lease ends (WANIPConnection:2 2.5.16, required): it stays open" in text
    assert "it was not over after 60 s" in text
    for fine in ("718 ConflictInMappingEntry (", "it has no IGD:2", "it takes minutes"):
        assert fine not in text
    assert "cards/acme" in text


def test_what_sources_demand_is_named_before_what_they_advise() -> None:
    text = printed_card(card(*OF_EACH_KIND))
    assert text.index("A lease ends") < text.index("Secure mode")


def test_a_card_without_checks_says_so() -> None:
    assert "Card of acme: no check was made" in printed_card(card())


def test_a_card_that_was_made_is_said_to_change_no_verdict() -> None:
    said = "no check of it changes the verdict"
    assert said in words(printed(gear(card(*OF_EACH_KIND))))
    assert said not in words(printed(gear()))


def test_what_a_router_says_cannot_command_the_terminal() -> None:
    bad = "\x1b[31m\u202e\x9b1m[bold]X"
    made = card(check("c", Outcome.NON_COMPLIANT, title=bad, detail=bad, source=bad))
    results = gear(made, routers=(router(model=bad, firmware=bad),))
    for text in (printed(results), printed(results, width=60)):
        assert not {"\x1b", "\u202e", "\x9b"} & set(text)
        assert "[bold]X" in words(text), "markup is no markup"
