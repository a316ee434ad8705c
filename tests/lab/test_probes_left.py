"""Probing leaves nothing in a lab, takes no port of a scenario, and can be done again."""

from __future__ import annotations

import os
import socket

import pytest
from deeds import SYMMETRIC, instead, listens
from probing import in_one_lab, library, probe, run, with_firewall, with_nat

from harness.judge.journey import Event
from harness.lab.lab import Lab
from harness.lab.probes import FIRST_PORT, REACHES
from harness.protocol.packet import Segment
from harness.runtime.sockdiag import listening
from harness.topology.model import Filtering, Firewall, Nat, Unsolicited
from harness.topology.plan import SERVICES


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
