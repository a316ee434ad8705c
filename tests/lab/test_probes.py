"""Each site of a lab shows by packets what it is; a site that is something else is found out.

The sabotage is done to the running lab, in the node's own namespace, by nft and by netlink.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute
from worlds import in_world

from harness.judge.journey import Event
from harness.judge.model import Control
from harness.lab.lab import Lab
from harness.lab.probes import (
    FIRST_PORT,
    NAT_CLASS,
    REACHES,
    TRANSLATION,
    UNSOLICITED,
    probe_sites,
)
from harness.lab.ruleset import TABLE
from harness.lab.syns import DEADLINE, Endpoint, Probe, send
from harness.protocol.packet import Segment
from harness.runtime import nftables
from harness.runtime.namespaces import Namespaces
from harness.runtime.sockdiag import listening
from harness.topology.load import Library, default_folder
from harness.topology.model import Device, Filtering, Firewall, Mapping, Nat, Topology, Unsolicited
from harness.topology.plan import SERVICES, plan

EACH_SITE = {REACHES, TRANSLATION, UNSOLICITED}

Deed = Callable[[Lab], object]


@dataclass(frozen=True)
class Probed:
    """The controls of one lab, and the seconds that they took."""

    controls: tuple[Control, ...]
    seconds: float

    @property
    def failed(self) -> set[tuple[str, str]]:
        """Node and name of each control that failed."""
        return {(each.node, each.name) for each in self.controls if not each.passed}

    def detail(self, node: str, name: str) -> str:
        (found,) = (each for each in self.controls if (each.node, each.name) == (node, name))
        return found.detail


def nothing(_: Lab) -> None:
    """Leave the lab as it is."""


def probe(*cases: tuple[Topology, Deed]) -> list[Probed]:
    """Bring labs up in one sealed world, one by one, do something to each and probe it."""

    def work(scratch: Path) -> object:
        return [one(scratch / str(number), *case) for number, case in enumerate(cases)]

    def one(folder: Path, topology: Topology, deed: Deed) -> object:
        with Lab(plan(topology), Namespaces(folder), lambda node, event: None) as lab:
            deed(lab)
            began = time.monotonic()
            controls = asyncio.run(probe_sites(lab.plan, lab.namespaces, lab.watch))
            seconds = time.monotonic() - began
            lab.watch.close()
            return [seconds, [each.model_dump() for each in controls]]

    return [
        Probed(tuple(Control(**each) for each in controls), seconds)
        for seconds, controls in in_world(work)
    ]


def library() -> Library:
    return Library(default_folder())


def with_nat(nat: Nat, novice: Sequence[str] = ("nat",)) -> Topology:
    """Return a topology whose ``nat`` is this one."""
    own = library()
    own.devices["nat"] = own.devices["nat"].model_copy(update={"nat": nat})
    return own.from_chains(tuple(novice), ())


def with_firewall(firewall: Firewall, novice: Sequence[str] = ("firewall",)) -> Topology:
    """Return a topology whose ``firewall`` is this one."""
    own = library()
    own.devices["firewall"] = own.devices["firewall"].model_copy(update={"firewall": firewall})
    return own.from_chains(tuple(novice), ())


# --- what is as it says


def translates(chain: Iterable[str], devices: dict[str, Device]) -> bool:
    """Whether a NAT is outward of whoever speaks for the site."""
    outward: list[Device] = []
    for name in chain:
        outward = [] if devices[name].proxy is not None else [*outward, devices[name]]
    return any(device.nat is not None for device in outward)


CHAINS = [
    ("nat", "cgnat"),
    ("upnp-nat", "nat-symmetric"),
    ("nat-symmetric", "cgnat"),
    ("nat", "firewall"),
    ("firewall", "nat"),
    ("firewall-strict", "nat"),
    ("nat", "firewall-strict"),
    ("firewall", "firewall-strict"),
    ("http-proxy", "nat"),
    ("nat", "http-proxy"),
    ("http-proxy", "firewall-strict"),
    ("icf", "nat-forwarded"),
    ("nat-forwarded", "firewall-open", "cgnat"),
    ("nat", "nat-forwarded", "firewall"),
]


def test_each_device_on_either_side_and_chains_of_them_are_what_they_say() -> None:
    own = library()
    singles = [(), *((name,) for name in own.devices)]
    pairs = [*zip(singles, reversed(singles), strict=True), *zip(CHAINS, CHAINS[::-1], strict=True)]
    probed = probe(*((own.from_chains(*pair), nothing) for pair in pairs))
    for chains, each in zip(pairs, probed, strict=True):
        assert each.failed == set(), (chains, each.controls)
        made = {(control.node, control.name) for control in each.controls}
        for role, chain in zip(("novice", "expert"), chains, strict=True):
            names = EACH_SITE | ({NAT_CLASS} if translates(chain, own.devices) else set())
            assert {name for node, name in made if node == role} == names, chains


def test_each_topology_of_the_article_is_what_it_says() -> None:
    own = library()
    files = sorted((default_folder() / "kb301529").glob("*.toml"))
    for file, each in zip(
        files, probe(*((own.from_file(file), nothing) for file in files)), strict=True
    ):
        assert each.failed == set(), (file, each.controls)


def test_a_lab_that_is_what_it_says_is_not_waited_for() -> None:
    """Every SYN is over when the last one is sent: what waits at all waits for the deadline."""
    (probed,) = probe((library().from_chains(("nat",), ("firewall-strict",)), nothing))
    assert probed.failed == set()
    assert probed.seconds < DEADLINE / 2


AXES = [
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT),
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT),
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
    (Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
]


@pytest.mark.parametrize("policy", Unsolicited)
@pytest.mark.parametrize("chain", [("nat",), ("icf", "nat"), ("socks-proxy", "nat")], ids=",".join)
def test_each_class_of_nat_is_measured_as_it_is(policy: Unsolicited, chain: Sequence[str]) -> None:
    """And the two ways to end an unasked SYN are told apart."""
    nats = [Nat(mapping=axes[0], filtering=axes[1], unsolicited=policy) for axes in AXES]
    for (mapping, filtering), each in zip(
        AXES, probe(*((with_nat(nat, chain), nothing) for nat in nats)), strict=True
    ):
        assert each.failed == set(), each.controls
        said = f"{mapping} mapping, {filtering} filtering: "
        assert each.detail("novice", NAT_CLASS).startswith(said)
        how = "dropped by" if policy is Unsolicited.DROP else "ICMP port unreachable from"
        assert f"{how} novice.nat " in each.detail("novice", UNSOLICITED)


@pytest.mark.parametrize("filtering", Filtering)
def test_a_chain_of_nats_is_as_strict_as_its_strictest(filtering: Filtering) -> None:
    nat = Nat(filtering=filtering, unsolicited=Unsolicited.DROP)
    (inner, outer) = probe(
        (with_nat(nat, ("nat", "cgnat")), nothing), (with_nat(nat, ("upnp-nat", "nat")), nothing)
    )
    for each in (inner, outer):
        assert each.failed == set(), each.controls
        assert "address-and-port-dependent filtering" in each.detail("novice", NAT_CLASS)


def test_ports_that_a_definition_names_are_not_probed_as_if_nobody_had() -> None:
    """A hand-made forward of the first port that would be used changes no class."""
    forward = [{"port": port, "to_port": 3389} for port in range(FIRST_PORT, FIRST_PORT + 9)]
    nat = Nat.model_validate({"unsolicited": "drop", "forward": forward})
    (probed,) = probe((with_nat(nat), nothing))
    assert probed.failed == set(), probed.controls


def test_each_outbound_port_of_a_firewall_is_tried_and_one_that_it_does_not_name() -> None:
    firewall = Firewall(unsolicited=Unsolicited.REJECT, outbound=(25, 26))
    (probed,) = probe((with_firewall(firewall, ("nat", "firewall")), nothing))
    assert probed.failed == set(), probed.controls
    detail = probed.detail("novice", REACHES)
    assert re.search(r"91\.30\.30\.1:25, 91\.30\.30\.1:26 from novice: RST from internet", detail)
    assert "ICMP port unreachable from novice.firewall (outbound port not allowed)" in detail
    assert probed.detail("novice", NAT_CLASS).startswith("not measured: fewer than 3 ports")


def test_a_firewall_that_lets_nothing_out_is_what_it_says() -> None:
    firewall = Firewall(unsolicited=Unsolicited.DROP, outbound=())
    (probed,) = probe((with_firewall(firewall), nothing))
    assert probed.failed == set(), probed.controls
    assert probed.detail("novice", TRANSLATION) == "not measured: no port is let out"


# --- what is not


def rules(node: str, *commands: str) -> Deed:
    """Change a node's rules."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            nftables.load("\n".join(commands))

    return deed


