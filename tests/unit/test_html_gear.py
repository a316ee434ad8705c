"""The report of a run against real routers as one HTML file."""

from __future__ import annotations

import re

import pytest
from card_runs import OF_EACH_KIND, card, check, gear, router, seen, twelve
from html_pages import HOSTILE, Reader, words

from harness.judge.card import Card, CheckResult, Outcome
from harness.judge.model import Results
from harness.report.cards import NO_VERDICT
from harness.report.html.gear import check_anchor
from harness.report.html.page import page

FILES = {"cards/acme": ("capture.pcapng", "card.json")}


def told(results: Results) -> str:
    return page(results, {}, (), FILES)


def of(*checks: CheckResult) -> str:
    return told(gear(card(*checks)))


def part(text: str, name: str) -> str:
    """Return a section by the id of its heading."""
    found = re.search(f'<section aria-labelledby="{name}">(.*?)</section>', text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_head_says_what_each_router_is_and_leads_to_its_card() -> None:
    text = told(gear(card(*OF_EACH_KIND)))
    head = text[: text.index("</header>")]
    assert (
        "acme : X1, firmware 1.0; its maker claims upnp-nat LAN 192.168.178.1/24, "
        "WAN 80.100.10.16 by DHCP; its card: 1 compliant, 2 non-compliant, 1 not offered, "
        "1 not tested, 1 error ; 1 required check is non-compliant"
    ) in words(head)
    assert 'href="#card:acme"' in head
    assert "<title>Agrees: acme, KB301529 run" in text


def test_a_router_without_a_card_leads_to_none() -> None:
    text = told(gear())
    assert "firmware 1.0" in text
    assert "#card:" not in text
    assert 'id="cards"' not in text


def test_a_run_without_routers_has_none_of_it() -> None:
    results = gear()
    text = told(results.model_copy(update={"run": results.run.model_copy(update={"routers": ()})}))
    assert 'class="routers"' not in text
    assert "Behind a router" not in text


def test_a_router_s_table_has_the_article_s_shape_and_leads_to_each_scenario() -> None:
    differing = seen("file", "acme", "direct", "no")
    table = part(told(gear(scenarios=twelve("acme", differing))), "router-1")
    heads = [words(each).strip() for each in re.findall('<th scope="row">(.*?)</th>', table)]
    assert heads == [
        "Novice novice acme expert direct",
        "Expert novice direct expert acme",
        "Novice and Expert novice acme expert upnp-nat",
        "Novice and Expert novice upnp-nat expert acme",
    ]
    assert words(table).count("article: Yes") == 12
    linked = [address.removeprefix("#") for address in Reader(table).addresses]
    assert linked == [result.id for result in twelve()]
    assert table.count('class="seen differs"') == 1


def test_the_table_says_that_the_other_side_of_both_was_the_project_s_own() -> None:
    said = "the other side is this project&#39;s own upnp-nat, as reference"
    assert said in part(told(gear()), "router-1")
    two = gear(scenarios=[seen("file", "acme", "b")], routers=(router(), router("b")))
    assert "as reference" not in told(two)


def test_a_card_alone_has_no_empty_tables_and_no_verdict() -> None:
    text = told(gear(card(*OF_EACH_KIND), scenarios=[]))
    reader = Reader(text)
    assert "Agrees" not in text
    assert {"router-1", "all"} & set(reader.ids) == set()
    assert reader.tags.count("table") == 1, "the card's counts"
    assert {each[1:] for each in reader.addresses if each.startswith("#")} <= set(reader.ids)
    assert "X1, firmware 1.0" in text


def test_what_was_not_run_says_so() -> None:
    table = part(told(gear(scenarios=twelve()[:2])), "router-1")
    assert words(table).count("not run") == 1


def test_a_run_against_routers_has_no_grid_of_pairs() -> None:
    assert "Every pair by" not in told(gear())


def test_the_card_says_that_it_changes_no_verdict() -> None:
    text = of(check(outcome=Outcome.NON_COMPLIANT))
    assert NO_VERDICT[1:] in text
    assert "Agrees: 12 of 12" in words(text)
    assert 'id="findings"' not in text


def test_what_sources_demand_comes_first_and_in_it_what_is_not_compliant() -> None:
    text = part(of(*OF_EACH_KIND), "card:acme")
    titles = [words(each).strip() for each in re.findall("<h4>(.*?)</h4>", text)]
    assert titles == [
        "Required: what the sources demand (4)",
        "Recommended: what the sources recommend (1)",
        "Informational: what is good to know; nobody asks for it (1)",
    ]
    ids = [each for each in Reader(text).ids if "/" in each]
    order = ("broken", "crashed", "works", "absent", "advised", "later")
    assert ids == [f"card:acme/{name}" for name in order]


def test_a_check_says_title_source_outcome_and_what_was_seen() -> None:
    text = part(of(*OF_EACH_KIND), "card:acme")
    broken = text[text.index('id="card:acme/broken"') : text.index('id="card:acme/crashed"')]
    assert (
        words(broken).split()
        == (
            'id="card:acme/broken"> ✗ non-compliant A lease ends WANIPConnection:2 2.5.16 '
            "it stays open Evidence of: A lease ends lan: AddPortMapping -> error 718 "
            'The packets of the whole card <li class="error"'
        )
        .replace("->", "-&gt;")
        .split()
    )
    assert 'class="badge differs"' in broken


@pytest.mark.parametrize(
    ("outcome", "sign", "look"),
    [
        (Outcome.COMPLIANT, "✓", "agrees"),
        (Outcome.NON_COMPLIANT, "✗", "differs"),
        (Outcome.NOT_OFFERED, "○", "undocumented"),
        (Outcome.NOT_TESTED, "\N{EN DASH}", "untested"),
        (Outcome.ERROR, "!", "error"),
    ],
)
def test_an_outcome_has_a_sign_a_word_and_a_colour(outcome: Outcome, sign: str, look: str) -> None:
    badge = re.search(r'<span class="badge (\S+)">(.*?)</span>\s*<div>', of(check(outcome=outcome)))
    assert badge is not None
    assert (badge[1], words(badge[2]).split(maxsplit=1)) == (look, [sign, outcome.value])


def test_counts_are_by_level_and_outcome() -> None:
    text = part(of(*OF_EACH_KIND), "card:acme")
    table = text[text.index("<table") : text.index("</table>")]
    assert " ".join(words(table).split()) == (
        "Level compliant non-compliant not offered not tested error "
        "required 1 1 1 0 1 recommended 0 1 0 0 0 informational 0 0 0 1 0"
    )


def test_evidence_lies_behind_a_summary_with_the_card_s_capture() -> None:
    text = of(check(evidence=("one", "Traceback:\n  two")))
    details = re.search("<details>(.*?)</details>", part(text, "card:acme"), re.DOTALL)
    assert details is not None
    lines = re.findall("<p>(.*?)</p>", details[1])
    assert lines == ["one", "Traceback:", "  two"]
    assert Reader(details[1]).addresses == ["./cards/acme/capture.pcapng"]


def test_the_card_s_files_are_linked_where_there_are_some() -> None:
    addresses = Reader(part(of(check()), "card:acme")).addresses
    assert addresses[:2] == ["./cards/acme/capture.pcapng", "./cards/acme/card.json"]
    bare = part(page(gear(card(check(evidence=()))), {}), "card:acme")
    assert Reader(bare).addresses == []
    assert "<details>" not in bare


@pytest.mark.parametrize("bundle", ["/etc", "../x", "cards/../../x"])
def test_no_link_of_a_card_leads_out_of_the_folder(bundle: str) -> None:
    made = card(check()).model_copy(update={"bundle": bundle})
    text = page(gear(made), {}, (), {bundle: ("passwd.pcapng",)})
    assert "passwd" not in text


def hostile() -> Results:
    bad = check(
        HOSTILE, title=HOSTILE, source=HOSTILE, detail=HOSTILE, evidence=(HOSTILE, f"\r\n{HOSTILE}")
    )
    of = router(HOSTILE, HOSTILE, HOSTILE).model_copy(
        update={"claims": HOSTILE, "gateway": HOSTILE, "external": HOSTILE}
    )
    of = of.model_copy(update={"wan_addressing": HOSTILE})
    made = card(bad, bad, of=of)
    return gear(made, made, scenarios=twelve(HOSTILE), routers=(of, of))


def test_nothing_that_a_router_says_is_markup() -> None:
    text = page(hostile(), {}, (), {f"cards/{HOSTILE}": (f"{HOSTILE}.pcapng",)})
    tags = Reader(text).tags
    assert tags.count("script") == 1
    assert not {"img", "svg"} & set(tags)
    assert "\u202e" not in text


def test_no_two_parts_of_the_page_have_the_same_id() -> None:
    same = card(check("a"), check("a"))
    for results in (hostile(), gear(same, same, card(check(), name="cards"))):
        ids = Reader(told(results)).ids
        assert len(ids) == len(set(ids))


def test_every_link_within_the_page_leads_somewhere() -> None:
    reader = Reader(of(*OF_EACH_KIND))
    assert {each[1:] for each in reader.addresses if each.startswith("#")} <= set(reader.ids)
    assert check_anchor("acme", "works") in reader.ids


def test_each_router_has_its_own_table_and_card() -> None:
    def made(name: str) -> Card:
        return card(check(), name=name)

    two = gear(
        *map(made, ("acme", "beta")),
        scenarios=[*twelve(), *twelve("beta")],
        routers=(router(), router("beta")),
    )
    text = told(two)
    assert "The article's scenarios with acme" in words(part(text, "router-1")).replace(
        "&#39;", "'"
    )
    assert "novice beta" in words(part(text, "router-2"))
    assert part(text, "card:beta")
