"""What the containers of a lab are: closed to the world, and able to do what their part needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docker import DockerClient
from testinfra import get_host
from testinfra.host import Host

from harness.lab import controls
from harness.lab.lab import Lab
from harness.lab.ruleset import ruleset
from harness.runtime.docker import cleanup, images
from harness.runtime.docker.containers import CAPABILITIES, NODE_LABEL, Containers, Mark
from harness.runtime.docker.ownership import RUN_LABEL, Owner
from harness.runtime.node import Part
from harness.topology.load import Library, default_folder
from harness.topology.plan import NodePlan, plan

RUN = "test-of-containers"


@pytest.fixture(scope="module")
def lab(wireable: DockerClient) -> Iterator[Lab]:
    """A lab with a node of every part, brought up here."""
    images.ensure(wireable, [images.Role(part.value) for part in Part], print)
    topology = Library(default_folder()).from_chains(("upnp-nat", "nat"), ("socks-proxy",))
    with Lab(plan(topology), Containers(Mark(RUN, Owner.current())), lambda *_: None) as lab:
        lab.check()
        yield lab
    cleanup.remove_run(wireable, RUN)


@pytest.fixture(scope="module")
def containers(wireable: DockerClient, lab: Lab) -> dict[str, dict[str, Any]]:
    """What the engine says of each node's container."""
    found = wireable.api.containers(filters={"label": f"{RUN_LABEL}={RUN}"})
    return {
        each["Labels"][NODE_LABEL]: wireable.api.inspect_container(each["Id"]) for each in found
    }


def test_every_part_is_there(lab: Lab, containers: dict[str, dict[str, Any]]) -> None:
    assert set(containers) == {node.name for node in lab.plan.nodes}
    assert {node.part for node in lab.plan.nodes} == set(Part)


def test_no_container_has_more_than_its_part_needs(
    lab: Lab, containers: dict[str, dict[str, Any]]
) -> None:
    for node in lab.plan.nodes:
        settings = containers[node.name]["HostConfig"]
        assert settings["NetworkMode"] == "none"
        assert settings["ReadonlyRootfs"]
        assert not settings["Privileged"]
        assert settings["CapDrop"] == ["ALL"]
        given = {name.removeprefix("CAP_") for name in settings["CapAdd"] or ()}
        assert given == set(CAPABILITIES[node.part])
        assert settings["SecurityOpt"] == ["no-new-privileges"]
        assert not settings["Binds"]


def test_an_endpoint_has_no_capability_at_all(lab: Lab) -> None:
    for node in ("novice", "expert"):
        status = (lab.disk(node).parents[2] / "proc/1/status").read_text(encoding="ascii")
        sets = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
        assert {name: int(value, 16) for name, value in sets.items()} == dict.fromkeys(sets, 0)
        assert "NoNewPrivs:\t1" in status


def _ruled(lab: Lab) -> list[NodePlan]:
    return [node for node in lab.plan.nodes if node.part in controls.RULED]


def _inside(containers: dict[str, dict[str, Any]], node: str) -> Host:
    return get_host(f"docker://{containers[node]['Id']}")


def test_the_controls_hold_from_inside_as_from_outside(
    lab: Lab, containers: dict[str, dict[str, Any]]
) -> None:
    """The same checks, by testinfra's docker backend and by ours."""
    for node in _ruled(lab):
        ports = {
            control.node: control.detail
            for control in lab.controls
            if control.name == controls.DAEMON
        }
        outside = [
            control
            for control in lab.controls
            if control.node == node.name and control.name in (controls.FORWARDING, controls.RULES)
        ]
        assert len(outside) == 2
        assert all(control.passed for control in outside)
        host = _inside(containers, node.name)
        seen = controls.look(host, rules=True)
        assert controls.forwarding(seen, node).passed
        if node.part is not Part.PROXY:
            rules = controls.reference(ruleset(node))
            assert controls.loaded_rules(seen, node.name, rules).passed, seen.rules
        if node.part is Part.GATEWAY_UPNP:
            listening = ["UDP 1900", "TCP 5000"]
            assert controls.mapping_daemon(host, node.name, listening).passed, ports
            assert host.exists("miniupnpd")
        elif node.part is not Part.PROXY:
            assert controls.only_listening("none", seen, node.name, []).passed
            assert not host.exists("miniupnpd")


def test_a_rule_added_behind_the_harness_s_back_is_seen_from_inside(
    lab: Lab, containers: dict[str, dict[str, Any]]
) -> None:
    (gateway,) = (node for node in lab.plan.nodes if node.part is Part.GATEWAY)
    host = _inside(containers, gateway.name)
    assert host.run("nft add table inet sabotage").succeeded
    seen = controls.look(host, rules=True)
    control = controls.loaded_rules(seen, gateway.name, controls.reference(ruleset(gateway)))
    assert not control.passed
    assert "sabotage" in control.detail or "lines" in control.detail
    assert host.run("nft delete table inet sabotage").succeeded


def test_the_engine_s_networks_have_no_part_in_a_lab(
    lab: Lab, containers: dict[str, dict[str, Any]]
) -> None:
    for node in lab.plan.nodes:
        folder = _inside(containers, node.name).check_output("ls /sys/class/net").split()
        wanted = {"lo", *(interface.name for interface in node.stack.interfaces)}
        assert set(folder) == wanted
