"""Every "No" of the article's tables names the device that ended it, and moves with that device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address
from typing import NamedTuple

import pytest
from runs import Ended, own_topologies, replace_in, run

from harness.judge.model import Attempt, ScenarioResult
from harness.kb import load_tables
from harness.words import Answer, End, Method, Role, Verdict, chain_name

DROPPED = "dropped by {node} (unsolicited packet on wan)"
REJECTED = "ICMP port unreachable from {node} (unsolicited packet on wan)"


# Experts listen on a port of their own choice; where 3389 is opened for them it must be that one.
ON_3389 = ("--expert-port", "3389")

Chain = tuple[str, ...]


class No(NamedTuple):
    """A "No" of a table, by one of its methods."""

    claim: str
    method: Method
    novice: Chain
    expert: Chain

    @property
    def diallers(self) -> dict[Role, Role]:
        """Who dials, and whom: by Messenger each of the two dials the other."""
        towards = {Role.EXPERT: Role.NOVICE}
        return towards | ({Role.NOVICE: Role.EXPERT} if self.method is Method.MESSENGER else {})


NOES = [
    No(claim.id, method, claim.novice, claim.expert)
    for table in load_tables()
    for claim in table.claims
    if claim.answer is Answer.NO
    for method in claim.methods
]
every_no = pytest.mark.parametrize("no", NOES, ids=lambda no: f"{no.claim}-{no.method}")

Play = Callable[..., Ended]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Runs two chains by every method; in a second run all NATs reject what they used to drop."""
    topologies = own_topologies(tmp_path_factory.mktemp("rejecting"))
    nat = topologies / "devices" / "nat.toml"
    replace_in(nat, 'unsolicited = "drop"', 'unsolicited = "reject"')

    @cache
    def played(novice: Chain, expert: Chain, *options: str, rejecting: bool = False) -> Ended:
        chains = ("--novice", chain_name(novice), "--expert", chain_name(expert))
        own = ("--topologies", topologies) if rejecting else ()
        ended = run(tmp_path_factory.mktemp("run") / "out", *chains, *own, *options)
        assert ended.status == 0, ended.err
        return ended

    return played


def name(no: No, novice: Chain, expert: Chain) -> str:
    return f"{no.method}/{chain_name(novice)}+{chain_name(expert)}"


def outside(result: ScenarioResult) -> dict[Role, Attempt]:
    """Return each dialler's attempt at the other's public address."""
    assert result.observed is not None
    return {
        each.dialler: each
        for each in result.observed.attempts
        if IPv4Address(each.address).is_global
    }


def reported(ended: Ended, scenario_id: str) -> str:
    """Return what report.html has of a scenario: up to the links to its files."""
    page = (ended.folder / "report.html").read_text(encoding="utf-8")
    before_links = page.split("/definition.json")
    (part,) = (each for each in before_links if each.endswith(f"scenarios/{scenario_id}"))
    return part


def test_the_article_has_noes_by_every_method() -> None:
    assert {no.method for no in NOES} == set(Method)
    assert len(NOES) == 5


@every_no
@pytest.mark.parametrize(
    ("rejecting", "end", "how"),
    [(False, End.TIMEOUT, DROPPED), (True, End.REFUSED, REJECTED)],
    ids=["dropping", "rejecting"],
)
def test_a_no_names_its_device_and_ends_as_that_device_s_policy_says(
    play: Play, no: No, rejecting: bool, end: End, how: str
) -> None:
    ended = play(no.novice, no.expert, rejecting=rejecting)
    result = ended.scenario(name(no, no.novice, no.expert))
    assert result.verdict is Verdict.AGREES
    attempts = outside(result)
    assert set(attempts) == set(no.diallers)
    for dialler, called in no.diallers.items():
        node = f"{called}.nat"
        attempt = attempts[dialler]
        assert (attempt.end, attempt.ended_at) == (end, node)
        assert attempt.how == how.format(node=node)


@every_no
def test_no_attempt_of_a_no_ends_nowhere(play: Play, no: No) -> None:
    ended = play(no.novice, no.expert)
    result = ended.scenario(name(no, no.novice, no.expert))
    assert result.observed is not None
    assert all(attempt.ended_at for attempt in result.observed.attempts)


@every_no
@pytest.mark.parametrize(
    ("rejecting", "how"), [(False, DROPPED), (True, REJECTED)], ids=["dropping", "rejecting"]
)
def test_the_report_names_the_device(play: Play, no: No, rejecting: bool, how: str) -> None:
    ended = play(no.novice, no.expert, rejecting=rejecting)
    part = reported(ended, name(no, no.novice, no.expert))
    for called in no.diallers.values():
        assert how.format(node=f"{called}.nat") in part
    (decided,) = [line for line in part.splitlines() if 'class="why"' in line]
    nodes = [f"{called}.nat" for called in no.diallers.values()]
    assert any(
        f"<b>{node}</b>" in decided and how.format(node=f"<b>{node}</b>") in decided
        for node in nodes
    )


@every_no
@pytest.mark.parametrize("opened", ["nat-forwarded", "firewall-open"])
def test_with_an_opened_device_in_its_place_the_end_moves_to_the_host(
    play: Play, no: No, opened: str
) -> None:
    """In the place of the first device that the caller's SYN meets on the other's side."""
    for dialler, called in no.diallers.items():
        chains = {Role.NOVICE: no.novice, Role.EXPERT: no.expert} | {called: (opened,)}
        novice, expert = chains[Role.NOVICE], chains[Role.EXPERT]
        if called is Role.NOVICE:
            result = play(novice, expert).scenario(name(no, novice, expert))
        else:
            suffix = "@expert-port-3389"
            result = play(novice, expert, *ON_3389).scenario(name(no, novice, expert) + suffix)
        assert result.observed is not None
        attempt = outside(result)[dialler]
        assert (attempt.end, attempt.ended_at) == (End.CONNECTED, called.value)
        assert result.observed.answer is Answer.YES


@every_no
def test_with_an_opened_device_before_it_the_end_moves_on_to_the_next(play: Play, no: No) -> None:
    """Outside of the novice's NAT a firewall that drops, and then one that lets 3389 through."""
    for firewall, node in (("firewall", "novice.firewall"), ("firewall-open", "novice.nat")):
        novice = (*no.novice, firewall)
        result = play(novice, no.expert).scenario(name(no, novice, no.expert))
        attempt = outside(result)[Role.EXPERT]
        assert (attempt.end, attempt.ended_at) == (End.TIMEOUT, node)
