"""The plan of a lab before anything runs: its nodes, their names, kinds and addresses."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from definitions import (
    device,
    direct_site,
    host_firewall,
    internet,
    neighbour,
    plan_of,
    project,
    project_topologies,
    site,
    three_devices,
)
from plans import NEIGHBOURS, each_shape, far_end, names, plugs, stack

from harness.runtime.stack import Plug
from harness.topology.model import Device
from harness.topology.plan import Kind, LabPlan, plan

MAX_INTERFACE_NAME = 15
"""The kernel's IFNAMSIZ, less the terminating zero."""


ROUTED = (("24.0.0.0/16", "21.0.0.2"), ("25.0.0.0/16", "22.0.0.2"))
"""What the internet routes to the sites, and to where there."""


def same(devices: Iterable[Device], lab: LabPlan) -> bool:
    return [node.device for node in lab.nodes if node.device is not None] == list(devices)


# Shapes


def test_direct_hosts_are_joined_by_the_core_router_alone() -> None:
    lab = plan_of()
    assert sorted(names(lab)) == ["expert", "internet", "novice", "services"]
    assert lab.node("novice").stack == stack({"eth0": "21.0.0.2/24"}, "21.0.0.1", forwards=False)
    assert lab.node("expert").stack == stack({"eth0": "22.0.0.2/24"}, "22.0.0.1", forwards=False)
    assert far_end(lab, "novice", "eth0") == Plug("internet", "to-novice")
    assert far_end(lab, "expert", "eth0") == Plug("internet", "to-expert")


@each_shape
def test_the_core_router_has_one_link_for_each_site_and_one_for_the_services(
    lab: LabPlan,
) -> None:
    assert lab.node("internet").stack == stack(
        {
            "to-novice": "21.0.0.1/24",
            "to-expert": "22.0.0.1/24",
            "to-services": "23.0.0.1/24",
        },
        None,
        forwards=True,
        routes=ROUTED,
    )


@each_shape
def test_the_services_are_one_host_on_the_internet(lab: LabPlan) -> None:
    assert lab.services == internet().services.site
    services = lab.node("services")
    assert services.kind is Kind.SERVICES
    assert services.stack == stack({"eth0": "23.0.0.10/24"}, "23.0.0.1", forwards=False)
    assert far_end(lab, "services", "eth0") == Plug("internet", "to-services")


def test_a_device_stands_between_its_host_and_the_internet() -> None:
    lab = plan_of(novice=site(device("box", "10.1.1.1/24", "10.1.1.2")))
    assert lab.node("novice").stack == stack({"eth0": "10.1.1.2/24"}, "10.1.1.1", forwards=False)
    assert lab.node("novice.box").stack == stack(
        {"lan": "10.1.1.1/24", "wan": "21.0.0.2/24"}, "21.0.0.1", forwards=True
    )
    assert far_end(lab, "novice", "eth0") == Plug("novice.box", "lan")
    assert far_end(lab, "novice.box", "wan") == Plug("internet", "to-novice")


def test_in_a_chain_each_wan_is_a_host_of_the_next_lan() -> None:
    lab = plan_of(expert=site(*three_devices()))
    assert lab.node("expert").stack == stack({"eth0": "10.1.1.2/24"}, "10.1.1.1", forwards=False)
    assert lab.node("expert.inner").stack == stack(
        {"lan": "10.1.1.1/24", "wan": "10.2.2.9/25"}, "10.2.2.1", forwards=True
    )
    assert lab.node("expert.middle").stack == stack(
        {"lan": "10.2.2.1/25", "wan": "10.3.3.3/16"}, "10.3.3.1", forwards=True
    )
    assert lab.node("expert.outer").stack == stack(
        {"lan": "10.3.3.1/16", "wan": "22.0.0.2/24"}, "22.0.0.1", forwards=True
    )


def test_a_chain_is_wired_from_the_host_outward() -> None:
    lab = plan_of(expert=site(*three_devices()))
    assert far_end(lab, "expert", "eth0") == Plug("expert.inner", "lan")
    assert far_end(lab, "expert.inner", "wan") == Plug("expert.middle", "lan")
    assert far_end(lab, "expert.middle", "wan") == Plug("expert.outer", "lan")
    assert far_end(lab, "expert.outer", "wan") == Plug("internet", "to-expert")


def test_a_host_may_have_another_address_than_its_device_gives_it() -> None:
    lab = plan_of(novice=site(device(), address="10.1.1.50"))
    assert lab.node("novice").stack.interfaces[0].address == IPv4Interface("10.1.1.50/24")


