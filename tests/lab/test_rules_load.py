"""The kernel takes every generated ruleset, and keeps what the daemons need of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from worlds import in_world

from harness.lab.ruleset import (
    FORWARD_CHAIN,
    POSTROUTING_CHAIN,
    PREROUTING_CHAIN,
    TABLE,
    ruleset,
)
from harness.runtime import nftables
from harness.runtime.netns import NetNs
from harness.topology.load import Library, default_folder
from harness.topology.model import Device, Forward, Nat, Unsolicited
from harness.topology.plan import plan

FORWARDS = (Forward(port=3389, to_port=3389), Forward(port=8080, to_port=80))


def load(rules: str) -> tuple[str, str]:
    """Load a ruleset in a new namespace; return what was refused, and what is loaded then."""
    with NetNs.create().entered():
        try:
            nftables.load(rules)
        except nftables.RulesetError as error:
            return str(error), nftables.listing()
        return "", nftables.listing()


def load_all(rulesets: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Load each ruleset by itself in a sealed world."""
    found = in_world(lambda _: {name: load(rules) for name, rules in rulesets.items()})
    return {name: (refused, listing) for name, (refused, listing) in found.items()}


def variants(device: Device) -> dict[str, Device]:
    """Return a device, and what it would be with other values of each axis of its NAT."""
    nats = {
        f"{device.name}, {policy}, {len(forward)} forwards": Nat(
            unsolicited=policy, forward=forward
        )
        for policy in Unsolicited
        for forward in ((), FORWARDS)
    }
    return {name: device.model_copy(update={"nat": nat}) for name, nat in nats.items()}


def all_rulesets() -> dict[str, str]:
    """Return the rules of every node of a lab with each of the project's devices at one site."""
    library = Library(default_folder())
    found: dict[str, str] = {}
    for device in library.devices.values():
        for name, variant in {device.name: device, **variants(device)}.items():
            topology = library.from_chains((device.name,), ())
            novice = topology.novice.model_copy(update={"chain": (variant,)})
            lab = plan(topology.model_copy(update={"novice": novice}))
            found |= {f"{node.name} ({name})": ruleset(node) for node in lab.nodes}
    return found


@pytest.fixture(scope="module")
def loaded() -> dict[str, tuple[str, str]]:
    return load_all(all_rulesets())


def chain(listing: str, name: str) -> str | None:
    """Return the rules of a chain of the device's table; None where there is no such chain."""
    table = listing.partition(f"table inet {TABLE} {{")[2].partition("\n}")[0]
    match = re.search(rf"\n\tchain {name} \{{\n(.*?)\t\}}", table, re.DOTALL)
    return match[1] if match else None


def test_the_kernel_takes_the_rules_of_every_node(loaded: dict[str, tuple[str, str]]) -> None:
    assert {name: refused for name, (refused, _) in loaded.items() if refused} == {}


def test_every_node_s_rules_are_there_once_they_are_loaded(
    loaded: dict[str, tuple[str, str]],
) -> None:
    wanted = {name: re.findall(r"^table .*", rules, re.M) for name, rules in all_rulesets().items()}
    there = {name: re.findall(r"^table .*", listing, re.M) for name, (_, listing) in loaded.items()}
    assert there == wanted


def test_a_device_s_mapped_chains_are_there_and_empty(loaded: dict[str, tuple[str, str]]) -> None:
    listings = [listing for _, listing in loaded.values() if f"table inet {TABLE}" in listing]
    assert listings
    for listing in listings:
        for name in (FORWARD_CHAIN, PREROUTING_CHAIN, POSTROUTING_CHAIN):
            assert chain(listing, name) == ""


def test_a_wrong_rule_is_refused_and_nothing_of_its_ruleset_is_loaded() -> None:
    """The check above can fail."""
    good = all_rulesets()["novice.nat (nat)"]
    assert good.count("masquerade") == 1
    found = load_all({"good": good, "bad": good.replace("masquerade", "masquerayed")})
    assert found["good"][0] == ""
    refused, listing = found["bad"]
    assert "syntax error" in refused
    assert listing == ""
