"""A site is its chain, its host and its neighbours, as its file or the command line has them."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from definitions import copy_of_project, project
from topology_folder import BEHIND_BOX, SHIELD, Folder

from harness.topology.load import Library
from harness.topology.model import HostFirewall
from harness.words import Role


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


# The site as a whole


def test_only_the_novice_listens_where_its_ticket_does_not_say(folder: Folder) -> None:
    refused = folder.topology_refusal("[expert]\nlistens = 3390\n")
    assert refused.startswith("expert.listens: ")


def test_an_empty_topology_is_two_direct_hosts(folder: Folder) -> None:
    topology = folder.topology("")
    assert topology.name == "direct+direct"
    assert topology.novice.address == IPv4Address("21.0.0.2")
    assert topology.expert.address == IPv4Address("22.0.0.2")


def test_both_sides_may_have_the_very_same_private_address() -> None:
    """The two sites never meet in one subnet: the article's last row depends on it."""
    topology = project().from_chains(("xp-ics",), ("xp-ics",))
    assert topology.name == "xp-ics+xp-ics"
    assert topology.novice.address == topology.expert.address == IPv4Address("192.168.0.2")


def test_a_chain_from_the_command_line_is_the_one_from_a_file(folder: Folder) -> None:
    from_file = folder.topology('[novice]\nchain = ["nat", "box"]\n[expert]\nchain = ["xp-ics"]')
    assert Library(folder.path).from_chains(("nat", "box"), ("xp-ics",)) == from_file


def test_a_chain_may_be_long_where_each_device_has_a_subnet_of_its_own(folder: Folder) -> None:
    topology = folder.topology("""
        [novice]
        chain = [
            "nat",
            { device = "nat", lan = { address = "10.5.5.1/24", host = "10.5.5.2" } },
            { device = "nat", lan = { address = "10.6.6.1/24", host = "10.6.6.2" } },
        ]
    """)
    assert topology.name == "nat,nat,nat+direct"
    addresses = [str(device.subnet.address) for device in topology.novice.chain]
    assert addresses == ["192.168.1.1/24", "10.5.5.1/24", "10.6.6.1/24"]
    assert topology.novice.address == IPv4Address("192.168.1.100")


def test_an_override_changes_the_lan_and_nothing_else(folder: Folder) -> None:
    link = '{ device = "box", lan = { address = "10.5.5.1/24", host = "10.5.5.2" } }'
    (device,) = folder.topology(f"[novice]\nchain = [{link}]").novice.chain
    assert str(device.subnet.address) == "10.5.5.1/24"
    assert str(device.subnet.host) == "10.5.5.2"
    original = folder.device()
    assert device.model_copy(update={"lan": original.lan}) == original


def test_a_site_keeps_its_own_address_port_and_neighbours(folder: Folder) -> None:
    site = folder.topology("""
        [novice]
        chain = ["box"]
        address = "10.1.1.50"
        listens = 3390
        neighbours = [{ name = "a", address = "10.1.1.2", stranger = 3389 }]
    """).novice
    assert site.address == IPv4Address("10.1.1.50")
    assert site.listens == 3390
    (neighbour,) = site.neighbours
    assert (neighbour.name, neighbour.address, neighbour.stranger) == (
        "a",
        IPv4Address("10.1.1.2"),
        3389,
    )


# Host firewalls and proxies in a chain


def test_a_host_firewall_alone_leaves_the_host_on_its_isp_link(folder: Folder) -> None:
    site = folder.topology('[novice]\nchain = ["shield"]').novice
    assert site.address == IPv4Address("21.0.0.2")
    assert site.boxes == ()
    assert site.host_firewall == HostFirewall.model_validate(tomllib.loads(SHIELD)["host_firewall"])


def test_a_host_firewall_behind_a_box_leaves_the_host_in_its_lan(folder: Folder) -> None:
    site = folder.topology('[novice]\nchain = ["shield", "box"]').novice
    assert site.address == IPv4Address("10.1.1.2")
    assert [each.name for each in site.boxes] == ["box"]
    assert site.names == ("shield", "box")


def test_a_host_without_a_host_firewall_has_none(folder: Folder) -> None:
    assert folder.topology().novice.host_firewall is None
    assert folder.topology("").novice.host_firewall is None


@pytest.mark.parametrize("chain", ['["box", "shield"]', '["shield", "shield"]'])
def test_a_host_firewall_comes_first(folder: Folder, chain: str) -> None:
    assert folder.topology_refusal(f"[expert]\nchain = {chain}") == (
        "expert.chain: shield is on the host itself: it comes first"
    )


