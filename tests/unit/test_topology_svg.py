"""A topology is drawn with its sites, devices and addresses, and where a dial ended."""

from __future__ import annotations

import re
from pathlib import Path

from factories import attempt, observed, scenario

from harness.report.causes import cause_of
from harness.report.topology_svg import topology_svg
from harness.topology.load import Library, default_folder
from harness.topology.model import Gear


def test_the_topology_names_devices_addresses_and_the_end() -> None:
    topology = Library(default_folder()).from_chains(("nat",), ())
    result = scenario(
        "file", "nat", "direct", observed("no", attempt(), attempt(ended_at="novice"))
    )
    drawn = topology_svg(topology, result.observed, cause_of(result, topology, ()))
    for said in ("Non-UPnP NAT", "lan 192.168.1.1/24", "wan 80.100.10.2/24"):
        assert said in drawn
    assert drawn.count("\N{BALLOT X} decided here") == 1
    assert drawn.count("\N{MIDDLE DOT} a dial ended here") == 1
    assert topology_svg(topology, None).count("ended here") == 0


def test_a_firewall_on_the_host_is_drawn_with_its_host() -> None:
    drawn = topology_svg(Library(default_folder()).from_chains(("icf",), ()), None)
    assert texts(drawn)[:3] == ["Novice", "with Windows XP", "Internet Connection"]


def test_a_neighbour_is_drawn_below_its_host(tmp_path: Path) -> None:
    file = tmp_path / "neighbour.toml"
    neighbour = '[[novice.neighbours]]\nname = "printer"\naddress = "192.168.1.9"\n'
    file.write_text(f'[novice]\nchain = ["nat"]\n{neighbour}', encoding="utf-8")
    drawn = topology_svg(Library(default_folder()).from_file(file), None)
    titles = re.findall(r'<text class="title" x="(\d+)" y="(\d+)">(\w+)', drawn)
    at = {name: (int(x), int(y)) for x, y, name in titles}
    assert at["Printer"][0] == at["Novice"][0]
    assert at["Printer"][1] > at["Novice"][1]


def test_a_real_router_is_drawn_by_its_model_and_by_its_own_name() -> None:
    library = Library(default_folder())
    made = Gear(model="X1", firmware="1.0", claims="upnp-nat")
    facts = {"name": "acme", "title": "X1, firmware 1.0", "gear": made}
    router = library.devices["upnp-nat"].model_copy(update=facts)
    around = library.having([router], library.internet)
    drawn = texts(topology_svg(around.from_chains(("acme",), ()), None))
    assert "X1, firmware 1.0" in drawn
    assert "novice.acme" in drawn
    assert "Acme" not in drawn


def texts(drawing: str) -> list[str]:
    return re.findall("<text[^>]*>(.*?)</text>", drawing)
