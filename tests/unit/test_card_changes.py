"""What counts as a change of a router's card, and what a router's other addresses are."""

from __future__ import annotations

import pytest
from card_runs import card, check, gear, router, seen
from factories import attempt, observed

from harness.judge.card import Level, Outcome
from harness.judge.card_changes import CardChanges
from harness.judge.changes import compare
from harness.judge.compared import Direction
from harness.judge.model import Results
from harness.judge.places import Places

COMPLIANT, NON_COMPLIANT, NOT_OFFERED, NOT_TESTED, ERROR = Outcome


def changed(old: Outcome, new: Outcome, level: Level = Level.REQUIRED) -> CardChanges:
    before, after = (gear(card(check("one", outcome, level))) for outcome in (old, new))
    return compare(before, after).cards


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        (COMPLIANT, NON_COMPLIANT, Direction.WORSE),
        (COMPLIANT, ERROR, Direction.WORSE),
        (NOT_OFFERED, NON_COMPLIANT, Direction.WORSE),
        (ERROR, NON_COMPLIANT, Direction.WORSE),
        (NON_COMPLIANT, COMPLIANT, Direction.BETTER),
        (ERROR, COMPLIANT, Direction.BETTER),
        (NON_COMPLIANT, ERROR, Direction.OTHER),
        (NON_COMPLIANT, NOT_OFFERED, Direction.OTHER),
        (COMPLIANT, NOT_OFFERED, Direction.OTHER),
        (NOT_OFFERED, COMPLIANT, Direction.OTHER),
        (COMPLIANT, NOT_TESTED, Direction.OTHER),
        (NOT_TESTED, NON_COMPLIANT, Direction.OTHER),
    ],
)
def test_a_changed_check_has_a_direction(old: Outcome, new: Outcome, direction: Direction) -> None:
    found = changed(old, new)
    [change] = found.checks
    assert (change.router, change.check.id, change.direction) == ("acme", "one", direction)
    assert found.worse is (direction is Direction.WORSE)
    assert found.compared == 1


@pytest.mark.parametrize("level", [Level.RECOMMENDED, Level.INFORMATIONAL])
def test_only_what_a_source_demands_makes_the_whole_worse(level: Level) -> None:
    found = changed(COMPLIANT, NON_COMPLIANT, level)
    assert [change.direction for change in found.checks] == [Direction.WORSE]
    assert not found.worse


def test_a_required_check_that_got_worse_makes_the_comparison_worse() -> None:
    before, after = (gear(card(check(outcome=o))) for o in (COMPLIANT, NON_COMPLIANT))
    assert compare(before, after).worse
    assert not compare(after, before).worse


def test_what_a_check_saw_is_no_change() -> None:
    before, after = (gear(card(check(detail=text))) for text in ("port 40001", "port 40002"))
    assert compare(before, after).cards.checks == ()


def test_a_check_that_one_card_alone_has_is_told_and_is_not_worse() -> None:
    less, more = gear(card(check("a"))), gear(card(check("a"), check("b", NON_COMPLIANT)))
    [change] = compare(less, more).cards.checks
    assert (change.old, change.check.id, change.direction) == (None, "b", Direction.OTHER)
    [change] = compare(more, less).cards.checks
    assert (change.new, change.check.id) == (None, "b")


def test_a_card_that_one_run_alone_has_is_told_once() -> None:
    with_card, without = gear(card(check("a"), check("b"))), gear()
    found = compare(with_card, without).cards
    assert (found.only_old, found.only_new, found.checks) == (("acme",), (), ())
    assert compare(without, with_card).cards.only_new == ("acme",)


def test_cards_of_routers_of_other_names_are_not_held_against_each_other() -> None:
    found = compare(gear(card(check("a"))), gear(card(check("a", ERROR), name="beta"))).cards
    assert (found.compared, found.only_old, found.only_new) == (0, ("acme",), ("beta",))


def test_two_checks_of_one_name_are_compared_in_their_order() -> None:
    before = gear(card(check("a"), check("a", NON_COMPLIANT)))
    assert compare(before, before).cards.checks == ()
    assert compare(before, before).cards.compared == 2


def test_routers_are_paired_by_name() -> None:
    old = gear(routers=(router("acme"), router("gone")))
    new = gear(routers=(router("acme", firmware="1.1"), router("came")))
    pairs = compare(old, new).routers
    assert [(p.router.name, p.router.firmware, p.old is None, p.new is None) for p in pairs] == [
        ("acme", "1.1", False, False),
        ("gone", "1.0", False, True),
        ("came", "1.0", True, False),
    ]


def at(external: str, gateway: str, *addresses: str) -> Results:
    """Return a run whose one scenario dialled these, with the router at those."""
    stood = router().model_copy(update={"external": external, "gateway": gateway})
    result = seen("file", "acme", "direct")
    made = (attempt(address=each, how=f"answered from {each}:40001") for each in addresses)
    dialled = result.model_copy(update={"observed": observed("no", *made)})
    return gear(scenarios=[dialled], routers=(stood,))


def test_another_address_of_the_same_router_is_no_change() -> None:
    old = at("80.1.2.3", "192.168.1.1/24", "192.168.1.119", "80.1.2.3")
    new = at("80.1.2.9", "10.0.0.1/24", "10.0.0.7", "80.1.2.9")
    assert compare(old, new).attempts == ()


def test_an_address_of_nobody_s_is_still_a_change() -> None:
    old = at("80.1.2.3", "192.168.1.1/24", "85.0.0.1")
    new = at("80.1.2.3", "192.168.1.1/24", "85.0.0.2")
    assert len(compare(old, new).attempts) == 2


def test_a_router_s_address_is_found_in_a_text_and_other_numbers_are_left() -> None:
    places = Places([router()])
    text = "80.100.10.16:3389, 192.168.178.2, 80.100.10.160, 1.2.3.4.5, 999.1.1.1"
    assert places.of(text) == (
        "<wan of acme>:3389, <lan of acme>, 80.100.10.160, 1.2.3.4.5, 999.1.1.1"
    )


def test_addresses_that_are_none_name_no_place() -> None:
    odd = router().model_copy(update={"external": "unknown", "gateway": "192.168.178.1/99"})
    assert Places([odd]).of("192.168.178.1") == "192.168.178.1"
