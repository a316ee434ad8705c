"""Proxies as the article has them, and the firewall that Remote Assistance opens for itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import Ended, own_topologies, replace_in, run
from worlds import in_lab, topology

from harness.judge.model import Observed
from harness.lab.lab import Lab
from harness.lab.program import Facts
from harness.topology.plan import SERVICES
from harness.words import Answer, End, Verdict

PROXIES = ("http-proxy", "http-proxy-open", "socks-proxy")
METHODS = ("messenger", "email", "file")


def _observed(ended: Ended, scenario_id: str) -> Observed:
    found = ended.scenario(scenario_id).observed
    assert found is not None, ended.scenario(scenario_id).why
    return found


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_novice_behind_a_proxy_is_not_reachable_by_any_method(tmp_path: Path, proxy: str) -> None:
    """Mail and relay are reached through it, or these would be errors; the SYN ends at it."""
    ended = run(tmp_path / "out", "--novice", proxy)
    for method in METHODS:
        observed = _observed(ended, f"{method}/{proxy}+direct")
        assert observed.answer is Answer.NO
        assert f"novice.{proxy}" in {each.ended_at for each in observed.attempts}


@pytest.mark.parametrize("proxy", PROXIES)
def test_an_expert_without_proxy_client_has_no_way_out(tmp_path: Path, proxy: str) -> None:
    ended = run(tmp_path / "out", "--expert", proxy)
    for method in METHODS:
        observed = _observed(ended, f"{method}/direct+{proxy}")
        assert observed.answer is Answer.NO
        (own,) = (each for each in observed.attempts if each.dialler == "expert")
        assert (own.end, own.ended_at) == (End.UNREACHABLE, "expert")
        assert own.how.startswith("did not leave the expert")


@pytest.mark.parametrize(
    ("proxy", "answer"),
    [("socks-proxy", Answer.YES), ("http-proxy-open", Answer.YES), ("http-proxy", Answer.NO)],
)
def test_an_expert_with_proxy_client_connects_where_the_proxy_s_policy_allows_3389(
    tmp_path: Path, proxy: str, answer: Answer
) -> None:
    ended = run(tmp_path / "out", "--expert", proxy, "--proxy-client", "expert")
    for method in METHODS:
        observed = _observed(ended, f"{method}/direct+{proxy}@expert-proxy-client")
        assert observed.answer is answer, method
        (own,) = (each for each in observed.attempts if each.dialler == "expert")
        if answer is Answer.NO:
            assert (own.end, own.ended_at) == (End.REFUSED, f"expert.{proxy}")
            assert "HTTP 403" in own.how
        else:
            assert own.ended_at == "novice"
            assert own.how.startswith(f"through expert.{proxy}: ")


def test_a_proxied_syn_that_is_dropped_is_followed_to_the_device_that_dropped_it(
    tmp_path: Path,
) -> None:
    chains = ("--novice", "nat", "--expert", "socks-proxy", "--proxy-client", "expert")
    ended = run(tmp_path / "out", *chains, "--method", "file")
    observed = _observed(ended, "file/nat+socks-proxy@expert-proxy-client")
    assert observed.attempts[-1].ended_at == "novice.nat"
    assert observed.attempts[-1].seconds < 1


def test_a_proxy_client_without_a_proxy_is_refused(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--novice", "nat", "--proxy-client", "novice")
    assert ended.status == 2
    assert "novice.chain: proxy_client is set, and there is no proxy" in ended.err


@pytest.mark.parametrize("chains", [("icf", "direct"), ("direct", "icf"), ("icf", "icf")])
def test_remote_assistance_works_with_icf_on_either_or_both_sides(
    tmp_path: Path, chains: tuple[str, str]
) -> None:
    novice, expert = chains
    ended = run(tmp_path / "out", "--novice", novice, "--expert", expert)
    assert {*ended.answers().values()} == {Answer.YES}


def test_an_icf_that_nobody_opens_drops_at_the_host_itself(tmp_path: Path) -> None:
    topologies = own_topologies(tmp_path)
    icf = topologies / "devices" / "icf.toml"
    replace_in(icf, "opened_by_remote_assistance = true", "opened_by_remote_assistance = false")
    ended = run(tmp_path / "out", "--topologies", topologies, "--novice", "icf", "--expert", "icf")
    for method in METHODS:
        observed = _observed(ended, f"{method}/icf+icf")
        assert observed.answer is Answer.NO
        for each in observed.attempts:
            other = "novice" if each.dialler == "expert" else "expert"
            assert each.ended_at == other
            assert f"dropped by {other} (unsolicited packet to the host)" in each.how


def test_icf_is_open_while_the_invitation_is_and_closed_after() -> None:
    async def play(lab: Lab) -> Facts:
        reflector = lab.start(SERVICES, "reflector")
        await reflector.connect()
        assert await reflector.expect("ready", 10) is not None
        before = lab.rules("novice")
        lab.open_port("novice", 3389)
        during = lab.rules("novice")
        lab.close_port("novice", 3389)
        return {"before": before, "during": during, "after": lab.rules("novice")}

    seen = in_lab(topology(novice="icf"), play)
    assert "elements = { 3389 }" in seen["during"]
    assert seen["after"] == seen["before"]
    assert "elements" not in seen["before"]


def test_the_controls_say_that_the_proxy_listens(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--expert", "socks-proxy", "--method", "file")
    (control,) = (
        each
        for each in ended.scenario("file/direct+socks-proxy").controls
        if each.name == "proxy listens"
    )
    assert control.passed
    assert control.node == "expert.socks-proxy"
    assert not ended.verdicts(Verdict.INVALID)
