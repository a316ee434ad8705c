"""What ends a SYN or lets it in, one device or circumstance at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from predictions import (
    CLIENT,
    EXPERT,
    FILE,
    MESSENGER,
    NO,
    NOVICE,
    RDP,
    WAN,
    YES,
    from_toml,
    reach,
    telling,
    topology,
)

from harness.prediction import Options, predict
from harness.words import Answer


def test_nobody_opens_a_firewall_of_that_kind_on_a_host() -> None:
    opened = topology("icf+direct")
    (shield,) = opened.novice.chain
    assert shield.host_firewall is not None
    rules = shield.host_firewall.model_copy(update={"opened_by_remote_assistance": False})
    closed = {"chain": (shield.model_copy(update={"host_firewall": rules}),)}
    predicted = predict(topology("icf+direct", novice=closed), FILE)
    assert predicted.answer is NO
    assert predicted.why == (
        f"the firewall on the novice drops the SYN to {WAN}:3389: nobody opened that port"
    )
    assert predict(topology("icf+direct", novice=closed), MESSENGER).answer is YES


@pytest.mark.parametrize(("options", "answer"), [(Options(), NO), (RDP, YES)])
def test_a_strict_firewall_lets_the_novice_reach_3389_and_no_dynamic_port(
    options: Options, answer: Answer
) -> None:
    predicted = predict(topology("firewall-strict+direct"), MESSENGER, options)
    assert predicted.answer is answer
    outward = reach(predicted, NOVICE, "85.200.20.2")
    assert outward.port == (options.expert_port or None)
    assert outward.node == ("expert" if answer is YES else "novice.firewall-strict")


def test_a_firewall_opened_for_3389_lets_in_an_expert_that_listens_there() -> None:
    pair = topology("nat+firewall-open")
    assert predict(pair, MESSENGER).answer is NO
    predicted = predict(pair, MESSENGER, RDP)
    assert predicted.answer is YES
    assert predicted.why == (
        "the novice reaches 85.201.0.2:3389, which expert.firewall-open lets in"
    )


def test_the_experts_forwarded_port_serves_only_an_expert_that_listens_on_it() -> None:
    pair = topology("nat+nat-forwarded")
    assert predict(pair, MESSENGER).answer is NO
    assert predict(pair, MESSENGER, RDP).answer is YES


def test_no_mapping_is_granted_below_port_1024() -> None:
    pair = topology("nat+upnp-nat")
    assert predict(pair, MESSENGER).answer is YES
    assert predict(pair, MESSENGER, Options(expert_port=443)).answer is NO


PROXIED = [
    ("direct+http-proxy", NO),
    ("direct+http-proxy-open", YES),
    ("direct+socks-proxy", YES),
    ("upnp-nat+socks-proxy", YES),
    ("nat+socks-proxy", NO),
]


@pytest.mark.parametrize(("pair", "answer"), PROXIED)
def test_an_expert_reaches_out_by_the_proxy_that_it_is_a_client_of(
    pair: str, answer: Answer
) -> None:
    assert predict(topology(pair), FILE).answer is NO
    predicted = predict(topology(pair, expert=CLIENT), FILE)
    assert predicted.answer is answer


def test_a_proxys_policy_ends_what_it_does_not_allow() -> None:
    predicted = predict(topology("direct+http-proxy", expert=CLIENT), FILE)
    assert telling(predicted).node == "expert.http-proxy"
    assert predicted.why == (
        f"expert.http-proxy refuses to connect to {WAN}:3389: "
        "it allows only ports 443, 563, 25, 110, 1863, 3478 outward"
    )


@pytest.mark.parametrize(
    ("device", "options", "answer"),
    [
        ("http-proxy", Options(), NO),
        ("http-proxy", RDP, NO),
        ("http-proxy-open", Options(), YES),
        ("socks-proxy", RDP, YES),
    ],
)
def test_a_novice_that_is_a_proxys_client_dials_out_and_is_not_dialled(
    device: str, options: Options, answer: Answer
) -> None:
    pair = topology(f"{device}+direct", novice=CLIENT)
    assert predict(pair, FILE).answer is NO
    assert predict(pair, MESSENGER, options).answer is answer


def test_a_proxy_that_its_client_cannot_reach_ends_where_the_request_does() -> None:
    predicted = predict(topology("direct+firewall-strict,socks-proxy", expert=CLIENT), FILE)
    assert predicted.answer is NO
    assert predicted.why == (
        f"the SYN to expert.socks-proxy for {WAN}:3389 ends at expert.firewall-strict"
    )


def test_a_host_behind_a_proxy_has_no_other_way_out() -> None:
    predicted = predict(topology("direct+http-proxy-open"), FILE)
    assert predicted.why == (
        f"the SYN to {WAN}:3389 never leaves the expert, whose only way out is "
        "expert.http-proxy-open"
    )


def test_the_same_private_address_on_both_sides_is_never_a_connection() -> None:
    """The expert listens on 3389 too, and still its own listener is not the novice's."""
    predicted = predict(topology("nat+nat"), MESSENGER, RDP)
    own = reach(predicted, EXPERT, "192.168.1.100")
    assert (own.reached, own.node) == (False, "expert")
    assert own.why == "the expert's own address is 192.168.1.100, so its SYN never leaves it"
    assert predicted.answer is NO


