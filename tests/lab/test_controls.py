"""Each control passes in a real lab, and fails where that very thing is sabotaged.

The sabotage is done to the running lab: right before the controls look, or right after. Whatever
was observed then, the scenario is ``invalid`` in ``results.json``.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from worlds import in_lab, topology

from harness.assistance.people import Terms
from harness.judge.model import ScenarioResult
from harness.judge.verdict import exit_code
from harness.lab import controls, miniupnpd
from harness.lab.daemon import Daemon
from harness.lab.lab import Lab
from harness.lab.probes import NAT_CLASS, REACHES, TRANSLATION, UNSOLICITED
from harness.report.progress import PlainProgress
from harness.report.results_file import read_results
from harness.runner import run as runner
from harness.runner.catalogue import of_topology
from harness.runner.programs import OFFER_CONTROL
from harness.runner.results_folder import ResultsFolder
from harness.runtime import nftables
from harness.topology.load import Library, default_folder
from harness.words import Method, Verdict

Deed = Callable[[Lab], None]

DEADLINE = 5.0
"""Seconds that a killed process has to be gone; it takes about a millisecond."""

# Sockets that stay open as long as the lab's process.
_OPENED: list[socket.socket] = []


# --- deeds, done in the lab's own process


def switches_forwarding(node: str, to: str) -> Deed:
    """Write a node's ``ip_forward``."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text(to, encoding="ascii")

    return deed


def loads(node: str, rules: str) -> Deed:
    """Load a rule, or take one away, by a command of nft."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            nftables.load(rules)

    return deed


def opens(node: str, kind: socket.SocketKind, port: int) -> Deed:
    """Open a socket of the lab's process in a node, beside any that holds the port on ``lan``."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            sock = socket.socket(socket.AF_INET, kind)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if "wan" in {name for _, name in socket.if_nameindex()}:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan")
            sock.bind(("0.0.0.0", port))
        if kind is socket.SOCK_STREAM:
            sock.listen()
        _OPENED.append(sock)

    return deed


def starts_miniupnpd(node: str) -> Deed:
    """Start the mapping daemon of ``upnp-nat`` in a node that should have none."""

    def deed(lab: Lab) -> None:
        device = lab.plan.node(node).device
        assert device is not None
        upnp = Library(default_folder()).devices["upnp-nat"].upnp
        service = miniupnpd.service(node, device.model_copy(update={"upnp": upnp}))
        daemon = Daemon(service, node, lab._nodes[node])
        assert daemon.control().passed, daemon.control().detail

    return deed


