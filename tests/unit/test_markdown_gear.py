"""The Markdown summary of a run against real routers."""

from __future__ import annotations

from card_runs import OF_EACH_KIND, card, check, gear, router, seen, twelve
from markdown_it import MarkdownIt
from test_markdown import HOSTILE

from harness.judge.card import Level, Outcome
from harness.judge.model import Results
from harness.report.markdown import markdown


def tables(text: str) -> list[list[list[str]]]:
    """Return every table, its rows and the text of their cells, breaks as blanks."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and token.level >= 4 and found:
            said = (child.content.replace("<br>", " ") for child in token.children or ())
            found[-1][-1].append("".join(said))
    return found


def test_it_says_what_each_router_is() -> None:
    text = markdown(gear())
    assert "### Router ` acme `" in text
    assert "` X1, firmware 1.0 `; its maker claims ` upnp-nat `" in text
    assert "` LAN 192.168.178.1/24, WAN 80.100.10.16 by DHCP `" in text
    assert "the other side is this project's own upnp-nat, as reference" in text


def test_the_article_s_column_is_the_router_s_own() -> None:
    text = markdown(gear(scenarios=twelve("acme", seen("file", "acme", "direct", "no"))))
    assert "### Table" not in text
    head, novice, *rest = tables(text)[0]
    assert head == ["", "messenger", "email", "file"]
    assert novice == [
        "Novice novice acme, expert direct",
        "says Yes saw Yes: ✅ agrees",
        "says Yes saw Yes: ✅ agrees",
        "says Yes saw No: ❌ differs",
    ]
    assert len(rest) == 3


def test_a_scenario_of_a_router_that_was_not_run_says_so() -> None:
    _, row = tables(markdown(gear(scenarios=[seen("file", "acme", "direct")])))[0]
    assert row[1:] == ["not run", "not run", "says Yes saw Yes: ✅ agrees"]


def test_a_card_alone_has_no_verdict_and_no_empty_table() -> None:
    text = markdown(gear(card(*OF_EACH_KIND), scenarios=[]))
    assert text.startswith("## ⚪ No scenario was run\n")
    assert [table[0][1] for table in tables(text)] == ["compliant"]


def test_the_card_has_counts_by_level_and_what_the_sources_demand() -> None:
    text = markdown(gear(card(*OF_EACH_KIND)))
    assert tables(text)[1] == [
        ["", "compliant", "non-compliant", "not offered", "not tested", "error"],
        ["required", "1", "1", "1", "0", "1"],
        ["recommended", "0", "1", "0", "0", "0"],
        ["informational", "0", "0", "0", "1", "0"],
    ]
    assert (
        "- ❌ **required, non-compliant** ` A lease ends ` (` WANIPConnection:2 2.5.16 `): "
        "` it stays open `"
    ) in text
    assert "Secure mode" not in text


def test_the_card_does_not_change_the_first_line() -> None:
    text = markdown(gear(card(check(outcome=Outcome.NON_COMPLIANT))))
    assert text.startswith("## ✅ As documented: 12 of 12 agree")
    assert "no check of it changes the verdict" in text


def test_two_routers_have_a_table_each() -> None:
    text = markdown(
        gear(
            card(check(), name="beta"),
            scenarios=[*twelve(), *twelve("beta")],
            routers=(router(), router("beta")),
        )
    )
    assert "not run" not in text
    assert [line for line in text.splitlines() if line.startswith("### ")][:3] == [
        "### Router ` acme `",
        "### Router ` beta `",
        "### Card of ` beta `",
    ]


def hostile(words: str, times: int) -> Results:
    of = router(words, words, words)
    of = of.model_copy(update={"claims": words, "gateway": words, "external": words})
    bad = check(outcome=Outcome.NON_COMPLIANT, title=words, source=words, detail=words)
    made = card(*[bad] * times, of=of)
    scenarios = twelve(words, *[seen("file", words, "direct", "no")])
    return gear(*[made] * times, scenarios=scenarios, routers=(of,) * times)


def test_nothing_that_a_router_says_is_markup() -> None:
    for words in HOSTILE:
        text = markdown(hostile(words, 1))
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        made = {child.type for child in inline}
        assert made <= {"text", "strong_open", "strong_close", "code_inline", "html_inline"}
        assert {child.content for child in inline if child.type == "html_inline"} == {"<br>"}
        assert not {"html_block", "fence"} & {token.type for token in tokens}
        assert len(tables(text)[0]) == 5
        assert {len(row) for row in tables(text)[0]} == {4}


def test_whatever_a_file_says_the_summary_stays_below_100_kb() -> None:
    results = hostile("\u202e" * 5000, 300)
    differing = [seen("file", f"{'`' * 3000}{n}", "direct", "no") for n in range(300)]
    versions = {f"{n}{'x' * 500}": "y" * 5000 for n in range(500)}
    run = results.run.model_copy(update={"versions": versions})
    text = markdown(results.model_copy(update={"scenarios": tuple(differing), "run": run}))
    assert len(text.encode()) < 100_000
    assert "more: `results.json` has them all" in text


def test_checks_that_have_no_room_are_counted() -> None:
    many = [
        check(f"c{n}", Outcome.NON_COMPLIANT, Level.REQUIRED, detail="x" * 500) for n in range(60)
    ]
    text = markdown(gear(card(*many)))
    listed = text.count("**required, non-compliant**")
    assert 5 < listed < 60
    assert f"- and {60 - listed} more: `results.json` has them all" in text
