"""Firewalls take their LANs from the block that is routed to their site."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from definitions import copy_of_project
from topology_folder import FIREWALL, INTERNET, WALL, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


def lans(folder: Folder, *chain: str, side: str = "novice") -> list[str]:
    """Return the LANs of a site with that chain, host outward; "" for a device that has none."""
    names = ", ".join(f'"{name}"' for name in chain)
    site = getattr(folder.topology(f"[{side}]\nchain = [{names}]"), side)
    return [str(each.lan.address) if each.lan else "" for each in site.chain]


def test_a_firewall_s_lan_is_the_first_of_the_block_that_is_routed_to_its_site(
    folder: Folder,
) -> None:
    novice = folder.topology('[novice]\nchain = ["wall"]').novice
    subnet = novice.chain[0].subnet
    assert subnet.address == IPv4Interface("24.0.0.1/24")
    assert subnet.host == novice.address == IPv4Address("24.0.0.2")


def test_firewalls_of_one_chain_take_the_block_s_networks_in_order(folder: Folder) -> None:
    assert lans(folder, "wall", "firewall") == ["24.0.0.1/24", "24.0.1.1/24"]
    assert lans(folder, "wall", "nat", "wall") == ["24.0.0.1/24", "192.168.1.1/24", "24.0.1.1/24"]


def test_each_site_has_a_block_of_its_own(folder: Folder) -> None:
    assert lans(folder, "wall", side="expert") == ["25.0.0.1/24"]


def test_only_a_firewall_takes_from_the_block(folder: Folder) -> None:
    assert lans(folder, "shield", "box", "gate") == ["", "10.1.1.1/24", "10.4.4.1/24"]


def test_a_firewall_with_a_lan_of_its_own_takes_none_of_the_block(folder: Folder) -> None:
    """Whether its file gives it or the chain's override."""
    override = '{ device = "wall", lan = { address = "24.0.0.129/25", host = "24.0.0.130" } }'
    site = folder.topology(f'[novice]\nchain = [{override}, "nat"]').novice
    assert site.chain[0].subnet.address == IPv4Interface("24.0.0.129/25")
    folder.write(FIREWALL, WALL + '[lan]\naddress = "24.0.1.1/24"\nhost = "24.0.1.9"\n')
    assert lans(folder, "wall", "firewall") == ["24.0.1.1/24", "24.0.0.1/24"]


def test_a_chain_with_more_firewalls_than_the_block_has_networks_is_refused(
    folder: Folder,
) -> None:
    assert folder.topology_refusal('[novice]\nchain = ["wall", "wall", "firewall"]') == (
        "novice.chain: firewall has no lan, and no block is left that is routed here"
    )


def test_a_firewall_where_no_block_is_routed_is_refused(folder: Folder) -> None:
    folder.change(INTERNET, ('routed = "25.0.0.0/16"\n', ""))
    assert folder.topology_refusal('[expert]\nchain = ["wall"]') == (
        "expert.chain: wall has no lan, and no block is left that is routed here"
    )


def test_a_lan_must_not_be_the_block_itself(folder: Folder) -> None:
    """The internet would send what is for a host of the LAN past whatever is in between."""
    link = '{ device = "box", lan = { address = "24.0.0.1/23", host = "24.0.0.2" } }'
    assert folder.topology_refusal(f"[novice]\nchain = [{link}]") == (
        "novice.chain: the LAN of box (24.0.0.0/23) overlaps the block routed to novice "
        "(24.0.0.0/23); give one of them another subnet"
    )


@pytest.mark.parametrize("device", ["box", "wall"])
def test_a_lan_must_not_be_of_the_other_site_s_block(folder: Folder, device: str) -> None:
    """Its hosts would look for the other site's at home."""
    lan = '{ address = "25.0.5.1/24", host = "25.0.5.2" }'
    refusal = folder.topology_refusal(f'[novice]\nchain = [{{ device = "{device}", lan = {lan} }}]')
    assert refusal.startswith("novice.chain: the LAN of ")
    assert "25.0.0.0/16" in refusal or "24.0.0.0/23" in refusal


PRIVATE_WALL = '{ device = "wall", lan = { address = "10.5.5.1/24", host = "10.5.5.2" } }'


def test_a_firewall_s_lan_to_which_there_is_no_route_back_is_refused(folder: Folder) -> None:
    assert folder.topology_refusal(f"[novice]\nchain = [{PRIVATE_WALL}]") == (
        "novice.chain: the LAN of wall (10.5.5.0/24) is not in the block that is routed here "
        "(24.0.0.0/23), and nothing outward translates it"
    )


def test_a_firewall_inside_a_nat_may_have_a_private_lan(folder: Folder) -> None:
    site = folder.topology(f'[novice]\nchain = [{PRIVATE_WALL}, "nat"]').novice
    assert site.address == IPv4Address("10.5.5.2")


def test_a_host_firewall_takes_no_lan_in_a_chain_either(folder: Folder) -> None:
    link = '{ device = "shield", lan = { address = "10.5.5.1/24", host = "10.5.5.2" } }'
    assert folder.topology_refusal(f"[novice]\nchain = [{link}]") == (
        "novice.chain: shield is on the host itself and has no lan"
    )


def test_a_block_has_room_for_a_lan(folder: Folder) -> None:
    folder.change(INTERNET, ('"25.0.0.0/16"', '"25.0.0.0/25"'))
    assert folder.refusal(INTERNET) == (
        "expert: routed 25.0.0.0/25 has no room for a LAN of 256 addresses"
    )


def test_a_block_is_not_reserved(folder: Folder) -> None:
    """A daemon whose WAN address is of it would refuse to map."""
    folder.change(INTERNET, ('"25.0.0.0/16"', '"10.25.0.0/16"'))
    assert "is reserved: a UPnP daemon refuses" in folder.refusal(INTERNET)


def test_the_services_have_no_use_for_a_routed_block(folder: Folder) -> None:
    text = (folder.path / INTERNET).read_text(encoding="utf-8")
    head, services = text.split("[services]\n")
    folder.write(INTERNET, f'{head}[services]\nrouted = "44.0.0.0/16"\n{services}')
    assert folder.refusal(INTERNET).startswith("services.routed: ")
