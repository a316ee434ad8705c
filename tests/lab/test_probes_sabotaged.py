"""A site that is something else than it says fails the probe that it concerns, which says why."""

from __future__ import annotations

import pytest
from deeds import SYMMETRIC, address, also, instead, listens, route, rules
from probing import library, probe

from harness.lab.probes import NAT_CLASS, REACHES, TRANSLATION, UNSOLICITED
from harness.lab.ruleset import TABLE
from harness.lab.syns import DEADLINE

REJECTS = 'iifname "wan" log group 3389 prefix "ended unsolicited packet on wan" reject'

NOVICE_S = {
    "a gateway that does not translate": (
        ("nat", instead("novice.nat", "postrouting")),
        {REACHES, TRANSLATION, NAT_CLASS},
        (TRANSLATION, "as 192.168.1.100:20000; should be 192.168.1.100 as 80.100.10.2"),
    ),
    "a gateway that translates to another address": (
        (
            "nat",
            also(
                address("novice.nat", "wan", None, "80.100.10.77"),
                instead("novice.nat", "postrouting", 'oifname "wan" snat ip to 80.100.10.77'),
            ),
        ),
        {TRANSLATION},
        (TRANSLATION, "as 80.100.10.77:20000; should be 192.168.1.100 as 80.100.10.2"),
    ),
    "a symmetric NAT that is none": (
        (
            "nat-symmetric",
            instead("novice.nat-symmetric", "postrouting", 'oifname "wan" masquerade'),
        ),
        {NAT_CLASS},
        (NAT_CLASS, "endpoint-independent mapping, "),
    ),
    "a NAT that is symmetric and should not be": (
        ("nat", instead("novice.nat", "postrouting", SYMMETRIC)),
        {NAT_CLASS},
        (NAT_CLASS, "defined: endpoint-independent mapping, "),
    ),
    "a NAT that maps by address": (
        (
            "nat",
            instead(
                "novice.nat",
                "postrouting",
                'oifname "wan" ip daddr 91.30.30.10 meta l4proto tcp masquerade to :40000-49999',
                'oifname "wan" masquerade',
            ),
        ),
        {NAT_CLASS},
        (NAT_CLASS, "address-dependent mapping, address-and-port-dependent filtering: "),
    ),
    "a NAT that lets everybody in": (
        (
            "nat",
            instead(
                "novice.nat",
                "prerouting",
                'iifname "wan" tcp dport 20000-29999 dnat ip to 192.168.1.100',
            ),
        ),
        {NAT_CLASS},
        (NAT_CLASS, "endpoint-independent filtering: "),
    ),
    "a NAT that lets in whoever is at the peer's address": (
        (
            "nat",
            instead(
                "novice.nat",
                "prerouting",
                'iifname "wan" ip saddr 91.30.30.1 tcp dport 20000-29999 dnat ip to 192.168.1.100',
            ),
        ),
        {NAT_CLASS},
        (NAT_CLASS, "address-dependent filtering: "),
    ),
    "a NAT that lets in all but the peer": (
        (
            "nat",
            instead(
                "novice.nat",
                "prerouting",
                'iifname "wan" ip saddr != 91.30.30.1 tcp dport >= 20000 dnat ip to 192.168.1.100',
            ),
        ),
        {NAT_CLASS},
        (NAT_CLASS, "irregular filtering: "),
    ),
    "a device that answers in the host's place": (
        ("nat", also(instead("novice.nat", "input"), listens("novice.nat", 3389))),
        {UNSOLICITED},
        (UNSOLICITED, "answered by novice.nat; should be dropped by novice.nat"),
    ),
    "a host on which somebody listens already": (
        ("direct", listens("novice", 3389)),
        {UNSOLICITED},
        (UNSOLICITED, "answered by novice; should be refused by novice"),
    ),
    "a NAT that rejects and should drop": (
        ("nat", instead("novice.nat", "input", REJECTS)),
        {UNSOLICITED},
        (UNSOLICITED, "ICMP port unreachable from novice.nat"),
    ),
    "a NAT that says nothing of what it ends": (
        ("nat", instead("novice.nat", "input", 'iifname "wan" drop')),
        {UNSOLICITED, NAT_CLASS},
        (UNSOLICITED, "its end was not seen; should be dropped by novice.nat"),
    ),
    "an internet that ends what the site should end": (
        (
            "nat",
            rules(
                "internet",
                "insert rule inet core prerouting ip daddr 80.100.10.2 tcp dport 3389 "
                'log group 3389 prefix "ended by mistake" drop',
            ),
        ),
        {UNSOLICITED},
        (UNSOLICITED, "dropped by internet (by mistake); should be dropped by novice.nat"),
    ),
    "a forward that is not there": (
        ("nat-forwarded", instead("novice.nat-forwarded", "prerouting")),
        {UNSOLICITED},
        (UNSOLICITED, "dropped by novice.nat-forwarded"),
    ),
    "a forward that nobody made": (
        (
            "nat",
            instead(
                "novice.nat", "prerouting", 'iifname "wan" tcp dport 3389 dnat ip to 192.168.1.100'
            ),
        ),
        {UNSOLICITED},
        (UNSOLICITED, "RST from novice (nothing listens there); should be dropped by novice.nat"),
    ),
    "an ICF that is off": (
        ("icf", instead("novice", "input")),
        {UNSOLICITED},
        (UNSOLICITED, "RST from novice (nothing listens there); should be dropped by novice"),
    ),
    "a firewall that lets everything in": (
        ("firewall", instead("novice.firewall", "forward", "accept")),
        {UNSOLICITED},
        (UNSOLICITED, "RST from novice (nothing listens there); should be dropped by"),
    ),
    "a strict firewall that lets everything out": (
        (
            "firewall-strict",
            rules(
                "novice.firewall-strict",
                f'insert rule inet {TABLE} forward iifname "lan" oifname "wan" accept',
            ),
        ),
        {REACHES},
        (REACHES, "RST from internet (nothing listens there); should be dropped by"),
    ),
    "a strict firewall that blocks a port that it should let out": (
        (
            "firewall-strict",
            rules(
                "novice.firewall-strict",
                f"insert rule inet {TABLE} forward tcp dport 1863 "
                'log group 3389 prefix "ended by mistake" drop',
            ),
        ),
        {REACHES},
        (REACHES, "91.30.30.1:1863 from novice: dropped by novice.firewall-strict (by mistake)"),
    ),
    "a host on another network": (
        ("direct", address("novice", "eth0", "80.100.10.2", "80.100.11.2")),
        {REACHES, TRANSLATION, UNSOLICITED},
        (REACHES, "novice has no route to it; should be answered by services"),
    ),
    "a host with another public address": (
        (
            "direct",
            also(
                address("novice", "eth0", "80.100.10.2", "80.100.10.7"),
                route("novice", "add", "default", "80.100.10.1"),
            ),
        ),
        {TRANSLATION, UNSOLICITED},
        (TRANSLATION, "should be 80.100.10.2 as 80.100.10.2"),
    ),
    "a host with another address behind its NAT": (
        (
            "nat",
            also(
                address("novice", "eth0", "192.168.1.100", "192.168.1.55"),
                route("novice", "add", "default", "192.168.1.1"),
            ),
        ),
        {TRANSLATION},
        (TRANSLATION, "should be 192.168.1.100 as 80.100.10.2"),
    ),
    "a host without a route": (
        ("direct", route("novice", "del", "default", "80.100.10.1")),
        {REACHES, TRANSLATION, UNSOLICITED},
        (REACHES, "novice has no route to it"),
    ),
    "a host with a way past its proxy": (
        ("http-proxy", route("novice", "add", "default", "192.168.8.1")),
        {REACHES},
        (REACHES, "its end was not seen; should be without a route at novice"),
    ),
    "an internet that does not know the site's network": (
        ("firewall", route("internet", "del", "80.101.0.0/16", "80.100.10.2")),
        {REACHES, UNSOLICITED},
        (REACHES, "RST from services (nothing listens there); the answer did not come back"),
    ),
}


@pytest.mark.parametrize("what", NOVICE_S)
def test_the_control_that_it_concerns_fails_and_says_why(what: str) -> None:
    (chain, deed), failed, (name, said) = NOVICE_S[what]
    novice = () if chain == "direct" else (chain,)
    (probed,) = probe((library().from_chains(novice, ("nat",)), deed))
    assert probed.failed == {("novice", each) for each in failed}, probed.controls
    assert said in probed.detail("novice", name)
    assert probed.seconds < 2 * DEADLINE + 1


def test_what_is_wrong_at_the_expert_s_site_is_said_of_the_expert() -> None:
    deed = instead("expert.nat", "postrouting", SYMMETRIC)
    (probed,) = probe((library().from_chains(("nat",), ("nat",)), deed))
    assert probed.failed == {("expert", NAT_CLASS)}, probed.controls
