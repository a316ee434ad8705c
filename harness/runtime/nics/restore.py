"""Puts an interface back as it was, whatever was done to it, and says what it could not.

What is now is compared with what was, and only the differences are put right: so it does not matter
how far somebody had got who was stopped in the middle.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.runtime.nics.addressing import (
    IFA_F_STABLE_PRIVACY,
    IFA_F_TENTATIVE,
    SCOPE_LINK,
    Address,
    Route,
    add_address,
    add_route,
    delete_address,
)
from harness.runtime.nics.facts import SETTABLE_FLAGS, Facts, facts_of
from harness.runtime.nics.settings import put

ADDRESS_DEADLINE = 10.0
"""Seconds until an IPv6 address is the interface's own again; duplicate detection takes 1 to 2 s
(RFC 4862 5.4: up to one second of delay, and RetransTimer, one second)."""


Step = tuple[str, Callable[[], object]]


def restore(netlink: IPRoute, was: Facts, index: int) -> list[str]:
    """Put the interface with this index back as it was; return one line for each thing that is not.

    It has its name already; where another interface has that name now, nothing is done to it.
    """
    failed = []
    for steps in (_link_steps, _setting_steps, _up_steps, _tidy_steps, _route_steps):
        now = facts_of(netlink, was.name)
        if now is None or now.index != index:
            return [f"{was.name} is gone"]
        for what, step in steps(netlink, was, now):
            reason = _tried(step)
            if reason is not None:
                failed.append(f"{was.name}: could not {what}: {reason}")
        if steps is _up_steps:
            _await_addresses(netlink, was)
    now = facts_of(netlink, was.name)
    return failed + (differences(was, now) if now is not None else [f"{was.name} is gone"])


def differences(was: Facts, now: Facts) -> list[str]:
    """Return one line for each thing of the interface that was and is not so now."""
    values = [
        ("MAC address", was.mac, now.mac),
        ("MTU", was.mtu, now.mtu),
        ("flags", hex(was.flags & SETTABLE_FLAGS), hex(now.flags & SETTABLE_FLAGS)),
        ("state", _state(was), _state(now)),
    ]
    here = {each.path: each.value for each in now.settings}
    values += [(each.path, each.value, here.get(each.path)) for each in was.settings]
    lines = [
        f"its {what} is {is_now}, was {before}"
        for what, before, is_now in values
        if is_now != before
    ]
    gone: list[Address | Route] = list(_lost(was, now))
    gone += [each for each in was.routes if not each.passing and each not in now.routes]
    lines += [f"{each} is missing" for each in gone]
    lines += [f"{each} is new" for each in _new(was, now)]
    return [f"{was.name}: {line}" for line in lines]


def _link_steps(netlink: IPRoute, was: Facts, now: Facts) -> Iterator[Step]:
    link = partial(netlink.link, "set", index=now.index)
    if now.up and not was.up:
        yield "set it down", partial(link, state="down")
    if now.mac != was.mac:
        yield f"set its MAC address to {was.mac}", partial(link, address=was.mac)
    if now.mtu != was.mtu:
        yield f"set its MTU to {was.mtu}", partial(link, mtu=was.mtu)
    if (now.flags ^ was.flags) & SETTABLE_FLAGS:
        flags = was.flags & SETTABLE_FLAGS
        yield "set its flags", partial(link, flags=flags, change=SETTABLE_FLAGS)


def _setting_steps(_: IPRoute, was: Facts, now: Facts) -> Iterator[Step]:
    for setting in was.settings:
        if setting not in now.settings:
            yield f"set {setting.path} to {setting.value}", partial(put, setting)


def _up_steps(netlink: IPRoute, was: Facts, now: Facts) -> Iterator[Step]:
    if was.up and not now.up:
        yield "set it up", partial(netlink.link, "set", index=now.index, state="up")
    # The kernel puts the latest IPv4 address last and the latest IPv6 address first.
    lost = list(_lost(was, now))
    ipv4 = [address for address in lost if address.family == socket.AF_INET]
    ipv6 = [address for address in reversed(lost) if address.family == socket.AF_INET6]
    for address in ipv4 + ipv6:
        if not address.flags & IFA_F_STABLE_PRIVACY:
            yield f"add {address}", partial(add_address, netlink, now.index, address)


def _tidy_steps(netlink: IPRoute, was: Facts, now: Facts) -> Iterator[Step]:
    # Made by the kernel when IPv6 came on again: of a MAC address that was set later, say.
    for address in _new(was, now):
        yield f"remove {address}", partial(delete_address, netlink, now.index, address)


def _route_steps(netlink: IPRoute, was: Facts, now: Facts) -> Iterator[Step]:
    # A gateway is only accepted once there is a route to it.
    for route in sorted(was.routes, key=lambda each: each.gateway is not None):
        if route not in now.routes and not route.passing:
            yield f"add {route}", partial(add_route, netlink, now.index, route)


def _tried(step: Callable[[], object]) -> str | None:
    """Do a step; return why it failed, if it did: the others are to be done all the same."""
    try:
        step()
    except NetlinkError as error:
        return os.strerror(error.code)
    except OSError as error:
        return str(error.strerror)
    return None


@retry(
    retry=retry_if_result(lambda settled: not settled),
    stop=stop_after_delay(ADDRESS_DEADLINE),
    wait=wait_fixed(0.02),
    # What is missing is told by what is compared last.
    retry_error_callback=lambda _: None,
)
def _await_addresses(netlink: IPRoute, was: Facts) -> bool:
    """Wait until the addresses that the kernel makes and checks on the link are there again."""
    now = facts_of(netlink, was.name)
    if now is None or not now.carrier:
        return True
    return set(was.addresses) <= {*now.addresses, *map(_tentative, now.addresses)}


def _lost(was: Facts, now: Facts) -> Iterator[Address]:
    """Yield the addresses that are missing, but for those that come when there is a link again."""
    here = set(map(_tentative, now.addresses))
    for address in was.addresses:
        comes = address.flags & IFA_F_STABLE_PRIVACY and not now.carrier
        if _tentative(address) not in here and not comes:
            yield address


def _new(was: Facts, now: Facts) -> Iterator[Address]:
    """Yield the IPv6 link-local addresses that were not there."""
    before = {(each.local, each.prefix) for each in was.addresses}
    for address in now.addresses:
        link_local = address.family == socket.AF_INET6 and address.scope == SCOPE_LINK
        if link_local and (address.local, address.prefix) not in before:
            yield address


def _tentative(address: Address) -> Address:
    """Return the address as it is while duplicate detection is under way."""
    return replace(address, flags=address.flags | IFA_F_TENTATIVE)


def _state(facts: Facts) -> str:
    return "up" if facts.up else "down"
