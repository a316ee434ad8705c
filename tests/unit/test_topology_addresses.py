"""Each address is a host's in its own subnet, and no two subnets overlap where they could meet."""

from __future__ import annotations

import re
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from definitions import copy_of_project
from topology_folder import BEHIND_BOX, BOX, INTERNET, ONE, Changes, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


# Addresses

each_bad_host = pytest.mark.parametrize(
    ("prefix", "last", "reason"),
    [
        pytest.param("outside", 2, "is outside its subnet {net}.0/24", id="outside"),
        pytest.param("inside", 1, "is the router's own address", id="the router's own"),
        pytest.param("inside", 0, "is not a host address of {net}.0/24", id="network"),
        pytest.param("inside", 255, "is not a host address of {net}.0/24", id="broadcast"),
    ],
)


def _bad_host(net: str, prefix: str, last: int, reason: str) -> tuple[str, str]:
    """Return an address, and what is said of it, for a /24 whose router is ``net``.1."""
    address = f"{net if prefix == 'inside' else '10.9.9'}.{last}"
    return address, f"{address} {reason.format(net=net)}"


@each_bad_host
def test_the_host_of_a_device_is_a_host_of_its_lan(
    folder: Folder, prefix: str, last: int, reason: str
) -> None:
    address, said = _bad_host("10.1.1", prefix, last, reason)
    folder.change(BOX, ('"10.1.1.2"', f'"{address}"'))
    assert folder.refusal(BOX) == f"lan: host {said}"


@each_bad_host
def test_the_site_of_an_isp_link_is_a_host_of_it(
    folder: Folder, prefix: str, last: int, reason: str
) -> None:
    address, said = _bad_host("22.0.0", prefix, last, reason)
    folder.change(INTERNET, ('"22.0.0.2"', f'"{address}"'))
    assert folder.refusal(INTERNET) == f"expert: site {said}"


@each_bad_host
def test_the_address_of_a_site_is_a_host_of_its_innermost_lan(
    folder: Folder, prefix: str, last: int, reason: str
) -> None:
    address, said = _bad_host("10.1.1", prefix, last, reason)
    refusal = folder.topology_refusal(f'[novice]\nchain = ["box", "nat"]\naddress = "{address}"')
    assert refusal == f"novice: address {said}"


@each_bad_host
def test_the_address_of_a_direct_host_is_a_host_of_its_isp_link(
    folder: Folder, prefix: str, last: int, reason: str
) -> None:
    address, said = _bad_host("22.0.0", prefix, last, reason)
    refusal = folder.topology_refusal(f'[expert]\naddress = "{address}"')
    assert refusal == f"expert: address {said}"


@each_bad_host
def test_the_address_of_a_neighbour_is_a_host_of_the_innermost_lan(
    folder: Folder, prefix: str, last: int, reason: str
) -> None:
    address, said = _bad_host("10.1.1", prefix, last, reason)
    refusal = folder.topology_refusal(
        BEHIND_BOX + f'neighbours = [{{ name = "a", address = "{address}" }}]'
    )
    assert refusal == f"novice: neighbours.a.address {said}"


def test_an_address_without_a_prefix_has_no_room_for_a_host(folder: Folder) -> None:
    folder.change(BOX, ('"10.1.1.1/24"', '"10.1.1.1"'))
    assert re.match(r"lan: .* 10\.1\.1\.1/32$", folder.refusal(BOX))


@pytest.mark.parametrize("own", ["10.1.1.0/24", "10.1.1.255/24"])
def test_a_router_has_a_host_address_of_its_subnet_itself(folder: Folder, own: str) -> None:
    folder.change(BOX, ('"10.1.1.1/24"', f'"{own}"'))
    assert folder.refusal(BOX).startswith("lan: address ")


@pytest.mark.parametrize("own", ["22.0.0.0/24", "22.0.0.255/24"])
def test_the_core_router_has_a_host_address_of_each_link(folder: Folder, own: str) -> None:
    folder.change(INTERNET, ('"22.0.0.1/24"', f'"{own}"'))
    assert folder.refusal(INTERNET).startswith("expert: router ")


