"""A lab that has served a scenario is as new for the next one, and the control tells when not."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket
from rich.console import Console
from runs import own_topologies, replace_in
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from worlds import in_world, topology

from harness.assistance.people import Person, Terms
from harness.judge.model import Attempt, ScenarioResult
from harness.lab import controls, renewal
from harness.lab.lab import Lab
from harness.report.progress import PlainProgress
from harness.runner import run as runner
from harness.runner.bundle import TRANSCRIPT
from harness.runner.catalogue import of_topology
from harness.runner.results_folder import ResultsFolder
from harness.runner.runtimes import NamespacesRuntime
from harness.runner.scenario import Scenario, _Play
from harness.runtime import namespaces, nftables
from harness.runtime.namespaces import Namespaces
from harness.runtime.netns import NetNs
from harness.topology.load import Library
from harness.topology.model import Topology
from harness.topology.plan import SERVICES, plan
from harness.words import Answer, Method, Role, Verdict

TERMS = Terms(password="secret")

PATIENCE = 10.0
"""Seconds that a process may take to start; it takes about 0.05."""

FIRST_EPHEMERAL = 32768
"""From here on the kernel chooses ports (net.ipv4.ip_local_port_range)."""

# The holder connects through the NAT and keeps the connection; the daemon's parent ends at once.
LISTENER = """
import socket
listener = socket.create_server(("0.0.0.0", 7000))
print("ready", flush=True)
kept = listener.accept()
print("called", flush=True)
listener.accept()
"""
HOLDER = """
import socket, sys
kept = socket.create_connection((sys.argv[1], 7000))
print("ready", flush=True)
kept.recv(1)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    print("ready", flush=True)
    time.sleep(1000)
"""


# --- what is to be seen of a lab


def tracked_tcp(namespace: NetNs) -> int:
    """Count the TCP connections that a node tracks."""
    with namespace.entered(), NFCTSocket() as conntrack:
        protocols = [
            entry.get_attr("CTA_TUPLE_ORIG").get_attr("CTA_TUPLE_PROTO").get_attr("CTA_PROTO_NUM")
            for entry in conntrack.dump()
        ]
    return protocols.count(6)


def unclosed(namespace: NetNs) -> int:
    """Count the TCP sockets of a node that may still send: all but listening ones and TIME_WAIT."""
    with namespace.entered():
        rows = Path("/proc/thread-self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(row.split()[3] not in {"06", "0A"} for row in rows)


def processes(namespace: NetNs) -> list[str]:
    """Return the command of each process in a node's network, zombies left out."""
    here = os.fstat(namespace.fd).st_ino
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "ns" / "net").stat().st_ino == here:
                found.append((folder / "comm").read_text(encoding="utf-8").strip())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return sorted(found)


def listening(lab: Lab, node: str) -> list[str]:
    """Return where a node listens; of a port that the kernel chose, the protocol alone."""
    sockets = controls.look(lab._host(node), rules=False).listening
    assert sockets is not None
    split = (socket.split() for socket in sockets.elements())
    return sorted(
        protocol if int(port) >= FIRST_EPHEMERAL else f"{protocol} {port}"
        for protocol, port in split
    )