def kills_daemon(lab: Lab) -> None:
    """Kill the lab's only daemon once it listens, and wait until its sockets are gone."""
    (daemon,) = lab._daemons
    assert daemon.control().passed, daemon.control().detail
    os.kill(daemon._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    end = time.monotonic() + DEADLINE
    while daemon._process.poll() is None:
        assert time.monotonic() < end
        os.sched_yield()


# --- what is done to one scenario, and what became of it

Sabotage = Callable[..., None]


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Sabotage:
    """Do a deed right before the controls look."""
    check = Lab.check

    def sabotage(deed: Deed) -> None:
        def meddled(lab: Lab) -> None:
            deed(lab)
            check(lab)

        monkeypatch.setattr(Lab, "check", meddled)

    return sabotage


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Sabotage:
    """Do a deed right after the controls have looked."""
    check = Lab.check

    def sabotage(deed: Deed) -> None:
        def meddled(lab: Lab) -> None:
            check(lab)
            deed(lab)

        monkeypatch.setattr(Lab, "check", meddled)

    return sabotage


@pytest.fixture
def at_invitation(monkeypatch: pytest.MonkeyPatch) -> Sabotage:
    """Do a deed when an invitation has been opened in ``node``, right before its control."""
    look = Lab.check_invitation

    def sabotage(node: str, deed: Deed) -> None:
        def meddled(lab: Lab, inviting: str, port: int) -> None:
            if inviting == node:
                deed(lab)
            look(lab, inviting, port)

        monkeypatch.setattr(Lab, "check_invitation", meddled)

    return sabotage


def play(
    folder: Path, method: Method, novice: str, expert: str, patience: float = 4.0
) -> ScenarioResult:
    """Run one scenario in this process, whose sabotage the lab inherits; read what was written.

    ``patience`` is short where the sabotage makes packets vanish: nothing is to be waited for.
    """
    terms = Terms(password="secret", patience=patience)
    scenarios = of_topology(topology(novice, expert), [method], terms)
    results = ResultsFolder(folder)
    progress = PlainProgress(Console(file=StringIO()))
    results.write_results(runner.run(scenarios, results, runner.Choice("namespaces", 1), progress))
    (result,) = read_results(folder / "results.json").scenarios
    return result


def failed(result: ScenarioResult) -> set[tuple[str, str]]:
    """Return name and node of the controls that failed, of a scenario that is invalid for them."""
    assert result.observed is not None, result.why
    assert result.verdict is Verdict.INVALID, result.why
    assert exit_code([result]) == 3
    found = [control for control in result.controls if not control.passed]
    assert found
    assert result.why.startswith(f"control {found[0].name} failed at {found[0].node}: ")
    return {(control.name, control.node) for control in found}


def detail(result: ScenarioResult, name: str) -> str:
    """Return what the failed control of that name says."""
    (found,) = (each for each in result.controls if each.name == name and not each.passed)
    return found.detail


# --- nothing sabotaged


@pytest.mark.parametrize(
    ("novice", "expert", "daemon"),
    [
        ("nat", "direct", None),
        ("upnp-nat", "firewall", miniupnpd.CONTROL),
        ("direct", "me-ics", miniupnpd.CONTROL),
        ("firewall-strict", "http-proxy", "proxy listens"),
    ],
)
def test_every_control_passes_in_a_lab_that_is_what_it_says(
    tmp_path: Path, novice: str, expert: str, daemon: str | None
) -> None:
    result = play(tmp_path / "out", Method.MESSENGER, novice, expert)
    assert [control for control in result.controls if not control.passed] == []
    made = Counter(control.name for control in result.controls)
    ruled = 1 + sum(each != "direct" for each in (novice, expert))
    mapping = int(daemon == miniupnpd.CONTROL)
    expected = {
        **({daemon: 1} if daemon else {}),
        controls.FORWARDING: ruled,
        controls.RULES: ruled,
        controls.LISTENERS: ruled - mapping,
        controls.DAEMON: mapping,
        OFFER_CONTROL: 2,
        controls.INVITATION: 2,
    }
    assert {name: made[name] for name in expected} == expected


def test_the_internet_is_controlled_like_a_device() -> None:
    async def names(lab: Lab) -> list[str]:
        return [control.name for control in lab.controls if control.node == "internet"]

    expected = [controls.FORWARDING, controls.RULES, controls.LISTENERS]
    assert in_lab(topology(), names) == expected


# --- forwarding


def test_a_gateway_that_stops_forwarding_fails(tmp_path: Path, before: Sabotage) -> None:
    """By file behind a NAT the article says "No", and so do the packets, each end of them seen."""
    before(switches_forwarding("novice.nat", "0"))
    result = play(tmp_path / "out", Method.FILE, "nat", "direct")
    by_packets = {(name, "novice") for name in (REACHES, TRANSLATION, NAT_CLASS)}
    assert failed(result) == {(controls.FORWARDING, "novice.nat"), *by_packets}
    assert detail(result, controls.FORWARDING) == "ip_forward is 0, planned 1"


def test_an_internet_that_stops_forwarding_fails(tmp_path: Path, before: Sabotage) -> None:
    before(switches_forwarding("internet", "0"))
    result = play(tmp_path / "out", Method.FILE, "upnp-nat", "direct", patience=0.2)
    assert (controls.FORWARDING, "internet") in failed(result)


def test_a_proxy_s_box_that_forwards_fails(tmp_path: Path, before: Sabotage) -> None:
    before(switches_forwarding("expert.socks-proxy", "1"))
    result = play(tmp_path / "out", Method.FILE, "direct", "socks-proxy")
    assert failed(result) == {(controls.FORWARDING, "expert.socks-proxy")}
    assert detail(result, controls.FORWARDING) == "ip_forward is 1, planned 0"


# --- rules

ADDED = 'insert rule inet gateway forward iifname "wan" tcp dport 3390 accept'
REMOVED = "flush chain inet gateway input"
MOVED = "add rule inet gateway forward ct state invalid drop"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (ADDED, "tcp dport 3390 accept"),
        (REMOVED, "generated 'iifname \"wan\" ct state established,related accept'"),
        (MOVED, "is 'ct state invalid drop'"),
        ("add table ip other", "lines are loaded, generated"),
        ("delete table inet watch", "is 'table inet gateway {'"),
    ],
)
def test_a_ruleset_that_is_not_the_generated_one_fails(
    tmp_path: Path, before: Sabotage, rules: str, said: str
) -> None:
    before(loads("novice.nat", rules))
    result = play(tmp_path / "out", Method.FILE, "nat", "direct", patience=0.2)
    assert (controls.RULES, "novice.nat") in failed(result)
    assert said in detail(result, controls.RULES)


