"""The bench file: which real routers stand where, what their makers claim, how long to wait.

It is TOML: one or two ``[[router]]`` tables and at most one ``[patience]``. A NIC is named alone,
``"enp3s0"``, or as one VLAN of a trunk, ``{name = "enp3s0", vlan = 10}``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from harness.errors import DefinitionError
from harness.topology.addresses import check_host
from harness.topology.model import Definition
from harness.topology.reasons import first_reason

# The name of a router that the command line described: there is no file to name it.
_UNNAMED = "gear"

# The kernel's IFNAMSIZ less the closing zero.
_LONGEST_INTERFACE_NAME = 15

# It becomes part of a node's name, beside an interface's.
_ROUTER_NAME = re.compile(r"[a-z][a-z0-9-]{0,10}")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_CARRIER_GRADE = IPv4Network("100.64.0.0/10")
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def _check_words(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("write it on one line, without control characters")
    return text


Words = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_words)]
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Claims(StrEnum):
    """The class of device that the maker says the router is."""

    NAT = "nat"
    UPNP_NAT = "upnp-nat"


class Addressing(StrEnum):
    """How the router gets its WAN address."""

    DHCP = "dhcp"
    STATIC = "static"


class Nic(Definition):
    """An interface of this machine, or one VLAN (802.1Q) on it."""

    name: str
    vlan: Annotated[int, Field(strict=True, ge=1, le=4094)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _is_an_interface_name(cls, name: str) -> str:
        fits = 1 <= len(name.encode()) <= _LONGEST_INTERFACE_NAME
        bad = name in (".", "..") or any(sign in "/:" or sign.isspace() for sign in name)
        if bad or not fits or not name.isprintable():
            raise ValueError(
                f"{name!r} is no name of an interface: 1 to {_LONGEST_INTERFACE_NAME} bytes "
                "without '/', ':' and spaces; `ip -br link` lists those there are"
            )
        return name

    def __str__(self) -> str:
        """The interface, and the VLAN where there is one."""
        return self.name if self.vlan is None else f"{self.name} VLAN {self.vlan}"


class Wan(Definition):
    """The router's WAN side: how it gets its address there, and of what kind that is.

    ``address`` is the one that the router was set to by hand, with ``static`` only. ``kind`` is
    what the internet side gives: a public-looking address, one of RFC 1918, or one of 100.64.0.0/10
    (RFC 6598) as behind carrier-grade NAT.
    """

    addressing: Addressing = Addressing.DHCP
    address: IPv4Address | None = None
    kind: Literal["public", "private", "cgnat"] = "public"

    @field_validator("addressing", mode="before")
    @classmethod
    def _pppoe_is_not_built(cls, value: object) -> object:
        if value == "pppoe":
            raise ValueError("pppoe is not built yet: use dhcp or static")
        return value

    @model_validator(mode="after")
    def _only_static_has_an_address(self) -> Wan:
        static = self.addressing is Addressing.STATIC
        if static and self.address is None:
            raise ValueError("address: static needs the address that the router was set to")
        if not static and self.address is not None:
            raise ValueError(
                "address: the router is given one by DHCP; leave it out, or use static"
            )
        return self

    @model_validator(mode="after")
    def _address_is_of_its_kind(self) -> Wan:
        if self.address is not None and not _is_of_kind(self.address, self.kind):
            raise ValueError(
                f"address: {self.address} is not {self.kind}; set kind to what it is, "
                "or give the router another address"
            )
        return self


class Lan(Definition):
    """The host's own address and gateway on the router's LAN; without them DHCP gives both."""

    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Lan:
        if (self.address is None) != (self.gateway is None):
            raise ValueError("address and gateway go together: give both, or neither for DHCP")
        if self.address is not None and self.gateway is not None:
            router = IPv4Interface((self.gateway, self.address.network.prefixlen))
            if self.gateway not in self.address.network:
                raise ValueError(f"gateway {self.gateway} is outside {self.address.network}")
            check_host(self.address.ip, router, "address")
        return self


class Router(Definition):
    """A real router: what it is, where it is plugged in, and what its maker claims.

    ``power_cycle`` is a program and its arguments that turns the router off and on again.
    """

    name: str
    model: Words
    firmware: Words
    lan_nic: Nic
    wan_nic: Nic
    claims: Claims
    wan: Wan = Wan()
    lan: Lan = Lan()
    power_cycle: Annotated[tuple[Words, ...], Field(min_length=1)] | None = None

    @field_validator("name")
    @classmethod
    def _is_short(cls, name: str) -> str:
        if not _ROUTER_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r}: a router's name is 1 to 11 of a-z, 0-9 and '-', a letter first"
            )
        return name


class Patience(Definition):
    """How many seconds to wait for real things.

    ``link`` is for a cable's link to come up and spanning tree to let packets through, ``lease``
    for a DHCP lease on either side, ``boot`` for a router that was turned off and on, ``answer``
    for one packet's answer before silence counts as such.
    """

    link: Seconds = 45.0
    lease: Seconds = 120.0
    boot: Seconds = 300.0
    answer: Seconds = 6.0


class Bench(Definition):
    """One or two routers on NICs of their own."""

    routers: Annotated[tuple[Router, ...], Field(alias="router", min_length=1, max_length=2)]
    patience: Patience = Patience()

    @model_validator(mode="after")
    def _each_nic_is_plugged_once(self) -> Bench:
        plugged: dict[Nic, str] = {}
        for router in self.routers:
            for side, nic in (("lan_nic", router.lan_nic), ("wan_nic", router.wan_nic)):
                here = f"{side} of {router.name}"
                if nic in plugged:
                    raise ValueError(
                        f"{nic} is {plugged[nic]} and {here}: each needs a NIC (or VLAN) of its own"
                    )
                plugged[nic] = here
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Bench:
        names = [router.name for router in self.routers]
        if len(set(names)) < len(names):
            raise ValueError(f"two routers are named {names[0]}: give each a name of its own")
        return self


def load_bench(path: Path, devices: Collection[str] = ()) -> Bench:
    """Read a bench file; ``devices`` are names that no router may have.

    Raises:
        DefinitionError: the file cannot be read or is wrong; the text names file, key and reason.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: {error}") from error
    try:
        bench = Bench.model_validate(content)
    except ValidationError as error:
        raise DefinitionError(f"{path}: {first_reason(error)}") from error
    for number, router in enumerate(bench.routers, 1):
        if router.name in devices:
            raise DefinitionError(
                f"{path}: router[{number}].name: {router.name} is one of the project's own "
                "devices; give the router another name"
            )
    return bench


def bench_of(lan: str, wan: str, claims: Claims, model: str, firmware: str) -> Bench:
    """Make the bench of one router on the NICs ``lan`` and ``wan``, all else as by default.

    Raises:
        DefinitionError: a name is none of an interface, or both NICs are the same.
    """
    router = {
        "name": _UNNAMED,
        "model": model,
        "firmware": firmware,
        "lan_nic": lan,
        "wan_nic": wan,
        "claims": claims,
    }
    try:
        return Bench.model_validate({"router": (router,)})
    except ValidationError as error:
        raise DefinitionError(f"the router on {lan} and {wan}: {first_reason(error)}") from error


def _is_of_kind(address: IPv4Address, kind: str) -> bool:
    if kind == "cgnat":
        return address in _CARRIER_GRADE
    if kind == "private":
        return any(address in network for network in _PRIVATE)
    return address.is_global
