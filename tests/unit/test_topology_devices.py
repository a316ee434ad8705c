"""A device is of exactly one kind, and has what its kind has and nothing else."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from definitions import copy_of_project
from topology_folder import BOX, DEVICE, HOST_FIREWALL, PROXY, SHIELD, Folder

from harness.topology.model import Filtering, Mapping


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


KINDS = {
    "nat": '[nat]\nunsolicited = "drop"\n',
    "firewall": '[firewall]\nunsolicited = "drop"\n',
    "host_firewall": '[host_firewall]\nunsolicited = "drop"\nopened_by_remote_assistance = true\n',
    "proxy": '[proxy]\nprotocol = "http"\nport = 8080\n',
}
NO_KIND = DEVICE.partition("[nat]")[0]
NO_KIND_NO_LAN = NO_KIND.partition("[lan]")[0]
LAN = NO_KIND.removeprefix(NO_KIND_NO_LAN)
EXACTLY_ONE = "a device has exactly one of nat, firewall, host_firewall, proxy; this one has "


def test_a_device_that_is_of_no_kind_is_refused(folder: Folder) -> None:
    folder.write(BOX, NO_KIND)
    assert folder.refusal(BOX) == f"{EXACTLY_ONE}none"


@pytest.mark.parametrize(("one", "other"), list(combinations(KINDS, 2)))
def test_a_device_is_never_of_two_kinds(folder: Folder, one: str, other: str) -> None:
    folder.write(BOX, NO_KIND + KINDS[one] + KINDS[other])
    assert folder.refusal(BOX) == f"{EXACTLY_ONE}{one} and {other}"


def test_a_device_of_all_kinds_is_refused_with_each_of_them(folder: Folder) -> None:
    folder.write(BOX, NO_KIND + "".join(KINDS.values()))
    assert folder.refusal(BOX) == f"{EXACTLY_ONE}{' and '.join(KINDS)}"


@pytest.mark.parametrize("mapper", ["[upnp]\nhttp_port = 5000\n", "[nat_pmp]\n"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nat"])
def test_only_a_nat_has_ports_to_map(folder: Folder, kind: str, mapper: str) -> None:
    lan = "" if kind == "host_firewall" else LAN
    folder.write(BOX, NO_KIND_NO_LAN + lan + KINDS[kind] + mapper)
    assert folder.refusal(BOX) == "upnp and nat_pmp need nat: there is nothing else to map"


def test_a_host_firewall_has_no_lan(folder: Folder) -> None:
    folder.write(HOST_FIREWALL, SHIELD + LAN)
    assert folder.refusal(HOST_FIREWALL) == "lan: a host firewall is on the host and has no LAN"


@pytest.mark.parametrize("kind", ["nat", "proxy"])
def test_a_nat_and_a_proxy_have_a_lan_of_their_own(folder: Folder, kind: str) -> None:
    folder.write(BOX, NO_KIND_NO_LAN + KINDS[kind])
    assert folder.refusal(BOX) == "lan: this key is missing"


@pytest.mark.parametrize("filtering", ["endpoint-independent", "address-dependent"])
def test_a_nat_whose_port_changes_with_the_peer_cannot_let_other_peers_in(
    folder: Folder, filtering: str
) -> None:
    axes = f'mapping = "address-and-port-dependent"\nfiltering = "{filtering}"\n'
    folder.change(BOX, ("[nat]\n", f"[nat]\n{axes}"))
    assert folder.refusal(BOX).startswith(
        f"nat: filtering {filtering} needs mapping endpoint-independent: "
    )


@pytest.mark.parametrize("filtering", Filtering)
def test_a_nat_whose_port_stays_may_filter_in_each_way(
    folder: Folder, filtering: Filtering
) -> None:
    axes = f'mapping = "endpoint-independent"\nfiltering = "{filtering}"\n'
    folder.change(BOX, ("[nat]\n", f"[nat]\n{axes}"))
    nat = folder.device().nat
    assert nat is not None
    assert (nat.mapping, nat.filtering) == (Mapping.ENDPOINT_INDEPENDENT, filtering)


def test_a_nat_that_does_not_say_keeps_its_port_and_lets_in_nobody_else(folder: Folder) -> None:
    """A home router's way; what is more open is said."""
    nat = folder.device().nat
    assert nat is not None
    assert nat.mapping is Mapping.ENDPOINT_INDEPENDENT
    assert nat.filtering is Filtering.ADDRESS_AND_PORT_DEPENDENT


def test_a_socks_proxy_has_no_policy_of_ports(folder: Folder) -> None:
    policy = 'protocol = "socks5"\nconnect_ports = [443]'
    folder.change(PROXY, ('protocol = "http"', policy))
    assert folder.refusal(PROXY) == "proxy: connect_ports: only an http proxy has such a policy"


def test_an_http_proxy_that_names_no_ports_lets_a_client_connect_to_all(folder: Folder) -> None:
    gate = folder.device("gate").proxy
    assert gate is not None
    assert gate.connect_ports is None


def test_a_port_is_forwarded_once(folder: Folder) -> None:
    one = "{ port = 80, to_port = 8080 }"
    folder.change(BOX, (one, f"{one}, {one}"))
    assert folder.refusal(BOX) == "nat: forward: port 80 is forwarded twice"
