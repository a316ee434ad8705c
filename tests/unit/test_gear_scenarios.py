"""A bench's scenarios: real routers in place of devices, at addresses that do not collide."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from definitions import project

from harness.assistance.people import Terms
from harness.errors import DefinitionError
from harness.gear.internet_side import isp_links
from harness.gear.survey import Surveyed
from harness.runner.gear_scenarios import as_built, facts, notes, scenarios_of
from harness.runner.programs import believes_refusal
from harness.runner.record import documented_answer, predicted_answer
from harness.runner.scenario import Scenario
from harness.topology.bench import Bench
from harness.topology.model import Topology
from harness.topology.plan import INTERNET, plan
from harness.words import Answer, Method

FILE = (Method.FILE,)


def bench(*routers: dict[str, Any], **patience: float) -> Bench:
    return Bench.model_validate({"router": routers, "patience": patience})


def described(name: str = "acme", claims: str = "upnp-nat", **more: object) -> dict[str, Any]:
    nics = {"lan_nic": f"{name}-l", "wan_nic": f"{name}-w"}
    return {"name": name, "model": "X1", "firmware": "1.0", "claims": claims, **nics, **more}


def found(name: str = "acme", wan: str = "80.100.10", lan: str = "192.168.178") -> Surveyed:
    return Surveyed(
        name=name,
        lan=IPv4Address(f"{lan}.20"),
        neighbour=IPv4Address(f"{lan}.21"),
        router=IPv4Interface(f"{lan}.1/24"),
        external=IPv4Address(f"{wan}.7"),
        isp=IPv4Interface(f"{wan}.1/24"),
        http_port=49000,
    )


TWO = bench(described(), described("other"))
TWO_FOUND = [found(), found("other", "85.200.20", "10.0.0")]


def made(
    of: Bench, surveyed: list[Surveyed] | None = None, methods: Collection[Method] = FILE
) -> list[Scenario]:
    return scenarios_of(of, surveyed or [found()], project(), methods, Terms(password="secret"))


def ids(scenarios: list[Scenario]) -> list[str]:
    return [scenario.id for scenario in scenarios]


def test_one_router_stands_at_each_side_and_opposite_the_project_s_own_device() -> None:
    assert ids(made(bench(described()))) == [
        "file/acme+direct",
        "file/direct+acme",
        "file/acme+upnp-nat",
        "file/upnp-nat+acme",
    ]
    assert ids(made(bench(described(claims="nat"))))[2:] == ["file/acme+nat", "file/nat+acme"]


def test_two_routers_stand_opposite_each_other() -> None:
    assert ids(made(TWO, TWO_FOUND)) == [
        "file/acme+direct",
        "file/direct+acme",
        "file/other+direct",
        "file/direct+other",
        "file/acme+other",
        "file/other+acme",
    ]


def test_every_method_that_was_chosen_is_played_in_the_article_s_order() -> None:
    chosen = made(bench(described()), methods={Method.FILE, Method.MESSENGER})
    assert [scenario.method for scenario in chosen] == [Method.MESSENGER, Method.FILE] * 4
    assert len(made(bench(described()), methods=list(Method))) == 12


@pytest.mark.parametrize(("claims", "answer"), [("nat", Answer.NO), ("upnp-nat", Answer.YES)])
def test_the_claims_of_the_class_are_the_documented_answers(claims: str, answer: Answer) -> None:
    first = made(bench(described(claims=claims)))[0]
    documented = documented_answer(first)
    assert documented is not None
    assert documented.answer is answer
    assert documented.claim == f"file-email/novice/{claims}"
    assert predicted_answer(first).answer is answer


def test_the_article_says_nothing_of_a_wan_that_is_not_public() -> None:
    of = bench(described(wan={"kind": "cgnat"}))
    for scenario in made(of, [found(wan="100.64.10")]):
        assert documented_answer(scenario) is None


@pytest.mark.parametrize(
    ("of", "surveyed"),
    [
        (bench(described()), [found()]),
        (bench(described()), [found(wan="85.200.20")]),
        (TWO, TWO_FOUND),
    ],
    ids=["novice's", "expert's", "two"],
)
def test_no_two_links_of_the_internet_have_the_same_network(
    of: Bench, surveyed: list[Surveyed]
) -> None:
    standing = {each.isp.network for each in surveyed}
    for scenario in made(of, surveyed):
        internet = scenario.topology.internet
        links = (internet.novice, internet.expert, internet.services)
        networks = [link.router.network for link in links]
        assert len(set(networks)) == 3, scenario.id
        own = {link.router.network for link in routers_links(scenario.topology)}
        # The wire of a router that is not in the scenario is up all the same.
        assert not (set(networks) - own) & (standing - own), scenario.id


def routers_links(topology: Topology) -> list[Any]:
    links = []
    if topology.novice.gear is not None:
        links.append(topology.internet.novice)
    if topology.expert.gear is not None:
        links.append(topology.internet.expert)
    return links


def test_a_router_is_where_it_was_found_in_every_scenario() -> None:
    for scenario in made(bench(described()), methods=list(Method)):
        (link,) = routers_links(scenario.topology)
        assert (link.router, link.site) == (found().isp, found().external)
        role = "novice" if scenario.topology.novice.gear is not None else "expert"
        nodes = {node.name for node in plan(scenario.topology).nodes}
        assert f"{role}.acme" in nodes


def test_a_router_s_web_server_is_where_it_said() -> None:
    acme = as_built(bench(described()).routers[0], found(), project())
    assert acme.upnp is not None
    assert acme.upnp.http_port == 49000
    plain = as_built(bench(described(claims="nat")).routers[0], found(), project())
    assert plain.upnp is None
    assert acme.subnet.address == found().router


def test_nobody_else_has_the_same_address_in_two_scenarios() -> None:
    seen: list[IPv4Address] = []
    for scenario in made(bench(described()), methods=list(Method)):
        internet = scenario.topology.internet
        mine = {link.site for link in routers_links(scenario.topology)}
        sites = {internet.novice.site, internet.expert.site, internet.services.site}
        seen += sites - mine
    assert len(seen) == 24
    assert len(set(seen)) == len(seen)


def test_a_dialler_outlasts_the_bench_s_patience_and_the_kernel_s_for_a_neighbour() -> None:
    def patience(answer: float) -> float:
        (value,) = {each.terms.patience for each in made(bench(described(), answer=answer))}
        return value

    assert patience(6.0) == 7.0
    # Linux asks for a neighbour three times, a second apart, before it says that there is none.
    assert patience(0.5) > 3.0


def test_what_refuses_is_not_believed_of_a_real_router_alone() -> None:
    for scenario in made(bench(described())):
        for site in scenario.topology.sites.values():
            assert believes_refusal(site) is (site.gear is None)


def test_the_internet_answers_names_and_leases_where_a_router_stands() -> None:
    first = made(bench(described()))[0]
    listens = plan(first.topology).node(INTERNET).listens
    assert sorted(listens) == ["TCP 53", "UDP 53", "UDP 67"]


def test_notes_say_what_stands_there() -> None:
    (one,) = notes(bench(described()))
    assert one == "acme: a real router, X1, firmware 1.0; its maker claims upnp-nat"
    assert len(notes(TWO)) == 2
    (odd,) = notes(bench(described(wan={"kind": "private"})))
    assert odd.endswith("its WAN address is private, of which the article does not speak")


def test_the_results_say_which_router_was_tested_and_where_it_was_found() -> None:
    address = {"addressing": "static", "address": "80.100.10.7"}
    (router,) = facts(bench(described(wan=address)), [found()])
    assert router.model_dump() == {
        "name": "acme",
        "model": "X1",
        "firmware": "1.0",
        "claims": "upnp-nat",
        "gateway": "192.168.178.1/24",
        "external": "80.100.10.7",
        "wan_addressing": "static",
    }


# --- The ISP's links ------------------------------------------------------------------------------


def by_hand(address: str, kind: str = "public") -> dict[str, object]:
    return {"addressing": "static", "address": address, "kind": kind}


def links(of: Bench) -> dict[str, str]:
    return {name: str(link) for name, link in isp_links(of, project().internet).items()}


def test_each_router_has_an_isp_of_the_kind_that_the_bench_asks_for() -> None:
    assert links(TWO) == {"acme": "80.100.10.1/24", "other": "85.200.20.1/24"}
    kinds = (described(wan={"kind": "cgnat"}), described("other", wan={"kind": "private"}))
    assert links(bench(*kinds)) == {"acme": "100.64.10.1/24", "other": "10.77.20.1/24"}


def test_beside_an_address_set_by_hand_the_isp_has_another() -> None:
    assert links(bench(described(wan=by_hand("82.70.60.9")))) == {"acme": "82.70.60.1/24"}
    assert links(bench(described(wan=by_hand("82.70.60.1")))) == {"acme": "82.70.60.254/24"}


@pytest.mark.parametrize(
    ("first", "second", "whose"),
    [
        (by_hand("91.30.30.7"), {}, "acme: .* overlaps 91.30.30.0/24 of the internet's services"),
        (by_hand("80.101.3.7"), {}, "acme: .* of the internet's novice side"),
        ({}, by_hand("80.100.10.9"), "other: .* overlaps 80.100.10.0/24 of the WAN of acme"),
        (by_hand("85.200.20.9"), {}, "other: .* overlaps 85.200.20.0/24 of the WAN of acme"),
        (by_hand("82.70.60.255"), {}, "acme: wan.address 82.70.60.255"),
        (by_hand("82.70.60.0"), {}, "acme: wan.address 82.70.60.0"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused(
    first: dict[str, object], second: dict[str, object], whose: str
) -> None:
    of = bench(described(wan=first), described("other", wan=second))
    with pytest.raises(DefinitionError, match=whose):
        links(of)
