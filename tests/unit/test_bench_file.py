"""A bench file says which real routers stand where; a wrong one is refused with file and key."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from harness.errors import DefinitionError, ExitCode
from harness.topology.bench import Addressing, Bench, Claims, Lan, Nic, Wan, bench_of, load_bench

ROUTER = """\
[[router]]
name = "brand-x"
model = "Brand X 7590"
firmware = "8.02"
lan_nic = "enp3s0"
wan_nic = "enp4s0"
claims = "upnp-nat"
"""
SECOND = """\
[[router]]
name = "other"
model = "Other"
firmware = "1.0"
lan_nic = {name = "trunk0", vlan = 10}
wan_nic = {name = "trunk0", vlan = 20}
claims = "nat"
power_cycle = ["/usr/bin/socket-switch", "--port", "3"]

[router.wan]
addressing = "static"
address = "100.64.7.2"
kind = "cgnat"

[router.lan]
address = "192.168.5.20/24"
gateway = "192.168.5.1"

[patience]
link = 90
boot = 600.5
"""


def load(folder: Path, text: str, devices: tuple[str, ...] = ()) -> Bench:
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return load_bench(path, devices)


def refusal(folder: Path, text: str, devices: tuple[str, ...] = ()) -> str:
    """Return what is said of a wrong file, without its path."""
    with pytest.raises(DefinitionError) as refused:
        load(folder, text, devices)
    said = str(refused.value)
    assert "\n" not in said
    assert said.startswith(f"{folder / 'bench.toml'}: ")
    assert refused.value.exit_code is ExitCode.USAGE
    return said.removeprefix(f"{folder / 'bench.toml'}: ")


def test_one_router_needs_no_more_than_what_it_is_and_where_it_is_plugged_in(
    tmp_path: Path,
) -> None:
    bench = load(tmp_path, ROUTER)
    (router,) = bench.routers
    assert (router.name, router.model, router.firmware) == ("brand-x", "Brand X 7590", "8.02")
    assert (router.lan_nic, router.wan_nic) == (Nic(name="enp3s0"), Nic(name="enp4s0"))
    assert router.claims is Claims.UPNP_NAT
    assert router.wan == Wan(addressing=Addressing.DHCP, address=None, kind="public")
    assert router.lan == Lan(address=None, gateway=None)
    assert router.power_cycle is None
    patience = bench.patience
    waits = (patience.link, patience.lease, patience.boot, patience.answer)
    assert waits == (45.0, 120.0, 300.0, 6.0)


def test_two_routers_are_read_with_all_that_can_be_said_of_them(tmp_path: Path) -> None:
    bench = load(tmp_path, ROUTER + SECOND)
    _, router = bench.routers
    assert router.lan_nic == Nic(name="trunk0", vlan=10)
    assert str(router.wan_nic) == "trunk0 VLAN 20"
    assert router.claims is Claims.NAT
    assert router.wan.address == IPv4Address("100.64.7.2")
    assert router.lan.address == IPv4Interface("192.168.5.20/24")
    assert router.lan.gateway == IPv4Address("192.168.5.1")
    assert router.power_cycle == ("/usr/bin/socket-switch", "--port", "3")
    assert (bench.patience.link, bench.patience.boot) == (90.0, 600.5)


def test_the_bench_of_two_nics_is_what_a_file_with_one_router_gives(tmp_path: Path) -> None:
    bench = bench_of("enp3s0", "enp4s0", Claims.UPNP_NAT, "Brand X 7590", "8.02")
    written = load(tmp_path, ROUTER.replace("brand-x", "gear"))
    assert bench == written


def test_the_same_nic_for_both_sides_is_refused_without_a_file() -> None:
    with pytest.raises(DefinitionError, match="enp3s0 is lan_nic of gear and wan_nic of gear"):
        bench_of("enp3s0", "enp3s0", Claims.NAT, "x", "1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"brand-x"', '"Brand_X"', "router[1].name: 'Brand_X': a router's name is 1 to 11 of a-z"),
        ('"brand-x"', '"abcdefghijkl"', "router[1].name: 'abcdefghijkl': a router's name is"),
        ('"8.02"', '""', "router[1].firmware: "),
        ('"8.02"', '"8\\u0007"', "router[1].firmware: write it on one line"),
        ('"8.02"', "8.02", "router[1].firmware: a string is due here"),
        ('lan_nic = "enp3s0"\n', "", "router[1].lan_nic: this key is missing"),
        ('"enp3s0"', '"enp3s0/1"', "router[1].lan_nic.name: 'enp3s0/1' is no name of an interface"),
        ('"enp3s0"', '"enp 3"', "router[1].lan_nic.name: 'enp 3' is no name of an interface"),
        ('"enp3s0"', '""', "router[1].lan_nic.name: '' is no name of an interface"),
        ('"enp3s0"', '"a234567890123456"', "router[1].lan_nic.name: 'a234567890123456' is no"),
        ('"enp3s0"', '"ééééééééa"', "router[1].lan_nic.name: 'ééééééééa' is no name"),
        ('"enp3s0"', '{name = "t", vlan = 0}', "router[1].lan_nic.vlan: "),
        ('"enp3s0"', '{name = "t", vlan = 4095}', "router[1].lan_nic.vlan: "),
        ('"enp3s0"', '{name = "t", vlan = "4"}', "router[1].lan_nic.vlan: "),
        ('"enp3s0"', '{name = "t", tag = 4}', "router[1].lan_nic.tag: there is no such key"),
        ('"enp3s0"', "3", "router[1].lan_nic: a table is due here"),
        ('"enp4s0"', '"enp3s0"', "enp3s0 is lan_nic of brand-x and wan_nic of brand-x: each needs"),
        ('"upnp-nat"', '"upnp"', "router[1].claims: "),
        ("claims", "claim", "router[1].claims: this key is missing"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert refusal(tmp_path, ROUTER.replace(old, new)).startswith(said)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            '[router.wan]\naddressing = "pppoe"',
            "router[1].wan.addressing: pppoe is not built yet: use dhcp or static",
        ),
        ('[router.wan]\naddressing = "ppp"', "router[1].wan.addressing: "),
        ('[router.wan]\naddressing = "static"', "router[1].wan: address: static needs the address"),
        (
            '[router.wan]\naddress = "21.0.0.2"',
            "router[1].wan: address: the router is given one by DHCP",
        ),
        ('[router.wan]\nkind = "reserved"', "router[1].wan.kind: "),
        (
            '[router.wan]\naddressing = "static"\naddress = "203.0.113.5"',
            "router[1].wan: address: 203.0.113.5 is not public",
        ),
        (
            '[router.wan]\naddressing = "static"\nkind = "cgnat"\naddress = "10.0.0.5"',
            "router[1].wan: address: 10.0.0.5 is not cgnat",
        ),
        (
            '[router.wan]\naddressing = "static"\nkind = "private"\naddress = "100.64.0.5"',
            "router[1].wan: address: 100.64.0.5 is not private",
        ),
        (
            '[router.lan]\naddress = "192.168.1.2/24"',
            "router[1].lan: address and gateway go together",
        ),
        ('[router.lan]\ngateway = "192.168.1.1"', "router[1].lan: address and gateway go together"),
        (
            '[router.lan]\naddress = "192.168.1.2/24"\ngateway = "192.168.2.1"',
            "router[1].lan: gateway 192.168.2.1 is outside 192.168.1.0/24",
        ),
        (
            '[router.lan]\naddress = "192.168.1.1/24"\ngateway = "192.168.1.1"',
            "router[1].lan: address 192.168.1.1 is the router's own",
        ),
        (
            '[router.lan]\naddress = "192.168.1.255/24"\ngateway = "192.168.1.1"',
            "router[1].lan: address 192.168.1.255 is not a host",
        ),
        ("power_cycle = []", "router[1].power_cycle: "),
        ('power_cycle = "off"', "router[1].power_cycle: an array is due here"),
        ("[patience]\nlease = 0", "patience.lease: "),
        ("[patience]\nlease = inf", "patience.lease: "),
        ('[patience]\nlease = "2 min"', "patience.lease: "),
        ("[patience]\nsleep = 3", "patience.sleep: there is no such key"),
        ("[[routers]]\n", "routers: there is no such key"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, said: str) -> None:
    assert refusal(tmp_path, f"{ROUTER}{table}\n").startswith(said)


def test_a_nic_of_one_router_is_not_the_others(tmp_path: Path) -> None:
    other = ROUTER.replace("brand-x", "other").replace("enp4s0", "enp5s0")
    said = refusal(tmp_path, ROUTER + other)
    assert said.startswith("enp3s0 is lan_nic of brand-x and lan_nic of other: each needs a NIC")


def test_two_routers_have_two_names(tmp_path: Path) -> None:
    other = ROUTER.replace("enp3s0", "enp5s0").replace("enp4s0", "enp6s0")
    assert refusal(tmp_path, ROUTER + other).startswith("two routers are named brand-x")


def test_a_bench_has_one_router_or_two(tmp_path: Path) -> None:
    third = ROUTER.replace("brand-x", "third").replace("enp", "eth")
    assert refusal(tmp_path, ROUTER + SECOND.partition("[patience]")[0] + third).startswith(
        "router: "
    )
    assert refusal(tmp_path, "") == "router: this key is missing"


def test_a_router_has_not_the_name_of_a_device_of_the_project(tmp_path: Path) -> None:
    said = refusal(tmp_path, ROUTER, devices=("nat", "brand-x"))
    assert said.startswith("router[1].name: brand-x is one of the project's own devices")


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    assert "line 1" in refusal(tmp_path, "[[router]\n")
    with pytest.raises(DefinitionError, match=r"none\.toml: No such file or directory"):
        load_bench(tmp_path / "none.toml")
