"""What miniupnpd is told: the protocols, whom it maps for, and the chains that it writes to."""

from __future__ import annotations

from ipaddress import ip_network
from uuid import UUID

import pytest
from definitions import device, three_devices
from rulesets import NATS, PROJECT, node_of, tables

from harness.lab.miniupnpd import configuration
from harness.topology.model import Device


def lines(own: Device, node: str = "novice.box") -> list[str]:
    return configuration(node, own).splitlines()


def settings(own: Device, node: str = "novice.box") -> dict[str, str]:
    """Read the configuration's settings, each given once."""
    pairs = [line.split("=") for line in lines(own, node) if "=" in line]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


each_kind = pytest.mark.parametrize(
    "own",
    [
        pytest.param(device(http_port=5000), id="UPnP"),
        pytest.param(device(nat_pmp=True), id="NAT-PMP"),
        pytest.param(device(http_port=5000, nat_pmp=True), id="both"),
    ],
)


@each_kind
def test_a_host_may_map_ports_for_itself_only(own: Device) -> None:
    assert settings(own)["secure_mode"] == "yes"


@each_kind
def test_the_daemon_is_an_internet_gateway_device_of_version_1(own: Device) -> None:
    assert settings(own)["force_igd_desc_v1"] == "yes"


@pytest.mark.parametrize("nat_pmp", [True, False])
def test_upnp_is_on_for_a_device_with_upnp_at_its_own_port(nat_pmp: bool) -> None:
    found = settings(device(http_port=2869, nat_pmp=nat_pmp))
    assert (found["enable_upnp"], found["http_port"]) == ("yes", "2869")


def test_upnp_is_off_for_a_device_without_it() -> None:
    assert settings(device(nat_pmp=True))["enable_upnp"] == "no"


@pytest.mark.parametrize("http_port", [5000, None])
def test_nat_pmp_is_on_for_a_device_with_nat_pmp(http_port: int | None) -> None:
    assert settings(device(http_port=http_port, nat_pmp=True))["enable_natpmp"] == "yes"


def test_nat_pmp_is_off_for_a_device_without_it() -> None:
    assert settings(device(http_port=5000))["enable_natpmp"] == "no"


def test_the_project_s_devices_speak_the_protocols_that_they_are_named_for() -> None:
    spoken = {
        own.name: (settings(own)["enable_upnp"], settings(own)["enable_natpmp"])
        for own in PROJECT
        if own.maps_ports
    }
    assert spoken == {"me-ics": ("no", "yes"), "upnp-nat": ("yes", "no"), "xp-ics": ("yes", "no")}


def test_every_node_has_a_uuid_of_its_own() -> None:
    """Discovery merges devices of one uuid, in a chain as well as at both sites."""
    nodes = ("novice.box", "novice.box.2", "expert.box", "expert.crate")
    uuids = {UUID(settings(device(http_port=5000), node)["uuid"]) for node in nodes}
    assert len(uuids) == len(nodes)


def test_a_node_keeps_its_uuid_from_run_to_run() -> None:
    own = device(http_port=5000)
    assert configuration("novice.box", own) == configuration("novice.box", own)


@each_kind
def test_mappings_are_allowed_to_the_lan_and_denied_to_everyone_else(own: Device) -> None:
    lan = own.model_copy(update={"lan": three_devices()[1].lan})
    rules = [line for line in lines(lan) if "=" not in line]
    assert rules == [
        "allow 1024-65535 10.2.2.0/25 1024-65535",
        "deny 0-65535 0.0.0.0/0 0-65535",
    ]


@pytest.mark.parametrize("own", [own for own in NATS if own.maps_ports], ids=lambda own: own.name)
def test_remote_assistance_s_port_may_be_mapped_by_the_device_s_host(own: Device) -> None:
    verb, external, network, internal = next(line for line in lines(own) if "=" not in line).split()
    assert verb == "allow"
    assert own.subnet.host in ip_network(network)
    for ports in (external, internal):
        first, last = map(int, ports.split("-"))
        assert first <= 3389 <= last


@each_kind
def test_the_daemon_has_the_interfaces_that_its_node_has(own: Device) -> None:
    found = settings(own)
    lan, wan = node_of(own).stack.interfaces
    assert (found["listening_ip"], found["ext_ifname"]) == (lan.name, wan.name)


@each_kind
def test_the_daemon_writes_to_the_chains_that_the_rules_jump_to(own: Device) -> None:
    """Into a chain that no rule jumps to, it would map without any effect."""
    found, rules = settings(own), tables(node_of(own))
    nat, filters = rules[found["upnp_nat_table_name"]], rules[found["upnp_table_name"]]
    assert f"jump {found['upnp_forward_chain']}" in filters["forward"]
    assert f"jump {found['upnp_nat_chain']}" in nat["prerouting"]
    assert f"jump {found['upnp_nat_postrouting_chain']}" in nat["postrouting"]
