"""Takes NICs for as long as a ``with`` block lasts, and gives them back as they were.

The command's process does this in the machine's own network namespace, before the sealed world is
forked: the world inherits the descriptors of the namespaces that the NICs were put in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from harness.runtime.nics.examine import examined
from harness.runtime.nics.facts import Wanted
from harness.runtime.nics.holding import Place
from harness.runtime.nics.keeper import kept

__all__ = ["Place", "taken"]

Nic = TypeVar("Nic", bound=Wanted)


@contextmanager
def taken(places: Mapping[Nic, Place], move: bool) -> Iterator[None]:
    """Have each NIC in its place while the block lasts; nothing is done when one is refused.

    In the place is an interface of the place's name with the NIC's MAC address, down and without
    addresses. Without ``move`` it is a macvlan in passthru mode on the NIC, or the NIC's VLAN: the
    NIC stays where it is, is set up if it was down, and says nothing of its own meanwhile. With
    ``move`` it is the NIC itself. What is on the NIC beside its link, its addresses, its routes and
    its sysctls is lost by moving: queueing disciplines, permanent neighbours, multicast groups.

    The NICs are given back when the block is left, and also when this process ends in any other
    way: by a signal, SIGKILL included.

    Raises:
        MachineError: a NIC may not or cannot be taken; all are as they were.
        RunError: a NIC could not be given back as it was; the text names what is not.
    """
    found = examined(places.keys(), move=move)
    with kept(found, tuple(places.items()), move=move):
        yield
