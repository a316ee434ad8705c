"""The kernel takes every generated ruleset, and keeps what the daemons need of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Table

import pytest
from worlds import in_world

from harness.lab.ruleset import (
    FORWARD_CHAIN,
    POSTROUTING_CHAIN,
    PREROUTING_CHAIN,
    TABLE,
    closing,
    opening,
    ruleset,
)
from harness.runtime import nftables
from harness.runtime.netns import NetNs
from harness.topology.load import Library, default_folder
from harness.topology.model import (
    Device,
    Filtering,
    Firewall,
    Forward,
    Mapping,
    Nat,
    Unsolicited,
)
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


def load_all(rulesets: Table[str, str]) -> dict[str, tuple[str, str]]:
    """Load each ruleset by itself in a sealed world."""
    found = in_world(lambda _: {name: load(rules) for name, rules in rulesets.items()})
    return {name: (refused, listing) for name, (refused, listing) in found.items()}


def axes() -> Iterator[tuple[Mapping, Filtering]]:
    """Yield what a NAT may be."""
    yield Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT
    for filtering in Filtering:
        yield Mapping.ENDPOINT_INDEPENDENT, filtering


def variants(device: Device) -> dict[str, Device]:
    """Return what a device would be with other values of each key of its kind."""
    found: dict[str, dict[str, object]] = {}
    for policy in Unsolicited:
        if device.nat is not None:
            found |= {
                f"{mapping}, {filtering}, {policy}, {len(forward)} forwards": {
                    "nat": Nat(
                        mapping=mapping, filtering=filtering, unsolicited=policy, forward=forward
                    )
                }
                for mapping, filtering in axes()
                for forward in ((), FORWARDS)
            }
        elif device.firewall is not None:
            found |= {
                f"{policy}, in {inbound}, out {outbound}": {
                    "firewall": Firewall(unsolicited=policy, inbound=inbound, outbound=outbound)
                }
                for inbound in ((), (3389,), (3389, 80))
                for outbound in (None, (), (25, 3389))
            }
        elif device.host_firewall is not None:
            update = {"unsolicited": policy}
            found[policy] = {"host_firewall": device.host_firewall.model_copy(update=update)}
    return {
        f"{device.name}, {name}": device.model_copy(update=update) for name, update in found.items()
    }


def all_rulesets() -> dict[str, str]:
    """Return the rules of every node of a lab with each of the project's devices at one site."""
    library = Library(default_folder())
    found: dict[str, str] = {}
    for device in library.devices.values():
        topology = library.from_chains((device.name,), ())
        (own,) = topology.novice.chain
        for name, variant in {device.name: own, **variants(own)}.items():
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


def test_a_nat_s_mapped_chains_are_there_and_empty_and_no_other_kind_has_them(
    loaded: dict[str, tuple[str, str]],
) -> None:
    rules = all_rulesets()
    nats = {name for name, text in rules.items() if "masquerade" in text}
    assert nats
    for name, (_, listing) in loaded.items():
        wanted = "" if name in nats else None
        for mapped in (FORWARD_CHAIN, PREROUTING_CHAIN, POSTROUTING_CHAIN):
            assert chain(listing, mapped) == wanted, name


def test_every_log_prefix_is_loaded_as_it_was_written(loaded: dict[str, tuple[str, str]]) -> None:
    """A prefix that the kernel cut or changed would name another reason."""
    for name, rules in all_rulesets().items():
        wanted = sorted(re.findall(r'prefix "([^"]*)"', rules))
        assert sorted(re.findall(r'prefix "([^"]*)"', loaded[name][1])) == wanted


# A host firewall's openings


def opened(listing: str) -> set[int]:
    """Return the ports that are open in a host firewall."""
    body = listing.partition("set opened {")[2].partition("}\n")[0]
    return {int(port) for port in re.findall(r"\d+", body.partition("elements = {")[2])}


def after(*commands: str) -> list[str]:
    """Load a host firewall's rules and then commands; return the listing after each of them."""
    rules = all_rulesets()["novice (icf)"]

    def work(_: object) -> list[str]:
        listings = []
        with NetNs.create().entered():
            for each in (rules, *commands):
                nftables.load(each)
                listings.append(nftables.listing())
        return listings

    return list(in_world(work))


def test_a_host_firewall_opens_a_port_and_closes_it_again() -> None:
    found = after(opening(3389), opening(3390), closing(3389), closing(3390))
    assert [opened(listing) for listing in found] == [set(), {3389}, {3389, 3390}, {3390}, set()]


def test_opening_a_port_twice_is_no_mistake() -> None:
    assert opened(after(opening(3389), opening(3389))[-1]) == {3389}


def test_opening_a_port_leaves_every_rule_as_it_was() -> None:
    before, then = after(opening(3389))
    assert chain(before, "input") == chain(then, "input")
    assert "tcp dport @opened accept" in (chain(then, "input") or "")


def test_a_wrong_rule_is_refused_and_nothing_of_its_ruleset_is_loaded() -> None:
    """The check above can fail."""
    good = all_rulesets()["novice.nat (nat)"]
    assert good.count("masquerade") == 1
    found = load_all({"good": good, "bad": good.replace("masquerade", "masquerayed")})
    assert found["good"][0] == ""
    refused, listing = found["bad"]
    assert "syntax error" in refused
    assert listing == ""
