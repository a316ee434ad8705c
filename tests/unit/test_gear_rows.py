"""A router's scenarios in the shape of the article's tables."""

from __future__ import annotations

from card_runs import router, seen, twelve

from harness.report.gear_rows import reference_line, rows
from harness.words import Method


def test_rows_are_novice_expert_and_both_in_the_article_s_order() -> None:
    found = rows("acme", reversed(twelve()))
    assert [(row.behind, row.novice, row.expert) for row in found] == [
        ("Novice", "acme", "direct"),
        ("Expert", "direct", "acme"),
        ("Novice and Expert", "upnp-nat", "acme"),
        ("Novice and Expert", "acme", "upnp-nat"),
    ]
    assert all(list(row.results) == list(reversed(Method)) for row in found)


def test_a_row_has_only_scenarios_behind_that_router() -> None:
    found = rows("acme", [*twelve("other"), seen("file", "acme", "other")])
    assert [(row.novice, row.expert) for row in found] == [("acme", "other")]


def test_of_two_results_of_a_cell_the_first_is_shown() -> None:
    first, second = seen("file", "acme", "direct"), seen("file", "acme", "direct", "no")
    [row] = rows("acme", [first, second])
    assert row.results[Method.FILE] == first


def test_with_one_router_the_other_side_is_said_to_be_the_project_s_own() -> None:
    assert reference_line([router()], twelve()) == (
        "where novice and expert are both behind a router, the other side is this project's own "
        "upnp-nat, as reference: there was no second router"
    )


def test_with_two_routers_or_nobody_behind_both_there_is_no_reference() -> None:
    both = [seen("file", "acme", "beta"), seen("file", "beta", "acme")]
    assert reference_line([router(), router("beta")], both) == ""
    assert reference_line([router()], twelve()[:6]) == ""
    assert reference_line([], twelve()) == ""