# Names and kinds


def test_a_device_that_a_chain_has_more_than_once_is_numbered_from_the_second_on() -> None:
    chain = [device.model_copy(update={"name": "box"}) for device in three_devices()]
    lab = plan_of(novice=site(*chain), expert=site(device("box")))
    assert [name for name in names(lab) if ".box" in name] == [
        "novice.box",
        "novice.box.2",
        "novice.box.3",
        "expert.box",
    ]
    assert lab.node("novice.box.2").device == chain[1]
    assert far_end(lab, "novice.box.2", "wan") == Plug("novice.box.3", "lan")


def test_other_devices_of_the_chain_do_not_count() -> None:
    inner, middle, outer = three_devices()
    lab = plan_of(novice=site(inner, middle, outer.model_copy(update={"name": "inner"})))
    assert {"novice.inner", "novice.middle", "novice.inner.2"} < set(names(lab))


@each_shape
def test_every_node_has_a_name_of_its_own(lab: LabPlan) -> None:
    assert len(set(names(lab))) == len(lab.nodes)
    assert all(lab.node(node.name) is node for node in lab.nodes)


def test_a_node_that_is_not_there_is_not_found() -> None:
    with pytest.raises(KeyError):
        plan_of().node("novice.box")


@each_shape
def test_only_boxes_that_are_no_proxies_and_the_internet_pass_packets_on(lab: LabPlan) -> None:
    forwarding = {node.name for node in lab.nodes if node.stack.forwards}
    assert forwarding == {
        node.name
        for node in lab.nodes
        if node.kind is Kind.INTERNET
        or (node.kind is Kind.DEVICE and node.device is not None and node.device.proxy is None)
    }


@each_shape
def test_each_device_is_played_by_one_node_a_host_firewall_by_the_host(lab: LabPlan) -> None:
    for node in lab.nodes:
        if node.kind is Kind.DEVICE:
            assert node.device is not None
            assert node.device.host_firewall is None
        elif node.device is not None:
            assert node.name in ("novice", "expert")
            assert node.device.host_firewall is not None
    assert same(lab.topology.devices, lab)


@each_shape
def test_the_two_people_are_hosts_and_no_strangers(lab: LabPlan) -> None:
    for role in ("novice", "expert"):
        assert lab.node(role).kind is Kind.HOST
        assert lab.node(role).stranger is None


def test_many_neighbours_have_interface_names_that_the_kernel_takes() -> None:
    crowd = tuple(neighbour(f"host-{last}", f"10.1.1.{last}") for last in range(10, 200))
    lab = plan_of(novice=site(device(), neighbours=crowd))
    assert max(len(plug.interface) for plug in plugs(lab.links)) <= MAX_INTERFACE_NAME


# Host firewalls


def test_a_host_firewall_is_no_node_of_its_own_but_what_its_host_plays() -> None:
    shield = host_firewall()
    lab = plan_of(novice=direct_site("21.0.0.2", shield))
    plain = plan_of()
    assert names(lab) == names(plain)
    assert lab.links == plain.links
    novice = lab.node("novice")
    assert novice.kind is Kind.HOST
    assert novice.device == shield
    assert novice.stack == plain.node("novice").stack


def test_a_host_firewall_is_the_novice_s_or_the_expert_s_and_no_neighbour_s() -> None:
    lab = plan_of(novice=site(host_firewall(), device(), neighbours=NEIGHBOURS))
    with_device = {node.name for node in lab.nodes if node.device is not None}
    assert with_device == {"novice", "novice.box"}


def test_boxes_around_a_host_firewall_are_named_and_wired_as_without_it() -> None:
    boxes = (device("box", "10.1.1.1/24", "10.1.1.2"), device("box", "10.2.2.1/24", "10.2.2.2"))
    lab, plain = plan_of(novice=site(host_firewall(), *boxes)), plan_of(novice=site(*boxes))
    assert [name for name in names(lab) if ".box" in name] == ["novice.box", "novice.box.2"]
    assert lab.links == plain.links
    assert [node.stack for node in lab.nodes] == [node.stack for node in plain.nodes]
    assert lab.node("novice.box").inward == IPv4Address("10.1.1.2")


@pytest.mark.parametrize("file", project_topologies(), ids=lambda file: file.stem)
def test_every_topology_of_the_project_has_a_plan(file: Path) -> None:
    topology = project().from_file(file)
    lab = plan(topology)
    assert lab.topology is topology
    assert same(topology.devices, lab)