def test_a_core_that_filters_fails(tmp_path: Path, before: Sabotage) -> None:
    before(loads("internet", "add rule inet core prerouting tcp dport 3389 drop"))
    result = play(tmp_path / "out", Method.FILE, "direct", "nat", patience=0.2)
    assert (controls.RULES, "internet") in failed(result)


@pytest.mark.parametrize(
    ("deed", "by_packets"),
    [("flush chain inet gateway input", {(UNSOLICITED, "novice")}), ("add table ip other", set())],
)
def test_a_host_whose_own_firewall_is_not_the_generated_one_fails(
    tmp_path: Path, before: Sabotage, deed: str, by_packets: set[tuple[str, str]]
) -> None:
    """ICF's "Yes" is the article's, and an ICF without rules says "Yes" as well."""
    before(loads("novice", deed))
    result = play(tmp_path / "out", Method.FILE, "icf", "direct")
    assert failed(result) == {(controls.RULES, "novice"), *by_packets}


# --- who listens


def test_a_second_listener_on_the_daemon_s_tcp_port_fails(tmp_path: Path, before: Sabotage) -> None:
    before(opens("novice.xp-ics", socket.SOCK_STREAM, 2869))
    result = play(tmp_path / "out", Method.FILE, "xp-ics", "direct")
    assert failed(result) == {(controls.DAEMON, "novice.xp-ics")}
    assert "TCP 2869: " in detail(result, controls.DAEMON)
    assert "UDP 1900: miniupnpd" in detail(result, controls.DAEMON)


def test_a_second_listener_on_the_daemon_s_udp_port_fails(tmp_path: Path, before: Sabotage) -> None:
    before(opens("novice.me-ics", socket.SOCK_DGRAM, 5351))
    result = play(tmp_path / "out", Method.FILE, "me-ics", "direct")
    assert failed(result) == {(controls.DAEMON, "novice.me-ics")}


def test_a_second_listener_beside_the_daemon_fails(tmp_path: Path, before: Sabotage) -> None:
    before(opens("novice.xp-ics", socket.SOCK_STREAM, 3389))
    result = play(tmp_path / "out", Method.FILE, "xp-ics", "direct")
    assert failed(result) == {(controls.DAEMON, "novice.xp-ics")}
    assert "TCP 3389: " in detail(result, controls.DAEMON)


def test_a_mapping_daemon_that_ended_fails_by_its_last_words_and_by_its_ports(
    tmp_path: Path, before: Sabotage
) -> None:
    before(kills_daemon)
    result = play(tmp_path / "out", Method.FILE, "xp-ics", "direct")
    node = "novice.xp-ics"
    assert failed(result) == {
        (miniupnpd.CONTROL, node),
        (controls.DAEMON, node),
        (OFFER_CONTROL, "novice"),
    }
    assert "it ended with status -9" in detail(result, miniupnpd.CONTROL)
    assert detail(result, controls.DAEMON) == "UDP 1900: nobody; TCP 2869: nobody"


