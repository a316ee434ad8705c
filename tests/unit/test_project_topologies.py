"""The project's own devices, topologies and internet load, and are what they are named for."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from definitions import copy_of_project, project, project_topologies
from topology_folder import Folder

from harness.assistance.people import Terms
from harness.kb import load_tables
from harness.runner.catalogue import article
from harness.topology.load import Library
from harness.words import Method, chain_name

TERMS = Terms(password="a test")

each_topology = pytest.mark.parametrize("path", project_topologies(), ids=lambda path: path.stem)
each_device = pytest.mark.parametrize("name", sorted(project().devices))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


@each_topology
def test_every_topology_of_the_project_loads(path: Path) -> None:
    assert project().from_file(path).title.strip()


@pytest.mark.parametrize(
    "path",
    [path for path in project_topologies() if path.parent.name == "kb301529"],
    ids=lambda path: path.stem,
)
def test_a_topology_of_the_article_is_the_one_that_its_file_is_named_for(path: Path) -> None:
    assert project().from_file(path).name == path.stem


def test_the_article_s_scenarios_use_every_topology_of_its_folder() -> None:
    named = {path.stem for path in project_topologies() if path.parent.name == "kb301529"}
    claims = [claim for table in load_tables() for claim in table.claims]
    assert {f"{chain_name(each.novice)}+{chain_name(each.expert)}" for each in claims} == named
    scenarios = article(project(), list(Method), TERMS)
    assert named <= {scenario.topology.name for scenario in scenarios}


def test_a_topology_of_the_article_that_is_not_what_its_name_says_is_refused(
    folder: Folder,
) -> None:
    """A topology that silently is another would make another cell's verdict."""
    file = "kb301529/nat+nat.toml"
    folder.write(file, '[novice]\nchain = ["nat"]\n')
    refusal = folder.refusal(file, lambda: article(Library(folder.path), list(Method), TERMS))
    assert refusal.endswith("it defines nat+direct, not nat+nat")


@each_device
def test_every_device_of_the_project_says_what_it_is_and_where_that_is_from(name: str) -> None:
    device = project().devices[name]
    assert device.name == name
    assert device.title.strip()
    assert device.source.strip()


def test_windows_me_ics_is_said_to_be_a_model() -> None:
    """Its mapping protocol was not published: whoever reads a result has to know."""
    assert "model" in project().devices["me-ics"].note


@pytest.mark.parametrize("name", ["novice", "expert", "services"])
def test_no_address_of_the_lab_s_internet_is_reserved(name: str) -> None:
    """A UPnP daemon refuses to map ports where its WAN address is."""
    link = getattr(project().internet, name)
    assert link.router.ip.is_global
    assert link.site.is_global
    assert link.router.network.is_global
    assert link.routed is None or link.routed.is_global


CARRIERS = IPv4Network("100.64.0.0/10")


@each_device
def test_every_lan_of_the_project_is_private_or_a_carrier_s(name: str) -> None:
    lan = project().devices[name].lan
    if lan is not None:
        assert lan.network.is_private or lan.network == CARRIERS
        assert (lan.network == CARRIERS) == (name == "cgnat")


@pytest.mark.parametrize("one", sorted(project().devices))
@pytest.mark.parametrize("other", sorted(project().devices))
def test_any_two_boxes_of_the_project_stand_in_one_chain_but_the_two_ics_hosts(
    one: str, other: str
) -> None:
    """A lab team joins them on the command line, where no LAN can be given."""
    if one == other or {one, other} == {"xp-ics", "me-ics"}:
        return
    devices = project().devices
    if devices[other].host_firewall or (devices[one].proxy and devices[other].proxy):
        return
    assert project().from_chains((one, other), (one, other)).name == f"{one},{other}+{one},{other}"