@pytest.mark.parametrize("own", ["203.0.113.1/24", "100.64.0.1/24", "10.9.9.1/24"])
def test_a_reserved_address_is_no_router_of_the_internet(folder: Folder, own: str) -> None:
    """A UPnP daemon would refuse to map on that link, and every mapped "Yes" would turn."""
    site = own.replace(".1/24", ".2")
    folder.change(INTERNET, ('"22.0.0.1/24"', f'"{own}"'), ('"22.0.0.2"', f'"{site}"'))
    assert "is reserved: a UPnP daemon refuses" in folder.refusal(INTERNET)


@pytest.mark.parametrize("own", ["127.0.0.1/8", "224.0.0.1/24", "0.0.0.1/8"])
def test_a_lan_has_addresses_that_a_host_may_have(folder: Folder, own: str) -> None:
    folder.change(BOX, ('"10.1.1.1/24"', f'"{own}"'))
    assert "is no address of a host (RFC 1122 3.2.1.3)" in folder.refusal(BOX)


# Subnets


def test_two_devices_of_one_chain_must_not_share_a_subnet(folder: Folder) -> None:
    assert folder.topology_refusal('[novice]\nchain = ["xp-ics", "me-ics"]') == (
        "novice.chain: the LAN of me-ics (192.168.0.0/24) overlaps the LAN of xp-ics "
        "(192.168.0.0/24); give one of them another subnet"
    )


def test_devices_that_are_not_next_to_each_other_must_not_share_a_subnet_either(
    folder: Folder,
) -> None:
    refusal = folder.topology_refusal('[expert]\nchain = ["box", "nat", "upnp-nat", "box"]')
    assert refusal.startswith(
        "expert.chain: the LAN of box (10.1.1.0/24) overlaps the LAN of box (10.1.1.0/24); "
    )


@pytest.mark.parametrize("lan", ["10.1.0.1/16", "10.1.1.129/25"])
def test_a_subnet_must_not_lie_inside_another_of_its_chain(folder: Folder, lan: str) -> None:
    host = IPv4Interface(lan).ip + 1
    link = f'{{ device = "nat", lan = {{ address = "{lan}", host = "{host}" }} }}'
    refusal = folder.topology_refusal(f'[novice]\nchain = ["box", {link}]')
    assert refusal.startswith("novice.chain: the LAN of nat (")
    assert "overlaps the LAN of box (10.1.1.0/24)" in refusal


@pytest.mark.parametrize(("net", "name"), [(21, "novice"), (22, "expert"), (23, "services")])
def test_a_lan_must_not_overlap_any_link_of_the_internet(
    folder: Folder, net: int, name: str
) -> None:
    """Not even the other site's: its hosts would look for the other site at home."""
    folder.change(BOX, ("10.1.1.1/24", f"{net}.0.0.1/16"), ("10.1.1.2", f"{net}.0.7.2"))
    assert folder.refusal(ONE) == (
        f"novice.chain: the LAN of box ({net}.0.0.0/16) overlaps "
        f"the internet's {name} link ({net}.0.0.0/24); give one of them another subnet"
    )


@pytest.mark.parametrize(
    ("changes", "one", "other"),
    [
        pytest.param(
            (('"22.0.0.1/24"', '"21.0.0.129/25"'), ('"22.0.0.2"', '"21.0.0.130"')),
            "the internet's expert link (21.0.0.128/25)",
            "the internet's novice link (21.0.0.0/24)",
            id="sites",
        ),
        pytest.param(
            (('"23.0.0.1/24"', '"23.0.0.1/7"'),),
            "the internet's services link (22.0.0.0/7)",
            "the internet's expert link (22.0.0.0/24)",
            id="services",
        ),
        pytest.param(
            (('"24.0.0.0/23"', '"22.0.0.0/8"'),),
            "the block routed to novice (22.0.0.0/8)",
            "the internet's expert link (22.0.0.0/24)",
            id="block and link",
        ),
        pytest.param(
            (('"24.0.0.0/23"', '"25.0.4.0/23"'),),
            "the block routed to expert (25.0.0.0/16)",
            "the block routed to novice (25.0.4.0/23)",
            id="blocks",
        ),
    ],
)
def test_two_networks_of_the_internet_must_not_overlap(
    folder: Folder, changes: tuple[Changes, ...], one: str, other: str
) -> None:
    folder.change(INTERNET, *changes)
    refusal = folder.refusal(INTERNET)
    assert refusal == f"{one} overlaps {other}; give one of them another subnet"
