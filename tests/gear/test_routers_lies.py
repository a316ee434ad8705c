"""Each lie about mapping is told as it is meant, beside what the router does."""

from __future__ import annotations

import pytest
from reaching import RDP, Plug, gets_in, still_gets_in
from routers import Lie
from routers.table import WRONG_ADDRESS

pytest_plugins = ["plugging"]
pytestmark = pytest.mark.usefixtures("root")


def test_without_a_lie_the_gateway_is_honest(lying: Plug) -> None:
    place = lying(Lie.NONE, 2)
    first, second = place.hosts
    address, igd = place.wan_address(), first.igd()
    assert first.call(igd.externalipaddress) == str(address)
    first.map(igd, RDP, RDP, 3600)
    assert gets_in(place, first, RDP, address)
    others = second.igd()
    with pytest.raises(Exception, match="ConflictInMappingEntry"):
        second.map(others, RDP, RDP)
    first.call(igd.deleteportmapping, RDP, "TCP")
    assert not gets_in(place, first, RDP, address)
    with pytest.raises(Exception, match="NoSuchEntryInArray"):
        first.call(igd.deleteportmapping, RDP, "TCP")
    first.map(igd, RDP, RDP, 2)
    assert gets_in(place, first, RDP, address)
    assert not still_gets_in(place, address), "the lease of 2 s did not end"
    assert first.call(igd.getspecificportmapping, RDP, "TCP") is None


def test_a_wrong_address_is_told_and_the_mapping_is_real(lying: Plug) -> None:
    place = lying(Lie.WRONG_ADDRESS)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    assert host.call(igd.externalipaddress) == str(WRONG_ADDRESS) != str(address)
    host.map(igd, RDP, RDP, 3600)
    assert gets_in(place, host, RDP, address)


def test_leases_are_refused_and_a_permanent_mapping_is_real(lying: Plug) -> None:
    place = lying(Lie.PERMANENT_ONLY)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    with pytest.raises(Exception, match="OnlyPermanentLeasesSupported"):
        host.map(igd, RDP, RDP, 3600)
    assert not gets_in(place, host, RDP, address)
    host.map(igd, RDP, RDP, 0)
    assert gets_in(place, host, RDP, address)


@pytest.mark.parametrize(
    ("lie", "fault"),
    [(Lie.ALWAYS_CONFLICT, "ConflictInMappingEntry"), (Lie.ACTION_FAILED, "Action Failed")],
)
def test_every_mapping_is_refused(lying: Plug, lie: Lie, fault: str) -> None:
    place = lying(lie)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    for port, lease in ((RDP, 3600), (RDP, 0), (4003, 0)):
        with pytest.raises(Exception, match=fault):
            host.map(igd, port, RDP, lease)
    assert not gets_in(place, host, RDP, address)


def test_a_mapping_is_accepted_and_read_back_and_forwards_nothing(lying: Plug) -> None:
    place = lying(Lie.FORWARDS_NOTHING)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    host.map(igd, RDP, RDP, 3600)
    entry = host.call(igd.getspecificportmapping, RDP, "TCP")
    assert entry[:2] == (str(host.address), RDP)
    assert not gets_in(place, host, RDP, address)


def test_a_second_host_steals_the_mapping_of_the_first(lying: Plug) -> None:
    place = lying(Lie.STEALS, 2)
    (first, second), address = place.hosts, place.wan_address()
    first.map(first.igd(), RDP, RDP, 3600)
    assert gets_in(place, first, RDP, address)
    igd = second.igd()
    second.map(igd, RDP, RDP, 3600)
    assert gets_in(place, second, RDP, address)
    entry = second.call(igd.getspecificportmapping, RDP, "TCP")
    assert entry[:2] == (str(second.address), RDP)
