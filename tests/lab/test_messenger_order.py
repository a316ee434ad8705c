"""Who dials first by Windows Messenger does not change any answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import ARTICLE_IDS, run

from harness.words import Role, Verdict

MESSENGER_IDS = {each for each in ARTICLE_IDS if each.startswith("messenger/")}


@pytest.mark.parametrize("port", ["0", "3389"])
@pytest.mark.parametrize("order", ["both", "expert-first", "novice-first"])
def test_the_article_s_answers_do_not_depend_on_the_order_or_on_the_expert_s_port(
    tmp_path: Path, order: str, port: str
) -> None:
    arguments = ("--method", "messenger", "--order", order, "--expert-port", port)
    ended = run(tmp_path / "out", *arguments)
    suffix = "" if port == "0" else f"@expert-port-{port}"
    assert {each + suffix for each in MESSENGER_IDS} <= ended.verdicts(Verdict.AGREES)
    assert not ended.verdicts(Verdict.DIFFERS)


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [("expert-first", Role.EXPERT, Role.NOVICE), ("novice-first", Role.NOVICE, Role.EXPERT)],
)
def test_the_second_dials_only_where_the_first_did_not_connect(
    tmp_path: Path, order: str, first: Role, second: Role
) -> None:
    arguments = ("--method", "messenger", "--order", order)
    ended = run(tmp_path / "out", *arguments)
    both_reachable = ended.scenario("messenger/upnp-nat+upnp-nat").observed
    assert both_reachable is not None
    assert {each.dialler for each in both_reachable.attempts} == {first}
    neither_reachable = ended.scenario("messenger/nat+nat").observed
    assert neither_reachable is not None
    diallers = [each.dialler for each in neither_reachable.attempts]
    assert diallers == sorted(diallers, key=[first, second].index)
    assert set(diallers) == {first, second}
