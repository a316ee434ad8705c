"""What the loader takes, and what it refuses with file, key and reason in one line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import combinations
from pathlib import Path

import pytest
from definitions import copy_of_project, project, project_topologies

from harness.assistance.people import Terms
from harness.errors import DefinitionError
from harness.kb import load_tables
from harness.runner.catalogue import article
from harness.topology.load import Library
from harness.topology.model import (
    Device,
    Filtering,
    HostFirewall,
    Mapping,
    Topology,
    chain_name,
)
from harness.words import Method, Role

BOX = "devices/box.toml"
FIREWALL = "devices/wall.toml"
HOST_FIREWALL = "devices/shield.toml"
PROXY = "devices/gate.toml"
INTERNET = "internet.toml"
ONE = "one.toml"

DEVICE = """
title = "A box"
source = "a test"
[lan]
address = "10.1.1.1/24"
host = "10.1.1.2"
[nat]
unsolicited = "drop"
forward = [{ port = 80, to_port = 8080 }]
[upnp]
http_port = 5000
"""
WALL = """
title = "A firewall"
source = "a test"
[firewall]
unsolicited = "drop"
"""
SHIELD = """
title = "A firewall on the host"
source = "a test"
[host_firewall]
unsolicited = "drop"
opened_by_remote_assistance = true
"""
GATE = """
title = "A proxy"
source = "a test"
[lan]
address = "10.4.4.1/24"
host = "10.4.4.2"
[proxy]
protocol = "http"
port = 8080
"""
NET = """
[novice]
router = "21.0.0.1/24"
site = "21.0.0.2"
routed = "24.0.0.0/23"
[expert]
router = "22.0.0.1/24"
site = "22.0.0.2"
routed = "25.0.0.0/16"
[services]
router = "23.0.0.1/24"
site = "23.0.0.10"
"""
TERMS = Terms(password="a test")
BEHIND_BOX = '[novice]\nchain = ["box"]\n'

Changes = tuple[str, str]


class Folder:
    """A topologies folder with a device of each kind beside the project's own.

    ``box`` is a NAT, ``wall`` a firewall, ``shield`` one on the host and ``gate`` a proxy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(BOX, DEVICE)
        self.write(FIREWALL, WALL)
        self.write(HOST_FIREWALL, SHIELD)
        self.write(PROXY, GATE)
        self.write(INTERNET, NET)
        self.write(ONE, BEHIND_BOX)

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(data)

    def change(self, name: str, *changes: Changes) -> None:
        """Replace text that is in the file."""
        text = (self.path / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is not in {name} once"
            text = text.replace(old, new)
        self.write(name, text)

    def device(self, name: str = "box") -> Device:
        return Library(self.path).devices[name]

    def topology(self, content: str | None = None) -> Topology:
        """Load ``one.toml``, with this content where one is given."""
        if content is not None:
            self.write(ONE, content)
        return Library(self.path).from_file(self.path / ONE)

    def refusal(self, name: str, load: Callable[[], object] | None = None) -> str:
        """Return what loading says about a file, after the file's path."""
        with pytest.raises(DefinitionError) as caught:
            (load or self.topology)()
        text = str(caught.value)
        assert text.startswith(f"{self.path / name}: ")
        assert len(text.splitlines()) == 1
        return text.removeprefix(f"{self.path / name}: ")

    def topology_refusal(self, content: str) -> str:
        """Return what loading says about ``one.toml`` with this content."""
        return self.refusal(ONE, lambda: self.topology(content))


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
        (BOX, "port = 80, ", "nat.forward.0.port"),
        (BOX, ", to_port = 8080", "nat.forward.0.to_port"),
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


# Kinds

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


@pytest.mark.parametrize(
    ("neighbour", "key"),
    [
        ('{ address = "10.1.1.7" }', "novice.neighbours.0.name"),
        ('{ name = "a" }', "novice.neighbours.0.address"),
        ('{ name = "a", address = "10.1.1.7", x = 1 }', "novice.neighbours.0.x"),
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
    assert refusal.startswith(f"novice.chain.1.{key}: ")


# Values


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
            "novice.neighbours.0.stranger",
        ),
    ],
)
def test_a_port_of_a_topology_is_in_range(folder: Folder, content: str, key: str) -> None:
    assert folder.topology_refusal(content).startswith(f"{key}: ")


@pytest.mark.parametrize("key", ["port = 80", "to_port = 8080"])
def test_a_port_of_a_forward_is_in_range(folder: Folder, key: str) -> None:
    name = key.partition(" ")[0]
    folder.change(BOX, (f" {key}", f" {name} = 65536"))
    assert folder.refusal(BOX).startswith(f"nat.forward.0.{name}: ")


@pytest.mark.parametrize("key", ["inbound", "outbound"])
def test_a_port_that_a_firewall_opens_is_in_range(folder: Folder, key: str) -> None:
    folder.change(FIREWALL, ('"drop"', f'"drop"\n{key} = [25, 65536]'))
    assert folder.refusal(FIREWALL).startswith(f"firewall.{key}.1: ")


@pytest.mark.parametrize(("line", "key"), [("port", "port"), ("connect_ports", "connect_ports.1")])
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
    assert re.match(r"expert\.chain\.1(\.device)?: ", refusal)


@pytest.mark.parametrize(
    ("novice", "expert", "side"), [(("No",), (), "novice"), ((), ("No",), "expert")]
)
def test_bad_characters_in_a_chain_of_the_command_line_are_refused_by_side(
    novice: tuple[str, ...], expert: tuple[str, ...], side: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        project().from_chains(novice, expert)
    assert re.search(rf": {side}\.chain\.0(\.device)?: ", str(caught.value))


def test_a_neighbour_with_a_name_that_no_node_can_have_is_refused(folder: Folder) -> None:
    refusal = folder.topology_refusal(
        BEHIND_BOX + 'neighbours = [{ name = "A B", address = "10.1.1.7" }]'
    )
    assert refusal.startswith("novice.neighbours.0.name: ")


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


def test_the_services_have_no_use_for_a_routed_block(folder: Folder) -> None:
    text = (folder.path / INTERNET).read_text(encoding="utf-8")
    head, services = text.split("[services]\n")
    folder.write(INTERNET, f'{head}[services]\nrouted = "44.0.0.0/16"\n{services}')
    assert folder.refusal(INTERNET).startswith("services.routed: ")


def test_only_the_novice_listens_where_its_ticket_does_not_say(folder: Folder) -> None:
    refused = folder.topology_refusal("[expert]\nlistens = 3390\n")
    assert refused.startswith("expert.listens: ")


def test_a_port_is_forwarded_once(folder: Folder) -> None:
    one = "{ port = 80, to_port = 8080 }"
    folder.change(BOX, (one, f"{one}, {one}"))
    assert folder.refusal(BOX) == "nat: forward: port 80 is forwarded twice"


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


# Routed blocks


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


# What is taken


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


def test_neighbours_of_the_two_sites_may_share_name_and_address(folder: Folder) -> None:
    content = _neighbours(("a", "10.1.1.7"))
    topology = folder.topology(f"{content}\n{content.replace('novice', 'expert')}")
    assert topology.novice.neighbours == topology.expert.neighbours


# The project's own definitions

each_topology = pytest.mark.parametrize("path", project_topologies(), ids=lambda path: path.stem)
each_device = pytest.mark.parametrize("name", sorted(project().devices))


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