def instead(node: str, chain: str, *others: str) -> Deed:
    """Have other rules in a chain of a node than were generated."""
    commands = [f"add rule inet {TABLE} {chain} {rule}" for rule in others]
    return rules(node, f"flush chain inet {TABLE} {chain}", *commands)


def also(*deeds: Deed) -> Deed:
    def deed(lab: Lab) -> None:
        for each in deeds:
            each(lab)

    return deed


def address(node: str, interface: str, old: str | None, new: str) -> Deed:
    """Give an interface another address of its /24, beside its own or in its place."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered(), IPRoute() as netlink:
            (index,) = netlink.link_lookup(ifname=interface)
            if old is not None:
                netlink.addr("del", index=index, address=old, prefixlen=24)
            netlink.addr("add", index=index, address=new, prefixlen=24)

    return deed


def route(node: str, command: str, to: str, via: str) -> Deed:
    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered(), IPRoute() as netlink:
            netlink.route(command, dst=to, gateway=via)

    return deed


# Sockets that stay open as long as the lab's process.
_OPENED: list[socket.socket] = []


def listens(node: str, port: int) -> Deed:
    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            _OPENED.append(socket.create_server(("0.0.0.0", port)))

    return deed


REJECTS = 'iifname "wan" log group 3389 prefix "ended unsolicited packet on wan" reject'
SYMMETRIC = 'oifname "wan" masquerade fully-random'

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


# --- what is left of it


def in_one_lab(work: Callable[[Lab], object], topology: Topology) -> Any:
    """Do something in a lab that is up; return what it returned."""

    def job(scratch: Path) -> object:
        with Lab(plan(topology), Namespaces(scratch), lambda node, event: None) as lab:
            result = work(lab)
            lab.watch.close()
            return result

    return in_world(job)


def run(lab: Lab) -> list[str]:
    """Probe; return what failed."""
    controls = asyncio.run(probe_sites(lab.plan, lab.namespaces, lab.watch))
    return [each.detail for each in controls if not each.passed]


def test_no_socket_stays_and_nothing_listens() -> None:
    def work(lab: Lab) -> object:
        lab.check()
        before = {node: sorted(listening(where)) for node, where in lab.namespaces.items()}
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no need of paths
        failed = run(lab)
        after = {node: sorted(listening(where)) for node, where in lab.namespaces.items()}
        return [failed, before == after, len(os.listdir("/proc/self/fd")) - descriptors]  # noqa: PTH208

    topology = library().from_chains(("upnp-nat",), ("http-proxy",))
    assert in_one_lab(work, topology) == [[], True, 0]


def test_no_probe_uses_a_port_of_the_scenario_or_of_a_dialler() -> None:
    """Not 3389, nor the ephemeral ports from 32768 on."""

    def work(lab: Lab) -> object:
        failed = run(lab)
        packets = [each.packet for each in lab.watch.sightings if each.event is Event.SENT]
        syns = [each for each in packets if isinstance(each, Segment) and each.opens]
        return [failed, [syn.source_port for syn in syns]]

    failed, ports = in_one_lab(work, library().from_chains(("nat",), ("nat-forwarded",)))
    assert failed == []
    assert set(ports) <= set(range(FIRST_PORT, FIRST_PORT + 100))


def test_a_lab_can_be_probed_again_at_once_and_after_it_was_renewed() -> None:
    def work(lab: Lab) -> object:
        lab.check()
        failed = [run(lab), run(lab)]
        lab.renew(lambda node, event: None)
        lab.check()
        left = [each.detail for each in lab.controls if not each.passed]
        return [*failed, run(lab), left]

    open_nat = Nat(filtering=Filtering.ENDPOINT_INDEPENDENT, unsolicited=Unsolicited.DROP)
    assert in_one_lab(work, with_nat(open_nat)) == [[], [], [], []]


def test_a_service_that_listens_where_a_probe_goes_is_an_answer_too() -> None:
    """And it is told at once that the connection is over."""

    def work(lab: Lab) -> object:
        with lab.namespaces[SERVICES].entered():
            server = socket.create_server(("0.0.0.0", 25))
        server.setblocking(False)
        failed = run(lab)
        connection, _ = server.accept()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        return failed

    firewall = Firewall(unsolicited=Unsolicited.DROP, outbound=(25,))
    assert in_one_lab(work, with_firewall(firewall)) == []


def test_a_probe_whose_port_is_taken_is_a_failed_control_and_no_exception() -> None:
    taken = listens("novice", FIRST_PORT)
    (probed,) = probe((library().from_chains((), ()), taken))
    assert ("novice", REACHES) in probed.failed
    assert "could not send the SYN: Address already in use" in probed.detail("novice", REACHES)


def test_what_was_seen_before_is_not_taken_for_what_is_seen_now() -> None:
    def work(lab: Lab) -> object:
        failed = run(lab)
        instead("novice.nat", "postrouting", SYMMETRIC)(lab)
        return [failed, len(run(lab))]

    assert in_one_lab(work, library().from_chains(("nat",), ())) == [[], 1]


# --- what takes its time


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
