"""How NATs treat TCP, told from measurements, in the words of RFC 4787 and RFC 5382.

A chain of boxes is measured as a whole, as the internet sees it. On each axis it is as strict as
its strictest box: a SYN has to pass them all, and a port that one changes stays changed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.lab.syns import Endpoint
from harness.topology.model import Device, Filtering, Mapping

ADDRESS_DEPENDENT = "address-dependent"
"""The mapping of RFC 4787 4.1 that no device here has: it may be measured nevertheless."""

LEAST_PEER_PORTS = 3
"""Ports of one peer that are needed to tell a mapping: two ports chosen at random are the same once
in 64 thousand times, three once in four thousand million."""


@dataclass(frozen=True)
class NatClass:
    """How a chain maps and filters; a filtering that is None is none of RFC 4787 5."""

    mapping: str
    filtering: Filtering | None

    def __str__(self) -> str:
        """Name the class."""
        return f"{self.mapping} mapping, {self.filtering or 'irregular'} filtering"


def defined(boxes: Collection[Device]) -> NatClass | None:
    """Return what a chain of NATs and firewalls should be; None where nothing translates.

    A firewall lets nobody in but the peer itself, so it filters by address and port.
    """
    nats = [box.nat for box in boxes if box.nat is not None]
    if not nats:
        return None
    independent = all(nat.mapping is Mapping.ENDPOINT_INDEPENDENT for nat in nats)
    filterings = [nat.filtering for nat in nats]
    if any(box.firewall is not None for box in boxes):
        filterings.append(Filtering.ADDRESS_AND_PORT_DEPENDENT)
    mapping = Mapping.ENDPOINT_INDEPENDENT if independent else Mapping.ADDRESS_AND_PORT_DEPENDENT
    return NatClass(mapping.value, max(filterings, key=_LAX_TO_STRICT.index))


def mapping_of(by_peer: Sequence[Endpoint], by_other: Endpoint) -> str:
    """Name the mapping (RFC 4787 4.1, RFC 5382 REQ-1) of one source port of a host.

    ``by_peer`` is its external endpoint as several ports of one address saw it, ``by_other`` as
    another address did.
    """
    if len({*by_peer, by_other}) == 1:
        return Mapping.ENDPOINT_INDEPENDENT.value
    if len(set(by_peer)) == 1:
        return ADDRESS_DEPENDENT
    return Mapping.ADDRESS_AND_PORT_DEPENDENT.value


def filtering_of(to_peer: bool, to_others: bool) -> Filtering | None:
    """Name the filtering (RFC 4787 5, RFC 5382 REQ-3) of a port that was mapped for one peer.

    ``to_peer`` says whether a SYN gets in from another port of the peer's address, ``to_others``
    whether one does from another address. None where only the latter does: no NAT should.
    """
    return _FILTERINGS.get((to_peer, to_others))


_LAX_TO_STRICT = (
    Filtering.ENDPOINT_INDEPENDENT,
    Filtering.ADDRESS_DEPENDENT,
    Filtering.ADDRESS_AND_PORT_DEPENDENT,
)
_FILTERINGS = {
    (True, True): Filtering.ENDPOINT_INDEPENDENT,
    (True, False): Filtering.ADDRESS_DEPENDENT,
    (False, False): Filtering.ADDRESS_AND_PORT_DEPENDENT,
}