def seen(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return what one scenario could leave to the next, by node."""
    return {
        name: {
            "processes": processes(namespace),
            "connections": tracked_tcp(namespace),
            "unclosed": unclosed(namespace),
            "files": sorted(path.name for path in lab.disk(name).iterdir()),
            "rules": lab.rules(name),
            "listening": listening(lab, name),
        }
        for name, namespace in lab.namespaces.items()
    }


# --- what is left in a lab


def spawn(lab: Lab, node: str, script: str, name: str, *arguments: str) -> None:
    """Start a Python script in a node; wait until it says that it is ready."""
    lab._nodes[node].spawn((sys.executable, "-c", script, *arguments), name)
    await_words(lab, node, name, "ready")


def await_words(lab: Lab, node: str, name: str, words: str) -> None:
    """Wait until a script has said something."""
    wait = Retrying(
        retry=retry_if_result(lambda said: words not in said),
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.002),
    )
    wait((lab.disk(node) / name).read_text, "utf-8")


def leave_everything(lab: Lab, scenario: Scenario) -> _Play:
    """Play a scenario that nobody closes, beside it a connection and files; return its programs.

    They run as long as somebody holds them.
    """
    play = _Play(scenario, lab)
    lab.check()
    assert asyncio.run(play.run()).observed.answer is Answer.YES
    spawn(lab, SERVICES, LISTENER, "listener.log")
    spawn(lab, "novice", HOLDER, "holder.log", str(lab.plan.services))
    await_words(lab, SERVICES, "listener.log", "called")
    deep = lab.disk("novice") / "folder" / "in a folder"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    (lab.disk("novice") / "link").symlink_to(lab.disk("expert"))
    return play


def used(folder: Path) -> Topology:
    """Return the topology to use up: a NAT that maps by UPnP and remembers ports by itself."""
    topologies = own_topologies(folder)
    replace_in(
        topologies / "devices" / "upnp-nat.toml",
        'filtering = "address-and-port-dependent"',
        'filtering = "endpoint-independent"',
    )
    return Library(topologies).from_chains(("upnp-nat",), ("icf",))


Work = Callable[[Lab], object]


def in_new_lab(which: Topology, work: Work) -> Any:
    """Bring a lab up in a sealed world and work in it, outside of any event loop."""

    def whole(scratch: Path) -> object:
        with Lab(plan(which), Namespaces(scratch), lambda *_: None) as lab:
            return work(lab)

    return in_world(whole)


@pytest.fixture
def nobody_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave every invitation open, with its mapping, its sockets and its open firewall."""

    async def nothing(_: Person) -> None:
        return None

    monkeypatch.setattr(Person, "close", nothing)


# --- a lab made as new


@pytest.mark.usefixtures("nobody_closes")
def test_a_renewed_lab_has_nothing_of_the_scenario_before(tmp_path: Path) -> None:
    scenario = Scenario(Method.MESSENGER, used(tmp_path), TERMS)

    def work(lab: Lab) -> object:
        lab.check()
        new = seen(lab)
        play = leave_everything(lab, scenario)
        left = seen(lab)
        lab.renew(lambda *_: None)
        renewals = [control.model_dump() for control in lab.controls]
        lab.check()
        again = seen(lab)
        failed = [control.detail for control in lab.controls if not control.passed]
        sightings = len(lab.watch.sightings)
        del play
        return [new, left, again, renewals, failed, sightings]

    new, left, again, renewals, failed, sightings = in_new_lab(scenario.topology, work)
    # There was something to clean up.
    nat = left["novice.upnp-nat"]
    assert nat["connections"] > 0
    assert left[SERVICES]["unclosed"] > 0
    assert "dnat ip to 192.168.2.100:3389" in nat["rules"]
    assert nat["rules"].count("elements = {") == 1
    assert "elements = {" in left["expert"]["rules"]
    assert left["novice"]["listening"] == ["TCP 3389"]
    assert {"folder", "link", "invitation.MsRcIncident"} <= {*left["novice"]["files"]}
    for node in (*Role, SERVICES):
        assert left[node]["processes"]
    # Nothing of it is there now.
    assert again == new
    assert (failed, sightings) == ([], 0)
    assert [(each["name"], each["node"], each["passed"]) for each in renewals] == [
        (renewal.CONTROL, node.name, True) for node in plan(scenario.topology).nodes
    ]


def test_what_a_link_on_a_disk_points_to_is_not_emptied(tmp_path: Path) -> None:
    """A leftover link must not lead the cleaning out of the disk."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "link").symlink_to(kept)
    renewal._empty(disk)
    assert list(disk.iterdir()) == []
    assert (kept / "file").exists()


def test_a_process_that_outlived_its_parent_is_gone_as_well() -> None:
    def work(lab: Lab) -> object:
        spawn(lab, "novice", DAEMON, "daemon.log")
        before = processes(lab.namespaces["novice"])
        lab.renew(lambda *_: None)
        return [before, processes(lab.namespaces["novice"])]

    before, after = in_new_lab(topology(), work)
    assert len(before) >= 1
    assert after == []


# --- sabotaged cleaning


def failed_after_renewal(lab: Lab) -> list[tuple[str, str, str]]:
    """Renew and check a lab; return name, node and detail of the controls that failed."""
    lab.renew(lambda *_: None)
    lab.check()
    return [(each.name, each.node, each.detail) for each in lab.controls if not each.passed]


def assert_left(failed: list[list[str]], node: str, what: str) -> None:
    """Assert that the control of one node failed, for one thing, and nothing else did."""
    ((name, where, detail),) = failed
    assert (name, where) == (renewal.CONTROL, node)
    counts = detail.removeprefix("left: ").split(", ")
    assert [count for count in counts if not count.startswith("0 ")] == [what]


def test_connections_that_stay_tracked_fail_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NFCTSocket, "flush", lambda _: None)
    monkeypatch.setattr(renewal._forget_connections.retry, "stop", stop_after_delay(0.05))

    def work(lab: Lab) -> object:
        spawn(lab, SERVICES, LISTENER, "listener.log")
        spawn(lab, "novice", HOLDER, "holder.log", str(lab.plan.services))
        await_words(lab, SERVICES, "listener.log", "called")
        return failed_after_renewal(lab)

    assert_left(in_new_lab(topology("nat"), work), "novice.nat", "1 tracked connections")


def test_files_that_stay_fail_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "_empty", lambda _: None)

    def work(lab: Lab) -> object:
        (lab.disk("expert") / "received.MsRcIncident").touch()
        return failed_after_renewal(lab)

    assert_left(in_new_lab(topology(), work), "expert", "1 files")


def test_a_process_that_does_not_end_fails_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "GONE_DEADLINE", 0.05)
    kill = os.kill

    def work(lab: Lab) -> object:
        spawn(lab, "expert", DAEMON, "daemon.log")
        started = {process.pid for process in lab._nodes["expert"]._daemons}  # type: ignore[attr-defined]

        def spare(pid: int, number: int) -> None:
            if pid in started:
                kill(pid, number)

        monkeypatch.setattr(os, "kill", spare)
        return failed_after_renewal(lab)

    assert_left(in_new_lab(topology(), work), "expert", "1 processes")


def test_a_connection_that_is_not_closed_fails_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packets would come in the next scenario, when no NAT knows them any more."""
    monkeypatch.setattr(renewal._await_closed.retry, "stop", stop_after_delay(0.05))

    def work(lab: Lab) -> object:
        with lab.namespaces["expert"].entered():
            kept = socket.create_server(("0.0.0.0", 7000))
        failed = failed_after_renewal(lab)
        kept.close()
        return failed

    assert_left(in_new_lab(topology(), work), "expert", "1 open connections")


def test_rules_that_are_not_loaded_anew_fail_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(lab: Lab) -> object:
        lab.open_port("novice", 3389)
        with lab.namespaces["expert.nat"].entered():
            nftables.load("insert rule inet gateway forward tcp dport 3389 accept")
        monkeypatch.setattr(Lab, "_load", lambda *_: None)
        return failed_after_renewal(lab)

    found = in_new_lab(topology("icf", "nat"), work)
    assert ("expert.nat", controls.RULES) in {(node, name) for name, node, _ in found}


# --- whole runs whose methods share a lab


class SharingRuntime(NamespacesRuntime):
    """The namespaces, with one lab for all methods of a topology."""

    shares_labs = True


TOPOLOGIES = (("nat", "upnp-nat"), ("me-ics", "icf"), ("direct", "socks-proxy"))


def run(folder: Path, *pairs: tuple[str, str]) -> tuple[ScenarioResult, ...]:
    """Run all methods of each pair of chains in this process, whose patches the labs inherit."""
    scenarios = [
        each for pair in pairs for each in of_topology(topology(*pair), list(Method), TERMS)
    ]
    progress = PlainProgress(Console(file=StringIO()))
    choice = runner.Choice("namespaces", 2)
    return runner.run(scenarios, ResultsFolder(folder), choice, progress).scenarios


def attempts(result: ScenarioResult) -> list[tuple[object, ...]]:
    """Return a scenario's attempts, each dialler's in its order.

    The two dial at the same time, and the expert's ticket has a port that the kernel chose.
    """
    assert result.observed is not None, result.why

    def shown(each: Attempt) -> tuple[object, ...]:
        port = each.port if each.dialler is Role.EXPERT else None
        return each.dialler, each.address, port, each.end, each.ended_at, each.how

    return [
        shown(each)
        for dialler in Role
        for each in result.observed.attempts
        if each.dialler is dialler
    ]


def heard(folder: Path, result: ScenarioResult) -> set[tuple[str, str]]:
    """Return which node told of which event, by a scenario's transcript."""
    assert result.bundle is not None
    lines = (folder / result.bundle / TRANSCRIPT).read_text(encoding="utf-8").splitlines()
    said = map(json.loads, lines)
    return {(each["node"], each["event"]) for each in said if "event" in each}


def test_methods_that_share_a_lab_are_observed_as_in_labs_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = run(tmp_path / "apart", *TOPOLOGIES)
    monkeypatch.setattr(runner, "choose", lambda *_: SharingRuntime())
    shared = run(tmp_path / "shared", *TOPOLOGIES)
    for one, other in zip(apart, shared, strict=True):
        assert other.verdict is not Verdict.INVALID, other.why
        assert (one.id, one.verdict) == (other.id, other.verdict)
        assert attempts(one) == attempts(other)
    # Each has heard its own people, whoever else they have worked for.
    for one, other in zip(apart, shared, strict=True):
        assert heard(tmp_path / "apart", one) == heard(tmp_path / "shared", other)
    # One lab for three methods: only those that did not bring it up find it renewed.
    for first in range(0, len(shared), len(Method)):
        labs = shared[first : first + len(Method)]
        renewed = [renewal.CONTROL in {control.name for control in each.controls} for each in labs]
        assert renewed == [False, True, True]
    assert not any(renewal.CONTROL in {c.name for c in each.controls} for each in apart)


def test_a_scenario_in_a_lab_that_was_not_cleaned_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "choose", lambda *_: SharingRuntime())
    monkeypatch.setattr(renewal, "_empty", lambda _: None)
    first, *others = run(tmp_path / "out", ("nat", "direct"))
    assert first.verdict is Verdict.AGREES
    for each in others:
        assert each.verdict is Verdict.INVALID
        assert each.why.startswith(f"control {renewal.CONTROL} failed at ")
