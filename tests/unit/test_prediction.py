"""The model's answers: yes or no for each pair and method, and the node that decides."""

from __future__ import annotations

from itertools import product

import pytest
from definitions import project
from predictions import (
    EMAIL,
    EXPERT,
    FILE,
    MESSENGER,
    NO,
    NOVICE,
    YES,
    chains_of,
    telling,
    topology,
)

from harness.kb import Claim, load_tables
from harness.prediction import predict
from harness.topology.load import Library
from harness.words import Answer, Method

CELLS = [
    pytest.param(claim, method, id=f"{method}-{claim.id}")
    for table in load_tables()
    for claim in table.claims
    for method in claim.methods
]


@pytest.mark.parametrize(("claim", "method"), CELLS)
def test_every_cell_of_the_articles_tables_is_predicted(claim: Claim, method: Method) -> None:
    predicted = predict(project().from_chains(claim.novice, claim.expert), method)
    assert predicted.answer is claim.answer
    assert predicted.why


# pair, answer by messenger, answer by file; the node that ends the most telling SYN, by each.
PAIRS = [
    ("direct+direct", YES, YES, "novice", "novice"),
    ("icf+direct", YES, YES, "novice", "novice"),
    ("direct+icf", YES, YES, "novice", "novice"),
    ("icf+icf", YES, YES, "novice", "novice"),
    ("icf+nat", YES, YES, "novice", "novice"),
    ("nat+icf", YES, NO, "expert", "novice.nat"),
    ("icf,upnp-nat+nat", YES, YES, "novice", "novice"),
    ("icf,upnp-nat,cgnat+direct", YES, NO, "expert", "novice.cgnat"),
    ("icf,upnp-nat,cgnat+nat", NO, NO, "novice.cgnat", "novice.cgnat"),
    ("icf,nat+icf,upnp-nat", YES, NO, "expert", "novice.nat"),
    ("firewall+direct", YES, NO, "expert", "novice.firewall"),
    ("direct+firewall", YES, YES, "novice", "novice"),
    ("firewall+firewall", NO, NO, "novice.firewall", "novice.firewall"),
    ("firewall-open+firewall", YES, YES, "novice", "novice"),
    ("firewall-open+nat", YES, YES, "novice", "novice"),
    ("firewall-strict+direct", NO, NO, "novice.firewall-strict", "novice.firewall-strict"),
    ("direct+firewall-strict", YES, YES, "novice", "novice"),
    ("nat-forwarded+nat", YES, YES, "novice", "novice"),
    ("nat-forwarded,firewall+nat", NO, NO, "novice.firewall", "novice.firewall"),
    ("firewall,nat-forwarded+nat", NO, NO, "novice.firewall", "novice.firewall"),
    ("firewall-open,nat-forwarded+nat", YES, YES, "novice", "novice"),
    ("nat,nat-forwarded+nat", NO, NO, "novice.nat", "novice.nat"),
    ("nat-forwarded,nat+nat", NO, NO, "novice.nat", "novice.nat"),
    ("cgnat+direct", YES, NO, "expert", "novice.cgnat"),
    ("upnp-nat,cgnat+nat", NO, NO, "novice.cgnat", "novice.cgnat"),
    ("nat+upnp-nat,cgnat", NO, NO, "novice.nat", "novice.nat"),
    ("me-ics,upnp-nat+nat", NO, NO, "novice.upnp-nat", "novice.upnp-nat"),
    ("firewall,upnp-nat+nat", NO, NO, "novice.upnp-nat", "novice.upnp-nat"),
    ("upnp-nat,firewall+nat", NO, NO, "novice.firewall", "novice.firewall"),
    ("upnp-nat,firewall-open+nat", YES, YES, "novice", "novice"),
    ("firewall,nat+nat,firewall", NO, NO, "novice.nat", "novice.nat"),
    ("nat,firewall+firewall,nat", NO, NO, "novice.firewall", "novice.firewall"),
    ("nat-symmetric+nat-symmetric", NO, NO, "novice.nat-symmetric", "novice.nat-symmetric"),
    ("nat-symmetric+upnp-nat", YES, NO, "expert", "novice.nat-symmetric"),
    ("http-proxy+direct", NO, NO, "novice.http-proxy", "novice.http-proxy"),
    ("socks-proxy+direct", NO, NO, "novice.socks-proxy", "novice.socks-proxy"),
    ("direct+http-proxy", NO, NO, "expert.http-proxy", "expert"),
    ("nat,http-proxy+direct", NO, NO, "novice.http-proxy", "novice.http-proxy"),
    ("direct+nat,http-proxy", NO, NO, "expert.http-proxy", "expert.nat"),
]


@pytest.mark.parametrize(
    ("pair", "by_messenger", "by_file", "messenger_node", "file_node"),
    PAIRS,
    ids=[pair[0] for pair in PAIRS],
)
def test_a_pair_is_predicted_and_the_node_that_decides_is_named(
    pair: str, by_messenger: Answer, by_file: Answer, messenger_node: str, file_node: str
) -> None:
    messenger = predict(topology(pair), MESSENGER)
    file = predict(topology(pair), FILE)
    assert (messenger.answer, file.answer) == (by_messenger, by_file)
    assert (telling(messenger).node, telling(file).node) == (messenger_node, file_node)
    for predicted in (messenger, file):
        assert telling(predicted).node in predicted.why
        assert predicted.why.count("\n") == 0


@pytest.mark.parametrize("pair", [pair[0] for pair in PAIRS])
def test_email_is_predicted_as_file_is(pair: str) -> None:
    assert predict(topology(pair), EMAIL) == predict(topology(pair), FILE)


def test_by_file_only_the_expert_dials() -> None:
    for pair, method in product(("nat+direct", "direct+nat", "icf+icf"), (FILE, EMAIL)):
        assert {each.dialler for each in predict(topology(pair), method).reaches} == {EXPERT}
        both = predict(topology(pair), MESSENGER).reaches
        assert {each.dialler for each in both} == {NOVICE, EXPERT}


def boxes() -> list[str]:
    """Return the project's devices that are boxes."""
    return sorted(name for name, each in project().devices.items() if each.lan or each.firewall)


NATS_OUTSIDE = [
    (inner, outer)
    for inner, outer in product(["direct", *boxes()], ["nat", "cgnat", "nat-symmetric"])
    if inner != outer
]


@pytest.mark.parametrize(("inner", "outer"), NATS_OUTSIDE)
def test_a_nat_that_maps_nothing_put_outside_a_novice_never_makes_a_no_a_yes(
    inner: str, outer: str
) -> None:
    chain = outer if inner == "direct" else f"{inner},{outer}"
    for expert in ("direct", *boxes()):
        before = predict(topology(f"{inner}+{expert}"), FILE)
        after = predict(topology(f"{chain}+{expert}"), FILE)
        assert after.answer is NO or before.answer is YES


def test_the_same_topology_has_the_same_prediction() -> None:
    """Two libraries share no object, so nothing is remembered between the two."""
    again = Library(project().folder)
    for pair, method in product([pair[0] for pair in PAIRS], Method):
        first = predict(topology(pair), method)
        assert predict(again.from_chains(*chains_of(pair)), method) == first
        assert predict(topology(pair), method) == first
