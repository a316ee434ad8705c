"""What counts as a change from one run to another, and what is chance."""

from __future__ import annotations

import pytest
from factories import attempt, control, observed, predicted, results, scenario

from harness.judge.changes import Changes, SettingChange, compare
from harness.judge.compared import Direction
from harness.judge.model import Observed, ScenarioResult
from harness.words import Answer, End, Role

AGREES = scenario("file", "nat", "direct", observed("no"))
DIFFERS = scenario("file", "nat", "direct", observed("yes"))
INVALID = scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),))
ERROR = scenario("file", "nat", "direct", None)
SURPRISE = scenario("file", "nat", "direct", observed("no"), forecast=predicted("yes"))
OPEN = scenario("file", "nat,nat", "direct", observed("no"))
OPEN_YES = scenario("file", "nat,nat", "direct", observed("yes"))


def changed(old: ScenarioResult, new: ScenarioResult) -> Changes:
    return compare(results(old), results(new))


def messenger(*attempts: tuple[Role, int], how: str = "answered") -> ScenarioResult:
    made = [attempt(role, port=port, how=how, end=End.CONNECTED) for role, port in attempts]
    seen = Observed(answer=Answer.YES, winner=None, attempts=tuple(made))
    return scenario("messenger", "direct", "upnp-nat", seen)


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        (AGREES, DIFFERS, Direction.WORSE),
        (AGREES, INVALID, Direction.WORSE),
        (AGREES, ERROR, Direction.WORSE),
        (AGREES, SURPRISE, Direction.WORSE),
        (INVALID, DIFFERS, Direction.WORSE),
        (DIFFERS, AGREES, Direction.BETTER),
        (INVALID, AGREES, Direction.BETTER),
        (DIFFERS, INVALID, Direction.OTHER),
        (INVALID, ERROR, Direction.OTHER),
        (OPEN, OPEN_YES, Direction.OTHER),
    ],
)
def test_a_changed_cell_has_a_direction(
    old: ScenarioResult, new: ScenarioResult, direction: Direction
) -> None:
    found = changed(old, new)
    assert [cell.direction for cell in found.cells] == [direction]
    assert found.worse is (direction is Direction.WORSE)


def test_another_reason_for_having_proved_nothing_is_a_change_and_another_number_is_not() -> None:
    broken = [INVALID.model_copy(update={"why": f"port {at} is taken"}) for at in (40001, 40002)]
    assert not changed(*broken).cells
    [cell] = changed(broken[0], INVALID).cells
    assert cell.direction is Direction.OTHER


def test_the_same_run_has_no_change() -> None:
    found = changed(AGREES, AGREES)
    assert (found.cells, found.attempts, found.times, found.settings) == ((), (), (), ())
    assert found.compared == 1


def test_an_attempt_that_ended_otherwise_is_a_change() -> None:
    rejected = attempt(end=End.REFUSED, how="ICMP port unreachable")
    found = changed(AGREES, scenario("file", "nat", "direct", observed("no", rejected)))
    [change] = found.attempts
    assert change.old == attempt()
    assert change.new == rejected
    assert not found.cells


def test_an_attempt_that_only_one_run_made_is_a_change() -> None:
    more = scenario("file", "nat", "direct", observed("no", attempt(), attempt(address="10.0.0.2")))
    [change] = changed(AGREES, more).attempts
    assert (change.old, change.new) == (None, attempt(address="10.0.0.2"))
    [change] = changed(more, AGREES).attempts
    assert (change.old, change.new) == (attempt(address="10.0.0.2"), None)


def test_neither_the_order_of_attempts_nor_the_experts_drawn_port_is_a_change() -> None:
    old = messenger((Role.EXPERT, 3389), (Role.NOVICE, 40001))
    new = messenger((Role.NOVICE, 50002), (Role.EXPERT, 3389))
    assert not changed(old, new).attempts


def test_a_port_that_the_scenario_fixes_or_a_gateway_chose_is_a_change() -> None:
    old, new = (messenger((Role.NOVICE, port)) for port in (3389, 40001))
    update = {"id": f"{old.id}@expert-port-3389"}
    assert changed(old.model_copy(update=update), new.model_copy(update=update)).attempts
    assert changed(messenger((Role.EXPERT, 3389)), messenger((Role.EXPERT, 3390))).attempts


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("from 80.1.2.3:40001", "from 80.1.2.3:50002", True),
        ("from [2001:db8::1]:40001", "from [2001:db8::1]:50002", True),
        ("from 80.1.2.3:40001", "from 80.1.2.3:3389", False),
        ("from 80.1.2.3:40001", "from 80.1.2.4:40001", False),
        ("HTTP 403", "HTTP 502", False),
    ],
)
def test_a_drawn_port_in_a_reason_is_no_change(old: str, new: str, same: bool) -> None:
    pair = [messenger((Role.EXPERT, 3389), how=how) for how in (old, new)]
    assert (not changed(*pair).attempts) is same


def test_an_attempt_that_took_a_syn_more_moved_and_one_of_a_busy_machine_did_not() -> None:
    for seconds, count in ((1.02, 1), (0.4, 0)):
        slow = scenario("file", "nat", "direct", observed("no", attempt(seconds=seconds)))
        assert len(changed(AGREES, slow).times) == count


def slowed(*seconds: float) -> Changes:
    old = [AGREES.model_copy(update={"id": str(number)}) for number in range(len(seconds))]
    new = [
        each.model_copy(update={"seconds": each.seconds + more})
        for each, more in zip(old, seconds, strict=True)
    ]
    return compare(results(*old), results(*new))


def test_a_slower_machine_is_one_shift_and_no_scenario_moved() -> None:
    found = slowed(1.9, 2.0, 2.0, 2.1, 2.05, 1.95)
    assert not found.times
    assert found.shift == pytest.approx(2.0)


def test_a_scenario_moved_that_went_beyond_the_scatter_of_all() -> None:
    found = slowed(2.0, 2.0, 2.1, 1.9, 2.0, 4.0)
    assert [(time.scenario, time.attempt) for time in found.times] == [("5", None)]
    assert not slowed(0.0, 1.0, -1.0, 2.0, -2.0, 3.0).times


def test_of_few_scenarios_each_is_held_against_itself() -> None:
    assert len(slowed(2.0, 0.1).times) == 1


def test_scenarios_of_one_run_only_are_told_and_two_of_one_id_are_two() -> None:
    found = compare(results(AGREES, AGREES), results(AGREES, OPEN))
    assert (found.only_old, found.only_new, found.compared) == ((AGREES,), (OPEN,), 1)
    assert not found.worse


def test_what_was_run_is_compared() -> None:
    new = results(AGREES)
    run = new.run.model_copy(update={"versions": {"miniupnpd": "2.3.9"}, "host": {}})
    found = compare(results(AGREES), new.model_copy(update={"run": run}))
    assert found.settings == (
        SettingChange("miniupnpd", "2.3.1", "2.3.9"),
        SettingChange("kernel", "6.1.0", None),
    )
