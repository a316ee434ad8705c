"""Scenarios outside the tables, and runs of one topology, in full."""

from __future__ import annotations

from factories import article, attempt, control, observed, predicted, rendered, scenario

from harness.words import End, Role


def test_a_scenario_outside_the_tables_is_told_in_full() -> None:
    saw = observed(
        "no",
        attempt(address="192.168.1.2", end=End.UNREACHABLE, ended_at="internet", how="no route"),
        attempt(),
    )
    result = scenario(
        "file", "upnp-nat,nat", "direct", saw,
        controls=(control(), control()), forecast=predicted("no"), bundle="scenarios/a,b+direct",
    )  # fmt: skip
    assert rendered(result) == (
        "file/upnp-nat,nat+direct\n"
        "  documented  the article does not say\n"
        "  predicted   no: nothing maps port 3389 to the novice\n"
        "  observed    no\n"
        "  verdict     undocumented\n"
        "  why         expert to 192.168.1.2:3389 no route; expert to 80.1.2.3:3389\n"
        "              dropped by the forward chain\n"
        "  attempts    expert -> 192.168.1.2:3389  unreachable at internet: no route\n"
        "              (0.01 s)\n"
        "              expert -> 80.1.2.3:3389  timeout at novice.nat: dropped by the\n"
        "              forward chain (0.01 s)\n"
        "  controls    2 of 2 passed\n"
        "  evidence    scenarios/a,b+direct\n"
        "\n"
        "1 of 1 as predicted\n"
        "1 undocumented (41.2 s)\n"
    )


def test_a_run_of_one_topology_is_told_in_full_though_the_tables_have_it() -> None:
    text = rendered(*(scenario(m, "nat", "nat", observed("no")) for m in ("messenger", "file")))
    assert [line for line in text.splitlines() if line[:1] not in ("", " ")] == [
        "messenger/nat+nat",
        "file/nat+nat",
        "2 of 2 agree (41.2 s)",
    ]
    assert "  documented  no: Windows Messenger, table 1, row Novice and Expert, column\n" in text


def test_tables_and_details_share_a_report_and_no_scenario_is_told_twice() -> None:
    text = rendered(*article(), scenario("file", "nat,nat", "direct", observed("no")))
    assert text.index("Table 2: ") < text.index("\nfile/nat,nat+direct\n")
    assert text.count("  documented  ") == 1
    assert text.endswith("\n36 of 36 agree, 1 undocumented (41.2 s)\n")


def test_a_failed_control_is_named_with_what_it_found() -> None:
    failed = control(passed=False, detail="2 of 3 rules are missing")
    text = rendered(scenario("file", "nat", "nat", observed("no"), controls=(control(), failed)))
    assert "  verdict     invalid\n" in text
    assert (
        "  controls    1 of 2 passed\n"
        "              failed: rules at novice.nat: 2 of 3 rules are missing\n"
    ) in text


def test_an_error_has_nothing_observed_and_says_why() -> None:
    text = rendered(scenario("file", "nat", "nat", None))
    assert (
        "  observed    nothing\n"
        "  verdict     error\n"
        "  why         the expert's node did not start within 5 s\n"
    ) in text
    assert "attempts" not in text


def test_an_observation_against_the_prediction_is_marked() -> None:
    text = rendered(
        scenario("file", "nat,nat", "direct", observed("yes"), forecast=predicted("no"))
    )
    assert "  observed    yes, not as predicted\n" in text


def test_a_few_findings_in_detail_are_not_repeated() -> None:
    text = rendered(scenario("file", "nat", "nat", observed("yes")))
    assert "\ndiffers  " not in text


def test_findings_among_many_details_are_repeated_at_the_end() -> None:
    text = rendered(
        *(
            scenario("file", "nat,nat", "direct" if depth == 0 else ",".join(["nat"] * depth),
                     observed("yes"), forecast=predicted("no" if depth == 2 else "yes"))
            for depth in range(4)
        )
    )  # fmt: skip
    assert "\nundocumented  file/nat,nat+nat,nat: predicted no because" in text
    assert text.count("predicted no because") == 1


def test_an_ipv6_address_is_in_brackets() -> None:
    saw = observed("yes", attempt(Role.NOVICE, "2001:db8::1", 49152, end=End.CONNECTED,
                                  ended_at="", how=""))  # fmt: skip
    text = rendered(scenario("file", "nat,nat", "direct", saw))
    assert "  attempts    novice -> [2001:db8::1]:49152  connected (0.01 s)\n" in text


def test_every_text_of_a_result_is_shown_harmless() -> None:
    bad = "[red]\x1b[2J\n"
    saw = observed("no", attempt(address=bad, ended_at=bad, how=bad))
    result = scenario(
        "file", "nat,nat", "direct", saw,
        controls=(control(passed=False, detail=bad),), forecast=predicted("no", bad),
        why=bad, bundle=bad,
    ).model_copy(update={"id": bad})  # fmt: skip
    text = rendered(result, width=200)
    assert "\x1b" not in text
    assert text.count(r"[red]\x1b[2J\n") == 8


def test_a_terminal_of_40_columns_has_all_the_words() -> None:
    result = scenario("file", "upnp-nat,nat", "direct", observed("no"), bundle="x" * 100)
    wide, narrow = rendered(result, width=300), rendered(result, width=40)
    assert "".join(narrow.split()) == "".join(wide.split())
    assert max(map(len, narrow.splitlines())) <= 40