def test_a_host_firewall_alone_makes_no_lan_for_neighbours(folder: Folder) -> None:
    neighbours = 'neighbours = [{ name = "a", address = "21.0.0.7" }]'
    assert folder.topology_refusal(f'[novice]\nchain = ["shield"]\n{neighbours}') == (
        "novice: neighbours need a device: a direct host has no LAN"
    )


@pytest.mark.parametrize(
    "chain", ['["gate", "socks-proxy"]', '["shield", "gate", "box", "socks-proxy"]']
)
def test_a_site_has_one_proxy_at_most(folder: Folder, chain: str) -> None:
    assert folder.topology_refusal(f"[novice]\nchain = {chain}") == (
        "novice.chain: gate and socks-proxy: a site has one proxy at most"
    )


@pytest.mark.parametrize("chain", ['["gate"]', '["nat", "gate"]', '["gate", "nat"]'])
def test_the_proxy_of_a_chain_is_found_wherever_it_stands(folder: Folder, chain: str) -> None:
    site = folder.topology(f"[novice]\nchain = {chain}\nproxy_client = true").novice
    assert site.proxy_client
    assert site.proxy is not None
    assert site.proxy.name == "gate"


def test_remote_assistance_does_not_use_a_proxy_that_it_was_not_told_to_use(
    folder: Folder,
) -> None:
    assert not folder.topology('[novice]\nchain = ["gate"]').novice.proxy_client


def test_the_command_line_says_for_each_side_whether_it_uses_its_proxy() -> None:
    chain = ("nat", "socks-proxy")
    for roles in ((), (Role.NOVICE,), (Role.EXPERT,), tuple(Role)):
        topology = project().from_chains(chain, chain, roles)
        assert topology.novice.proxy_client == (Role.NOVICE in roles)
        assert topology.expert.proxy_client == (Role.EXPERT in roles)


@pytest.mark.parametrize("chain", ["[]", '["box"]', '["shield", "wall"]'])
def test_a_proxy_s_client_needs_a_proxy(folder: Folder, chain: str) -> None:
    assert folder.topology_refusal(f"[expert]\nchain = {chain}\nproxy_client = true") == (
        "expert.chain: proxy_client is set, and there is no proxy"
    )


# Neighbours


def _neighbours(*pairs: tuple[str, str]) -> str:
    tables = ", ".join(f'{{ name = "{name}", address = "{address}" }}' for name, address in pairs)
    return f"{BEHIND_BOX}neighbours = [{tables}]"


def test_two_neighbours_must_not_share_an_address(folder: Folder) -> None:
    refusal = folder.topology_refusal(_neighbours(("a", "10.1.1.7"), ("b", "10.1.1.7")))
    assert refusal == "novice: neighbours.b.address: 10.1.1.7 is taken already"


@pytest.mark.parametrize("own", ["10.1.1.2", "10.1.1.50"])
def test_a_neighbour_must_not_have_the_host_s_address(folder: Folder, own: str) -> None:
    """Whether that is the one its device gives it or one of its own."""
    content = _neighbours(("a", own)) + f'\naddress = "{own}"\n'
    refusal = folder.topology_refusal(content)
    assert refusal == f"novice: neighbours.a.address: {own} is taken already"


def test_two_neighbours_must_not_share_a_name(folder: Folder) -> None:
    refusal = folder.topology_refusal(_neighbours(("a", "10.1.1.7"), ("a", "10.1.1.8")))
    assert refusal.startswith("novice: neighbours.a: ")
    assert "name already" in refusal


def test_a_neighbour_must_not_be_called_as_a_device_of_its_site(folder: Folder) -> None:
    refusal = folder.topology_refusal(_neighbours(("box", "10.1.1.7")))
    assert refusal.startswith("novice: neighbours.box: ")
    assert "name already" in refusal


def test_a_direct_host_has_no_neighbours(folder: Folder) -> None:
    refusal = folder.topology_refusal(
        '[expert]\nneighbours = [{ name = "a", address = "22.0.0.7" }]'
    )
    assert refusal == "expert: neighbours need a device: a direct host has no LAN"


def test_neighbours_of_the_two_sites_may_share_name_and_address(folder: Folder) -> None:
    content = _neighbours(("a", "10.1.1.7"))
    topology = folder.topology(f"{content}\n{content.replace('novice', 'expert')}")
    assert topology.novice.neighbours == topology.expert.neighbours