def test_a_plain_nat_in_which_somebody_starts_a_mapping_daemon_fails(
    tmp_path: Path, before: Sabotage
) -> None:
    before(starts_miniupnpd("novice.nat"))
    result = play(tmp_path / "out", Method.FILE, "nat", "direct")
    assert failed(result) == {
        (controls.LISTENERS, "novice.nat"),
        (OFFER_CONTROL, "novice"),
    }
    listening = detail(result, controls.LISTENERS)
    assert "TCP 5000" in listening
    assert "UDP 1900" in listening
    assert listening.endswith("; should be: nothing")


# On the internet not 1900: its silence would cost the direct expert's search three seconds.
@pytest.mark.parametrize(("node", "port"), [("novice.nat", 1900), ("internet", 1901)])
def test_a_node_that_should_not_listen_and_does_fails(
    tmp_path: Path, before: Sabotage, node: str, port: int
) -> None:
    before(opens(node, socket.SOCK_DGRAM, port))
    result = play(tmp_path / "out", Method.FILE, "nat", "direct")
    assert failed(result) == {(controls.LISTENERS, node)}
    assert detail(result, controls.LISTENERS) == f"listening: UDP {port}; should be: nothing"


def test_a_second_listener_beside_the_proxy_fails(tmp_path: Path, before: Sabotage) -> None:
    before(opens("expert.socks-proxy", socket.SOCK_STREAM, 3389))
    result = play(tmp_path / "out", Method.FILE, "direct", "socks-proxy")
    assert failed(result) == {(controls.LISTENERS, "expert.socks-proxy")}


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_novice_with_a_second_listener_while_the_invitation_is_open_fails(
    tmp_path: Path, at_invitation: Sabotage, kind: socket.SocketKind
) -> None:
    at_invitation("novice", opens("novice", kind, 3390))
    result = play(tmp_path / "out", Method.FILE, "direct", "nat")
    assert failed(result) == {(controls.INVITATION, "novice")}
    assert detail(result, controls.INVITATION).endswith(" 3390; should be: TCP 3389")


def test_an_expert_with_a_second_listener_while_its_ticket_is_out_fails(
    tmp_path: Path, at_invitation: Sabotage
) -> None:
    at_invitation("expert", opens("expert", socket.SOCK_STREAM, 80))
    result = play(tmp_path / "out", Method.MESSENGER, "nat", "direct")
    assert failed(result) == {(controls.INVITATION, "expert")}


def test_a_novice_that_does_not_listen_on_its_invitation_s_port_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Lab.check_invitation
    monkeypatch.setattr(Lab, "check_invitation", lambda lab, node, _: look(lab, node, 3390))
    result = play(tmp_path / "out", Method.FILE, "direct", "nat")
    assert failed(result) == {(controls.INVITATION, "novice")}
    assert detail(result, controls.INVITATION) == "listening: TCP 3389; should be: TCP 3390"


# --- what a site offers


def test_a_site_that_offers_a_mapping_protocol_though_it_should_not_fails(
    tmp_path: Path, after: Sabotage
) -> None:
    after(starts_miniupnpd("novice.nat"))
    result = play(tmp_path / "out", Method.FILE, "nat", "direct")
    assert failed(result) == {(OFFER_CONTROL, "novice")}
    said = detail(result, OFFER_CONTROL)
    assert said.startswith("the gateway offers ")
    assert said.endswith(", should offer none")
    assert "offers none" not in said


def test_a_site_that_offers_no_mapping_protocol_though_it_should_fails(
    tmp_path: Path, after: Sabotage
) -> None:
    after(kills_daemon)
    result = play(tmp_path / "out", Method.FILE, "direct", "xp-ics")
    assert failed(result) == {(OFFER_CONTROL, "expert")}
    said = detail(result, OFFER_CONTROL)
    assert said == "the gateway offers none, should offer one"
