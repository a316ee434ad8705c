"""The loader refuses a value of the wrong type or range, and a name that nothing can have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from definitions import copy_of_project, project
from topology_folder import (
    BEHIND_BOX,
    BOX,
    DEVICE,
    FIREWALL,
    HOST_FIREWALL,
    INTERNET,
    ONE,
    PROXY,
    Changes,
    Folder,
)

from harness.errors import DefinitionError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


@pytest.mark.parametrize(
    ("name", "changes", "key"),
    [
        pytest.param(BOX, ('"A box"', "5"), "title", id="title"),
        pytest.param(BOX, ('"drop"', '"ignore"'), "nat.unsolicited", id="unsolicited"),
        pytest.param(BOX, ('"10.1.1.1/24"', '"10.1.1.1/33"'), "lan.address", id="prefix"),
        pytest.param(BOX, ('"10.1.1.1/24"', '"fd00::1/64"'), "lan.address", id="IPv6"),
        pytest.param(BOX, ('"10.1.1.2"', '"10.1.1.2/24"'), "lan.host", id="host with a prefix"),
        pytest.param(BOX, ('"10.1.1.2"', '"box.example"'), "lan.host", id="host by name"),
        pytest.param(BOX, ("[{ port = 80, to_port = 8080 }]", "80"), "nat.forward", id="forward"),
        pytest.param(BOX, ("[upnp]\nhttp_port = 5000", "[[upnp]]"), "upnp", id="upnp"),
        pytest.param(BOX, ("[nat]\n", '[nat]\nmapping = "cone"\n'), "nat.mapping", id="mapping"),
        pytest.param(
            BOX, ("[nat]\n", '[nat]\nfiltering = "none"\n'), "nat.filtering", id="filtering"
        ),
        pytest.param(
            FIREWALL, ('"drop"', '"drop"\ninbound = 3389'), "firewall.inbound", id="inbound"
        ),
        pytest.param(PROXY, ('"http"', '"socks4"'), "proxy.protocol", id="protocol"),
        pytest.param(
            HOST_FIREWALL,
            ("= true", '= "sometimes"'),
            "host_firewall.opened_by_remote_assistance",
            id="opened",
        ),
        pytest.param(INTERNET, ('"21.0.0.2"', "[21, 0, 0, 2]"), "novice.site", id="link"),
        pytest.param(INTERNET, ('"24.0.0.0/23"', '"24.0.0.1/23"'), "novice.routed", id="routed"),
        pytest.param(ONE, ('["box"]', '"box"'), "novice.chain", id="chain"),
        pytest.param(ONE, ("[novice]", "[[novice]]"), "novice", id="site"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(
    folder: Folder, name: str, changes: Changes, key: str
) -> None:
    folder.change(name, changes)
    assert folder.refusal(name).startswith(f"{key}: ")


@pytest.mark.parametrize("port", ["0", "-1", "65536", '"5000"', "5000.0", "true"])
def test_a_port_is_a_whole_number_from_1_to_65535(folder: Folder, port: str) -> None:
    folder.change(BOX, ("http_port = 5000", f"http_port = {port}"))
    assert folder.refusal(BOX).startswith("upnp.http_port: ")


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("[novice]\nlistens = 0", "novice.listens"),
        ("[novice]\nlistens = 65536", "novice.listens"),
        (
            BEHIND_BOX + 'neighbours = [{ name = "a", address = "10.1.1.7", stranger = 70000 }]',
            "novice.neighbours[1].stranger",
        ),
    ],
)
def test_a_port_of_a_topology_is_in_range(folder: Folder, content: str, key: str) -> None:
    assert folder.topology_refusal(content).startswith(f"{key}: ")


@pytest.mark.parametrize("key", ["port = 80", "to_port = 8080"])
def test_a_port_of_a_forward_is_in_range(folder: Folder, key: str) -> None:
    name = key.partition(" ")[0]
    folder.change(BOX, (f" {key}", f" {name} = 65536"))
    assert folder.refusal(BOX).startswith(f"nat.forward[1].{name}: ")


@pytest.mark.parametrize("key", ["inbound", "outbound"])
def test_a_port_that_a_firewall_opens_is_in_range(folder: Folder, key: str) -> None:
    folder.change(FIREWALL, ('"drop"', f'"drop"\n{key} = [25, 65536]'))
    assert folder.refusal(FIREWALL).startswith(f"firewall.{key}[2]: ")


@pytest.mark.parametrize(("line", "key"), [("port", "port"), ("connect_ports", "connect_ports[2]")])
def test_a_port_of_a_proxy_is_in_range(folder: Folder, line: str, key: str) -> None:
    old = "port = 8080\n"
    folder.change(
        PROXY, (old, f"{old}connect_ports = [443, 0]\n" if line != "port" else "port = 0")
    )
    assert folder.refusal(PROXY).startswith(f"proxy.{key}: ")


@pytest.mark.parametrize("port", [1, 65535])
def test_the_first_and_the_last_port_are_ports(folder: Folder, port: int) -> None:
    folder.change(BOX, ("http_port = 5000", f"http_port = {port}"))
    upnp = folder.device().upnp
    assert upnp is not None
    assert upnp.http_port == port


@pytest.mark.parametrize("name", ["Box", "my box", "box.2", "1box", "-box", "b" * 32])
def test_a_device_whose_file_has_a_name_that_no_node_can_have_is_refused(
    folder: Folder, name: str
) -> None:
    file = f"devices/{name}.toml"
    folder.write(file, DEVICE)
    assert folder.refusal(file).startswith("name: ")


@pytest.mark.parametrize("name", ["Box", "my box", "box;reboot", "../box", "", "box\\n"])
def test_bad_characters_in_a_chain_are_refused_at_their_place_in_it(
    folder: Folder, name: str
) -> None:
    refusal = folder.topology_refusal(f'[expert]\nchain = ["box", "{name}"]')
    assert re.match(r"expert\.chain\[2\](\.device)?: ", refusal)


@pytest.mark.parametrize(
    ("novice", "expert", "side"), [(("No",), (), "novice"), ((), ("No",), "expert")]
)
def test_bad_characters_in_a_chain_of_the_command_line_are_refused_by_side(
    novice: tuple[str, ...], expert: tuple[str, ...], side: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        project().from_chains(novice, expert)
    assert re.search(rf": {side}\.chain\[1\](\.device)?: ", str(caught.value))


def test_a_neighbour_with_a_name_that_no_node_can_have_is_refused(folder: Folder) -> None:
    refusal = folder.topology_refusal(
        BEHIND_BOX + 'neighbours = [{ name = "A B", address = "10.1.1.7" }]'
    )
    assert refusal.startswith("novice.neighbours[1].name: ")


def test_an_unknown_device_is_refused_with_the_names_of_those_that_there_are(
    folder: Folder,
) -> None:
    refusal = folder.topology_refusal('[expert]\nchain = ["boxx"]')
    start = "expert.chain: there is no device 'boxx'; there are: "
    assert refusal.startswith(start)
    known = {path.stem for path in (folder.path / "devices").glob("*.toml")}
    assert set(refusal.removeprefix(start).split(", ")) == known


def test_an_override_of_an_unknown_device_is_refused(folder: Folder) -> None:
    link = '{ device = "boxx", lan = { address = "10.5.5.1/24", host = "10.5.5.2" } }'
    refusal = folder.topology_refusal(f"[novice]\nchain = [{link}]")
    assert refusal.startswith("novice.chain: there is no device 'boxx'; ")