def test_a_novice_that_listens_elsewhere_than_its_ticket_says_refuses() -> None:
    predicted = predict(topology("direct+direct", novice={"listens": 3390}), FILE)
    assert telling(predicted).node == "novice"
    assert predicted.why == f"the novice refuses the SYN to {WAN}:3389: it listens on 3390"


def test_icf_is_opened_where_the_novice_listens_and_not_where_its_ticket_says() -> None:
    predicted = predict(topology("icf+direct", novice={"listens": 3390}), FILE)
    assert predicted.answer is NO
    assert predicted.why.startswith("the firewall on the novice drops")


def test_a_hand_made_forward_can_lead_to_where_the_novice_really_listens() -> None:
    pair = topology("nat-forwarded+direct")
    (device,) = pair.novice.chain
    assert device.nat is not None
    forward = (device.nat.forward[0].model_copy(update={"to_port": 3390}),)
    nat = device.nat.model_copy(update={"forward": forward})
    chain = {"chain": (device.model_copy(update={"nat": nat}),), "listens": 3390}
    predicted = predict(topology("nat-forwarded+direct", novice=chain), FILE)
    assert predicted.answer is YES
    assert "novice.nat-forwarded forwards to the novice" in predicted.why


NEIGHBOUR = """
[novice]
chain = ["nat"]

[expert]
chain = [{{device = "upnp-nat", lan = {{address = "192.168.1.1/24", host = "192.168.1.50"}}}}]

[[expert.neighbours]]
name = "laptop"
address = "192.168.1.100"
{stranger}
"""


def test_a_stranger_at_the_novices_private_address_is_no_connection(tmp_path: Path) -> None:
    pair = from_toml(tmp_path, NEIGHBOUR.format(stranger="stranger = 3389"))
    own = reach(predict(pair, FILE), EXPERT, "192.168.1.100")
    assert (own.reached, own.node) == (False, "expert.laptop")
    assert "a stranger, which holds no invitation" in own.why


def test_a_neighbour_at_the_novices_private_address_refuses(tmp_path: Path) -> None:
    pair = from_toml(tmp_path, NEIGHBOUR.format(stranger=""))
    own = reach(predict(pair, FILE), EXPERT, "192.168.1.100")
    assert (own.reached, own.node) == (False, "expert.laptop")
    assert own.why == (
        "expert.laptop refuses the SYN to 192.168.1.100:3389: it has that address, and no listener"
    )


def test_a_private_address_on_the_diallers_own_lan_that_nobody_has_stays_there(
    tmp_path: Path,
) -> None:
    text = '[novice]\nchain = ["nat"]\n[expert]\nchain = ["nat"]\naddress = "192.168.1.7"\n'
    own = reach(predict(from_toml(tmp_path, text), FILE), EXPERT, "192.168.1.100")
    assert own.node == "expert"
    assert own.why == (
        "the SYN to 192.168.1.100:3389 never leaves the expert, whose LAN has no such host"
    )


def test_a_private_address_on_an_outer_lan_of_the_dialler_ends_at_the_router_there() -> None:
    """The novice's 192.168.1.100 is, to this expert, the address of its own inner NAT's WAN."""
    own = reach(predict(topology("nat+xp-ics,nat"), FILE), EXPERT, "192.168.1.100")
    assert own.node == "expert.xp-ics"
    own = reach(predict(topology("me-ics+upnp-nat,xp-ics"), FILE), EXPERT, "192.168.0.2")
    assert own.node == "expert.upnp-nat"


def test_the_sentences_are_plain() -> None:
    assert predict(topology("direct+socks-proxy", expert=CLIENT), FILE).why == (
        f"the expert reaches {WAN}:3389, the novice's own address, through expert.socks-proxy"
    )
    assert predict(topology("nat+nat"), FILE).why == (
        f"novice.nat drops the SYN to {WAN}:3389: nobody asked for it and no port is mapped"
    )
    assert predict(topology("upnp-nat+nat"), FILE).why == (
        f"the expert reaches {WAN}:3389, which novice.upnp-nat maps to the novice"
    )
    assert predict(topology("icf,upnp-nat,firewall-open+nat"), FILE).why == (
        "the expert reaches 80.101.0.2:3389, which novice.firewall-open lets in and "
        "novice.upnp-nat maps and the firewall on the novice lets in"
    )
