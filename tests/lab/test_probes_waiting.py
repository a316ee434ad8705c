"""Probing waits for an answer that takes its time, and no longer than it must."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from deeds import Deed, also, listens, rules
from probing import in_one_lab, library, probe
from pyroute2 import IPRoute

from harness.lab.lab import Lab
from harness.lab.probes import FIRST_PORT
from harness.lab.syns import DEADLINE, Endpoint, Probe, send
from harness.topology.plan import SERVICES


def lost(node: str, *chains: str) -> Deed:
    """Have a node lose the first ARP request that it gets (``input``) or makes (``output``)."""
    first = "arp operation request quota until 50 bytes drop"
    bodies = [
        f"chain {chain} {{ type filter hook {chain} priority 0; {first}; }}" for chain in chains
    ]
    return rules(node, "table arp late {", *bodies, "}")


def asks_again(node: str, interface: str) -> Deed:
    """Have a node repeat an ARP request after 50 ms: what waits for its answer waits so long."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            settings = Path("/proc/sys/net/ipv4/neigh") / interface
            (settings / "retrans_time_ms").write_text("50", encoding="ascii")

    return deed


def knows(node: str, interface: str, other: str) -> Deed:
    """Have a node know another's link address, so that it need not ask."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[other].entered(), IPRoute() as netlink:
            (index,) = netlink.link_lookup(ifname="eth0")
            (link,) = netlink.link("get", index=index)
        with lab.namespaces[node].entered(), IPRoute() as netlink:
            (index,) = netlink.link_lookup(ifname=interface)
            own = str(lab.plan.services)
            netlink.neigh("add", dst=own, lladdr=link.get_attr("IFLA_ADDRESS"), ifindex=index)

    return deed


def test_answers_that_take_their_time_are_waited_for() -> None:
    delay = also(lost(SERVICES, "input", "output"), asks_again("internet", "to-services"))
    (probed,) = probe((library().from_chains(("nat",), ()), delay))
    assert probed.failed == set(), probed.controls
    assert 0.04 < probed.seconds < DEADLINE


def sent(lab: Lab, one: Probe) -> list[object]:
    """Send a SYN; return how it ended, whether it was answered, and whether that took a while."""
    began = time.monotonic()
    found = asyncio.run(send([one], lab.namespaces, lab.watch))[one]
    return [found.ending.how, found.answered, 0.04 < time.monotonic() - began < DEADLINE]


def test_the_sender_s_socket_ends_the_wait_for_an_answer_that_was_seen_to_leave() -> None:
    def work(lab: Lab) -> object:
        knows("internet", "to-services", SERVICES)(lab)
        also(lost(SERVICES, "output"), asks_again(SERVICES, "eth0"))(lab)
        return sent(lab, Probe("novice", FIRST_PORT, Endpoint(lab.plan.services, 7001)))

    found = in_one_lab(work, library().from_chains(("nat",), ()))
    assert found == ["RST from services (nothing listens there)", True, True]


def test_a_rule_ends_the_wait_for_an_answer() -> None:
    def work(lab: Lab) -> object:
        also(lost("novice.nat", "input"), asks_again("internet", "to-novice"))(lab)
        public = lab.plan.topology.internet.novice.site
        return sent(lab, Probe(SERVICES, FIRST_PORT, Endpoint(public, 3389)))

    found = in_one_lab(work, library().from_chains(("nat",), ()))
    assert found == ["dropped by novice.nat (unsolicited packet on wan)", False, True]


def test_an_answer_that_no_kernel_tells_of_is_waited_for_at_rest() -> None:
    def work(lab: Lab) -> float:
        also(rules(SERVICES, "flush ruleset"), listens(SERVICES, 7001))(lab)
        began = time.process_time()
        sent(lab, Probe("novice", FIRST_PORT, Endpoint(lab.plan.services, 7001)))
        return time.process_time() - began

    assert in_one_lab(work, library().from_chains(("nat",), ())) < DEADLINE / 4
