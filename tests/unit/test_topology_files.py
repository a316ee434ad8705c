"""The loader refuses a file that it cannot read, and a key that is unknown or missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from definitions import copy_of_project
from topology_folder import (
    BEHIND_BOX,
    BOX,
    DEVICE,
    FIREWALL,
    HOST_FIREWALL,
    INTERNET,
    ONE,
    PROXY,
    Folder,
)

from harness.errors import DefinitionError
from harness.topology.load import Library


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(copy_of_project(tmp_path))


each_file = pytest.mark.parametrize("name", [BOX, INTERNET, ONE])


# Files


def test_the_folder_that_the_tests_break_is_whole(folder: Folder) -> None:
    assert folder.topology().name == "box+direct"


@each_file
def test_bad_toml_is_refused_with_its_line(folder: Folder, name: str) -> None:
    folder.write(name, "# one\n# two\n[broken\n")
    assert "line 3" in folder.refusal(name)


@each_file
def test_a_key_given_twice_is_refused(folder: Folder, name: str) -> None:
    folder.write(name, "title = 'a'\ntitle = 'b'\n")
    assert folder.refusal(name)


@each_file
def test_a_file_that_is_not_utf_8_is_refused(folder: Folder, name: str) -> None:
    folder.write(name, 'title = "B\u00fcro"\n'.encode("latin-1"))
    assert "utf-8" in folder.refusal(name)


@pytest.mark.parametrize("name", [INTERNET, ONE])
def test_a_missing_file_is_refused(folder: Folder, name: str) -> None:
    (folder.path / name).unlink()
    assert folder.refusal(name) == "No such file or directory"


@each_file
def test_a_folder_in_place_of_a_file_is_refused(folder: Folder, name: str) -> None:
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    assert folder.refusal(name) == "Is a directory"


def test_a_folder_that_is_missing_is_refused_by_the_first_file_that_it_lacks(
    tmp_path: Path,
) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(DefinitionError) as caught:
        Library(missing)
    assert str(caught.value) == f"{missing / INTERNET}: No such file or directory"


# Keys


@pytest.mark.parametrize(
    ("name", "table", "key"),
    [
        pytest.param(BOX, "", "colour", id="device"),
        pytest.param(BOX, "lan", "lan.colour", id="device's lan"),
        pytest.param(BOX, "nat", "nat.colour", id="device's nat"),
        pytest.param(BOX, "upnp", "upnp.colour", id="device's upnp"),
        pytest.param(FIREWALL, "firewall", "firewall.colour", id="device's firewall"),
        pytest.param(
            HOST_FIREWALL, "host_firewall", "host_firewall.colour", id="device's host firewall"
        ),
        pytest.param(PROXY, "proxy", "proxy.colour", id="device's proxy"),
        pytest.param(INTERNET, "", "colour", id="internet"),
        pytest.param(INTERNET, "expert", "expert.colour", id="internet's link"),
        pytest.param(ONE, "", "colour", id="topology"),
        pytest.param(ONE, "novice", "novice.colour", id="site"),
    ],
)
def test_an_unknown_key_is_refused(folder: Folder, name: str, table: str, key: str) -> None:
    line = 'colour = "red"\n'
    if table:
        folder.change(name, (f"[{table}]\n", f"[{table}]\n{line}"))
    else:
        folder.write(name, line + (folder.path / name).read_text(encoding="utf-8"))
    assert folder.refusal(name) == f"{key}: there is no such key"


@each_file
def test_an_unknown_table_is_refused(folder: Folder, name: str) -> None:
    whole = (folder.path / name).read_text(encoding="utf-8")
    folder.write(name, f"{whole}[novise]\n")
    assert folder.refusal(name) == "novise: there is no such key"


def test_nat_pmp_has_no_keys(folder: Folder) -> None:
    folder.write(BOX, f"{DEVICE}[nat_pmp]\nport = 5351\n")
    assert folder.refusal(BOX) == "nat_pmp.port: there is no such key"


def test_a_device_is_named_by_its_file_and_by_no_key_in_it(folder: Folder) -> None:
    """A name that would be ignored is a wrong one."""
    folder.change(BOX, ('title = "A box"', 'title = "A box"\nname = "crate"'))
    assert folder.refusal(BOX) == "name: there is no such key"


@pytest.mark.parametrize(
    ("name", "line", "key"),
    [
        (BOX, 'title = "A box"\n', "title"),
        (BOX, 'source = "a test"\n', "source"),
        (BOX, 'address = "10.1.1.1/24"\n', "lan.address"),
        (BOX, 'host = "10.1.1.2"\n', "lan.host"),
        (BOX, 'unsolicited = "drop"\n', "nat.unsolicited"),
        (BOX, "port = 80, ", "nat.forward[1].port"),
        (BOX, ", to_port = 8080", "nat.forward[1].to_port"),
        (BOX, "http_port = 5000\n", "upnp.http_port"),
        (BOX, '[lan]\naddress = "10.1.1.1/24"\nhost = "10.1.1.2"\n', "lan"),
        (FIREWALL, 'unsolicited = "drop"\n', "firewall.unsolicited"),
        (HOST_FIREWALL, 'unsolicited = "drop"\n', "host_firewall.unsolicited"),
        (
            HOST_FIREWALL,
            "opened_by_remote_assistance = true\n",
            "host_firewall.opened_by_remote_assistance",
        ),
        (PROXY, 'protocol = "http"\n', "proxy.protocol"),
        (PROXY, "port = 8080\n", "proxy.port"),
        (PROXY, '[lan]\naddress = "10.4.4.1/24"\nhost = "10.4.4.2"\n', "lan"),
        (INTERNET, 'router = "22.0.0.1/24"\n', "expert.router"),
        (INTERNET, 'site = "23.0.0.10"\n', "services.site"),
        (INTERNET, '[services]\nrouter = "23.0.0.1/24"\nsite = "23.0.0.10"\n', "services"),
    ],
)
def test_a_required_key_that_is_missing_is_named(
    folder: Folder, name: str, line: str, key: str
) -> None:
    folder.change(name, (line, ""))
    assert folder.refusal(name).startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("neighbour", "key"),
    [
        ('{ address = "10.1.1.7" }', "novice.neighbours[1].name"),
        ('{ name = "a" }', "novice.neighbours[1].address"),
        ('{ name = "a", address = "10.1.1.7", x = 1 }', "novice.neighbours[1].x"),
    ],
)
def test_a_neighbour_has_a_name_an_address_and_no_unknown_key(
    folder: Folder, neighbour: str, key: str
) -> None:
    refusal = folder.topology_refusal(f"{BEHIND_BOX}neighbours = [{neighbour}]")
    assert refusal.startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("link", "key"),
    [
        pytest.param(
            '{ lan = { address = "10.5.5.1/24", host = "10.5.5.2" } }', "device", id="none"
        ),
        pytest.param(
            '{ device = "box", lan = { address = "10.5.5.1/24", host = "10.5.5.2" }, x = 1 }',
            "x",
            id="unknown key",
        ),
        pytest.param(
            '{ device = "box", lan = { address = "10.5.5.1/24", hots = "10.5.5.2" } }',
            "lan.host",
            id="misspelt key",
        ),
        pytest.param(
            '{ device = "box", lan = { address = "10.5.5.1/24", host = "10.6.6.2" } }',
            "lan",
            id="address outside its subnet",
        ),
    ],
)
def test_a_wrong_override_in_a_chain_is_refused_at_its_own_key(
    folder: Folder, link: str, key: str
) -> None:
    refusal = folder.topology_refusal(f'[novice]\nchain = ["box", {link}]')
    assert refusal.startswith(f"novice.chain[2].{key}: ")
