"""What a NAT's class is called, and what a chain's class should be."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from harness.lab.nat_class import ADDRESS_DEPENDENT, NatClass, defined, filtering_of, mapping_of
from harness.lab.syns import Endpoint
from harness.topology.load import Library, default_folder
from harness.topology.model import Device, Filtering, Mapping, Nat, Unsolicited

INDEPENDENT = Mapping.ENDPOINT_INDEPENDENT
DEPENDENT = Mapping.ADDRESS_AND_PORT_DEPENDENT


def at(port: int, address: str = "80.100.10.2") -> Endpoint:
    return Endpoint(IPv4Address(address), port)


@pytest.mark.parametrize(
    ("by_peer", "by_other", "name"),
    [
        ((1, 1, 1), 1, INDEPENDENT),
        ((1, 1, 1), 2, ADDRESS_DEPENDENT),
        ((1, 2, 3), 4, DEPENDENT),
        ((1, 1, 2), 1, DEPENDENT),
    ],
)
def test_a_mapping_is_named_by_what_each_destination_sees(
    by_peer: tuple[int, ...], by_other: int, name: str
) -> None:
    assert mapping_of([at(port) for port in by_peer], at(by_other)) == name


def test_another_external_address_is_another_mapping() -> None:
    """RFC 4787 4.1 speaks of address and port."""
    assert mapping_of([at(1)] * 3, at(1, "80.100.10.3")) == ADDRESS_DEPENDENT


@pytest.mark.parametrize(
    ("to_peer", "to_others", "name"),
    [
        (True, True, Filtering.ENDPOINT_INDEPENDENT),
        (True, False, Filtering.ADDRESS_DEPENDENT),
        (False, False, Filtering.ADDRESS_AND_PORT_DEPENDENT),
        (False, True, None),
    ],
)
def test_a_filtering_is_named_by_who_gets_in(
    to_peer: bool, to_others: bool, name: Filtering | None
) -> None:
    assert filtering_of(to_peer, to_others) is name


def device(nat: Nat) -> Device:
    return project("nat").model_copy(update={"nat": nat})


def project(name: str) -> Device:
    return Library(default_folder()).devices[name]


def test_where_nothing_translates_there_is_no_class() -> None:
    assert defined([]) is None
    assert defined([project("firewall")]) is None


@pytest.mark.parametrize("filtering", Filtering)
def test_a_single_nat_should_be_what_its_definition_says(filtering: Filtering) -> None:
    nat = device(Nat(filtering=filtering, unsolicited=Unsolicited.DROP))
    assert defined([nat]) == NatClass(INDEPENDENT, filtering)


@pytest.mark.parametrize(
    ("one", "other", "strictest"),
    [
        (
            Filtering.ENDPOINT_INDEPENDENT,
            Filtering.ADDRESS_DEPENDENT,
            Filtering.ADDRESS_DEPENDENT,
        ),
        (
            Filtering.ADDRESS_AND_PORT_DEPENDENT,
            Filtering.ADDRESS_DEPENDENT,
            Filtering.ADDRESS_AND_PORT_DEPENDENT,
        ),
    ],
)
def test_a_chain_filters_as_its_strictest_in_either_order(
    one: Filtering, other: Filtering, strictest: Filtering
) -> None:
    nats = [device(Nat(filtering=each, unsolicited=Unsolicited.DROP)) for each in (one, other)]
    assert defined(nats) == defined(nats[::-1]) == NatClass(INDEPENDENT, strictest)


def test_one_symmetric_nat_makes_a_chain_symmetric() -> None:
    strict = NatClass(DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
    assert defined([project("nat-symmetric"), project("cgnat")]) == strict
    assert defined([project("nat"), project("nat-symmetric")]) == strict


def test_a_firewall_lets_nobody_in_to_an_open_nat() -> None:
    nat = device(Nat(filtering=Filtering.ENDPOINT_INDEPENDENT, unsolicited=Unsolicited.DROP))
    expected = NatClass(INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
    assert defined([nat, project("firewall")]) == expected


def test_a_class_is_said_in_the_words_of_the_rfc() -> None:
    assert str(NatClass(INDEPENDENT, Filtering.ADDRESS_DEPENDENT)) == (
        "endpoint-independent mapping, address-dependent filtering"
    )
    assert str(NatClass(ADDRESS_DEPENDENT, None)).endswith("irregular filtering")
