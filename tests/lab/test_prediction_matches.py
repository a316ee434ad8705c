"""What the model predicts is what real TCP does, and a "No" ends at the node that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import run

from harness.prediction import Prediction, predict
from harness.topology.load import Library, default_folder
from harness.topology.model import Topology
from harness.words import Answer, Method

LIBRARY = Library(default_folder())

PAIRS = [
    "direct+direct",
    "firewall+firewall",
    "firewall-open+nat",
    "firewall-strict+nat",
    "nat-forwarded+nat",
    "nat-symmetric+nat-symmetric",
    "cgnat+direct",
    "upnp-nat,cgnat+nat",
    "upnp-nat,firewall-open+firewall",
    "firewall,nat+nat,firewall",
    "firewall,nat-forwarded+nat",
    "firewall-open,nat-forwarded+nat",
    "icf,upnp-nat,cgnat+icf",
    "socks-proxy+http-proxy",
    "me-ics,upnp-nat+xp-ics",
    "nat+xp-ics,nat",
]

FILES = {
    "the novice listens elsewhere": """
[novice]
listens = 3390
""",
    "a stranger has the novice's address": """
[novice]
chain = ["nat"]

[expert]
chain = [{device = "upnp-nat", lan = {address = "192.168.1.1/24", host = "192.168.1.50"}}]

[[expert.neighbours]]
name = "laptop"
address = "192.168.1.100"
stranger = 3389
""",
    "nobody on the expert's LAN has the novice's address": """
[novice]
chain = ["nat"]

[expert]
chain = ["nat"]
address = "192.168.1.7"
""",
    "nobody on the expert's outer LAN has the novice's address": """
[novice]
chain = ["nat"]
address = "192.168.1.7"

[expert]
chain = ["xp-ics", "nat"]
""",
}


def chain(devices: str) -> tuple[str, ...]:
    """Return the devices of a chain as the command line has it."""
    return tuple(devices.split(",")) if devices != "direct" else ()


def dialled(prediction: Prediction) -> set[tuple[str, str, str]]:
    """Return who dials which address and at which node the SYN ends."""
    return {(each.dialler.value, str(each.address), each.node) for each in prediction.reaches}


def compare(topology: Topology, folder: Path, *arguments: str | Path) -> set[Method]:
    """Run a topology and hold each attempt against its prediction; return the methods."""
    scenarios = run(folder / "results", *arguments).results.scenarios
    for scenario in scenarios:
        assert scenario.observed is not None, scenario.why
        predicted = predict(topology, scenario.method)
        assert scenario.observed.answer is predicted.answer, scenario.id
        seen = {
            (each.dialler.value, each.address, each.ended_at) for each in scenario.observed.attempts
        }
        assert seen == dialled(predicted), scenario.id
        if predicted.answer is Answer.NO:
            telling = next(each for each in predicted.reaches if each.why == predicted.why)
            assert telling.node in {each.ended_at for each in scenario.observed.attempts}
    return {each.method for each in scenarios}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_ends_as_predicted(pair: str, tmp_path: Path) -> None:
    novice, expert = pair.split("+")
    topology = LIBRARY.from_chains(chain(novice), chain(expert))
    compared = compare(topology, tmp_path, "--novice", novice, "--expert", expert)
    assert compared == set(Method)


@pytest.mark.parametrize("name", FILES)
def test_a_topology_file_ends_as_predicted(name: str, tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(FILES[name], encoding="utf-8")
    compared = compare(LIBRARY.from_file(file), tmp_path, "--topology", file)
    assert compared == set(Method)
