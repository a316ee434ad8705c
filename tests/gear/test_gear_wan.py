"""What a router is given on its WAN: a carrier's address, a private one, or one set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from gear_runs import SECONDS, Later, Outcome, run
from routers import LegacyIgdRouter, LegacyRouter, NftIgdRouter
from routers.base import WAN_SCRIPT

from harness.judge.model import ScenarioResult
from harness.runner.rejudge import bundles, rejudge
from harness.words import Answer, Verdict

pytestmark = pytest.mark.timeout(SECONDS)

FILE = ("--no-card", "--method", "file")
STATIC = "82.70.60.9"


class StaticRouter(LegacyIgdRouter):
    """Its WAN's address was set by hand; whatever it is offered there, it keeps it."""

    def files(self) -> Mapping[str, str]:
        bound = f"set bound\ninterface=wan\n{self.when_online()}"
        return {**super().files(), WAN_SCRIPT: "#!/bin/sh\n", "/etc/router/up.sh": bound}

    def boot(self) -> Sequence[str]:
        return (
            *super().boot(),
            f"ip addr add {STATIC}/24 dev wan",
            "ip route add default via 82.70.60.1 dev wan onlink",
            "sh -eu /etc/router/up.sh",
        )


CGNAT = run(NftIgdRouter, options=FILE, more='[router.wan]\nkind = "cgnat"')
PRIVATE = run(
    LegacyRouter,
    options=(*FILE, "--power-cycle"),
    more='power_cycle = ["/bin/true"]\n[router.wan]\nkind = "private"',
)
BY_HAND = run(
    StaticRouter,
    options=FILE,
    more=f'[router.wan]\naddressing = "static"\naddress = "{STATIC}"',
)


def answers(scenarios: Sequence[ScenarioResult]) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for each in scenarios:
        assert each.observed is not None, each
        found[each.id] = each.observed.answer
    return found


def test_behind_a_carrier_s_nat_nothing_is_documented_and_the_refusal_is_told() -> None:
    outcome = CGNAT.result()
    assert outcome.ended.status == 0, outcome.ended.said
    results = outcome.results
    assert {each.verdict for each in results.scenarios} == {Verdict.UNDOCUMENTED}
    assert results.run.routers[0].external.startswith("100.64.10.")
    refused = outcome.scenario("file/nft-igd+direct")
    assert "the novice's gateway granted no mapping: UPnP: " in refused.why
    assert "its WAN address is cgnat, of which the article does not speak" in " ".join(
        outcome.ended.out.split()
    )
    assert answers(results.scenarios)["file/direct+nft-igd"] is Answer.YES


def test_with_a_private_wan_address_nothing_is_documented() -> None:
    outcome = PRIVATE.result()
    assert outcome.ended.status == 0, outcome.ended.said
    results = outcome.results
    assert {each.verdict for each in results.scenarios} == {Verdict.UNDOCUMENTED}
    assert results.run.routers[0].external.startswith("10.77.10.")
    assert answers(results.scenarios) == {
        "file/legacy+direct": Answer.NO,
        "file/direct+legacy": Answer.YES,
        "file/legacy+nat": Answer.NO,
        "file/nat+legacy": Answer.NO,
    }


def test_an_address_set_by_hand_does_as_well_as_one_by_dhcp() -> None:
    outcome = BY_HAND.result()
    assert outcome.ended.status == 0, outcome.ended.said
    (router,) = outcome.results.run.routers
    assert (router.external, router.wan_addressing) == (STATIC, "static")
    assert {each.verdict for each in outcome.results.scenarios} == {Verdict.AGREES}
    assert set(answers(outcome.results.scenarios).values()) == {Answer.YES}


def test_a_router_is_turned_off_and_on_before_it_is_waited_for() -> None:
    said = PRIVATE.result().ended.err
    assert said.index("legacy: turning it off and on") < said.index("legacy: waiting for its WAN")


@pytest.mark.parametrize("made", [CGNAT, PRIVATE, BY_HAND], ids=["cgnat", "private", "static"])
def test_bundles_show_it_again_and_no_nic_is_other_than_before(made: Later[Outcome]) -> None:
    outcome = made.result()
    judged = [rejudge(found) for found in bundles(outcome.folder)]
    assert [each.now for each in judged] == [each.before for each in judged]
    assert outcome.after == outcome.before
