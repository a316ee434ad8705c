"""Takes NICs by netlink and gives them back; :mod:`harness.runtime.nics.keeper` says when.

Two ways. *On* a NIC, which stays where it is: a macvlan in passthru mode, or one VLAN, is made
there with its other end directly in another namespace. *Moved*: the NIC itself goes there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from harness.errors import MachineError
from harness.runtime.netns import NetNs
from harness.runtime.nics.facts import Facts, Wanted
from harness.runtime.nics.owners import released_by_network_manager
from harness.runtime.nics.restore import restore
from harness.runtime.nics.settings import silence

# What the kernel answers where a macvlan, a bridge or the like has the NIC already.
_TAKEN_ALREADY = (errno.EINVAL, errno.EBUSY)


@dataclass(frozen=True)
class Place:
    """Where an interface goes and what it is called there; the caller holds the namespace open."""

    namespace: NetNs
    name: str


Pairs = Sequence[tuple[Wanted, Place]]
"""What is wanted, each with where it goes."""


@dataclass(frozen=True)
class _Far:
    """An interface of ours in another namespace, by its index there."""

    nic: str
    namespace: NetNs
    index: int


class Holding:
    """NICs of the caller's namespace, and what has been made of them so far."""

    def __init__(self, found: Mapping[str, Facts]) -> None:
        """Hold nothing yet; ``found`` are the facts to give each NIC back by."""
        self._found = found
        self._home = NetNs.of_process(os.getpid())
        self._netlink = IPRoute()
        self._put: list[_Far] = []
        self._moved: list[_Far] = []

    def take_on(self, places: Pairs) -> None:
        """Put a macvlan, or a VLAN, on each NIC; the NIC is set up and says nothing of its own.

        Raises:
            MachineError: the kernel refused; what was done until then is there to be given back.
        """
        for name, facts in self._found.items():
            try:
                silence(name)
                if not facts.up:
                    self._netlink.link("set", index=facts.index, state="up")
            except (OSError, NetlinkError) as error:
                raise MachineError(f"{name} could not be set up: {_words(error)}") from error
        for wanted, place in places:
            self._put.append(self._add(self._found[wanted.name], wanted.vlan, place))

    def move(self, places: Pairs) -> None:
        """Move each NIC itself, set down, under the place's name.

        Raises:
            MachineError: the kernel refused; what was done until then is there to be given back.
        """
        for wanted, place in places:
            facts = self._found[wanted.name]
            self._check_free(facts, place)
            try:
                self._netlink.link(
                    "set", index=facts.index, net_ns_fd=place.namespace.fd, ifname=place.name
                )
            except NetlinkError as error:
                raise MachineError(
                    f"{facts.name}: the kernel does not move it ({_words(error)}); leave --move out"
                ) from error
            self._moved.append(_Far(facts.name, place.namespace, _index(place)))

    def give_back(self) -> list[str]:
        """Give every NIC back as it was; return what could not be, one line each."""
        problems = []
        homes = {name: facts.index for name, facts in self._found.items()}
        for far in self._put:
            problems += self._delete(far)
        for far in self._moved:
            try:
                homes[far.nic] = self._fetch(far)
            except NetlinkError as error:
                del homes[far.nic]
                problems.append(f"{far.nic} {self._lost(far, error)}")
                continue
            problems += _released(far.nic)
        for name, index in homes.items():
            problems += restore(self._netlink, self._found[name], index)
        return problems

    def _add(self, facts: Facts, vlan: int | None, place: Place) -> _Far:
        kind = "macvlan" if vlan is None else "vlan"
        how = {"macvlan_mode": "passthru"} if vlan is None else {"vlan_id": vlan}
        try:
            self._netlink.link(
                "add",
                ifname=place.name,
                link=facts.index,
                net_ns_fd=place.namespace.fd,
                kind=kind,
                **how,
            )
        except NetlinkError as error:
            raise MachineError(_why_not(facts.name, kind, error)) from error
        return _Far(facts.name, place.namespace, _index(place))

    def _check_free(self, facts: Facts, place: Place) -> None:
        """Ask the kernel whether something stands on the NIC, be it in whatever namespace.

        A macvlan of another namespace, say a container's, is not seen from here, and it would be
        deleted when the NIC moves. Beside another one the kernel makes no passthru macvlan.
        """
        try:
            probe = self._add(facts, None, place)
        except MachineError as error:
            cause = error.__cause__
            if isinstance(cause, NetlinkError) and cause.code == errno.EOPNOTSUPP:
                return
            raise
        with probe.namespace.entered(), IPRoute() as netlink:
            netlink.link("del", index=probe.index)

    def _delete(self, far: _Far) -> list[str]:
        try:
            with far.namespace.entered(), IPRoute() as netlink:
                netlink.link("del", index=far.index)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                return [f"{far.nic}: what was put on it could not be removed: {_words(error)}"]
        return []

    def _fetch(self, far: _Far) -> int:
        """Move the NIC itself back under its name; return its index here, the old one if it can."""
        home = {"index": far.index, "net_ns_fd": self._home.fd, "ifname": far.nic}
        with far.namespace.entered(), IPRoute() as netlink:
            try:
                netlink.link("set", **home, new_ifindex=self._found[far.nic].index)
            except NetlinkError as error:
                if error.code != errno.EBUSY:
                    raise
                # Its number was given to another meanwhile; its name matters more.
                netlink.link("set", **home)
        (link,) = self._netlink.link("get", ifname=far.nic)
        index: int = link["index"]
        return index

    def _lost(self, far: _Far, error: NetlinkError) -> str:
        """Say where a NIC is that could not be moved back: the kernel renames it after moving."""
        try:
            (link,) = self._netlink.link("get", index=self._found[far.nic].index)
        except NetlinkError:
            return f"could not be moved back from its namespace: {_words(error)}"
        return f"is {link.get_attr('IFLA_IFNAME')} now: its name is another's ({_words(error)})"


def _index(place: Place) -> int:
    with place.namespace.entered(), IPRoute() as netlink:
        (link,) = netlink.link("get", ifname=place.name)
        index: int = link["index"]
        return index


def _released(name: str) -> list[str]:
    """Have NetworkManager leave a NIC alone; a manager that hangs must not keep the rest undone."""
    try:
        released = released_by_network_manager(name)
    except MachineError as error:
        return [f"{name}: {error}"]
    return [] if released else [f"{name} is managed by NetworkManager again"]


def _why_not(name: str, kind: str, error: NetlinkError) -> str:
    if error.code == errno.EOPNOTSUPP:
        return f"{name}: this kernel has no {kind}; load the module {kind}, or use --move"
    if error.code in _TAKEN_ALREADY:
        return (
            f"{name}: the kernel puts no {kind} on it ({_words(error)}); something else stands on "
            "it, perhaps a container's macvlan: end that first"
        )
    return f"{name}: no {kind} could be put on it: {_words(error)}"


def _words(error: OSError | NetlinkError) -> str:
    return os.strerror(error.code if isinstance(error, NetlinkError) else error.errno or 0)
