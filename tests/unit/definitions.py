"""Devices, sites and topologies made in one line, and a topologies folder that may be broken."""

from __future__ import annotations

import shutil
from functools import cache
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from harness.topology.load import Library, default_folder
from harness.topology.model import (
    Device,
    Forward,
    Internet,
    Nat,
    NatPmp,
    Neighbour,
    Site,
    Subnet,
    Topology,
    Unsolicited,
    Upnp,
)
from harness.topology.plan import LabPlan, plan


@cache
def project() -> Library:
    """Return the project's own definitions."""
    return Library(default_folder())


@cache
def project_topologies() -> tuple[Path, ...]:
    """Return the file of every topology of the project."""
    folder = default_folder()
    files = [path for path in folder.rglob("*.toml") if path.parent != folder / "devices"]
    return tuple(sorted(path for path in files if path != folder / "internet.toml"))


def copy_of_project(parent: Path) -> Path:
    """Return a copy of the project's topologies folder, made in ``parent``."""
    return Path(shutil.copytree(default_folder(), parent / "topologies"))


def internet() -> Internet:
    """Return an internet without the project's addresses."""
    return Internet.model_validate(
        {
            "novice": {"router": "21.0.0.1/24", "site": "21.0.0.2"},
            "expert": {"router": "22.0.0.1/24", "site": "22.0.0.2"},
            "services": {"router": "23.0.0.1/24", "site": "23.0.0.10"},
        }
    )


def device(
    name: str = "box",
    lan: str = "10.1.1.1/24",
    host: str = "10.1.1.2",
    *,
    unsolicited: Unsolicited = Unsolicited.DROP,
    forward: tuple[tuple[int, int], ...] = (),
    http_port: int | None = None,
    nat_pmp: bool = False,
) -> Device:
    """Make a device; ``forward`` has pairs of ``port`` and ``to_port``."""
    return Device(
        name=name,
        title=name,
        source="a test",
        lan=Subnet(address=IPv4Interface(lan), host=IPv4Address(host)),
        nat=Nat(
            unsolicited=unsolicited,
            forward=tuple(Forward(port=port, to_port=to_port) for port, to_port in forward),
        ),
        upnp=Upnp(http_port=http_port) if http_port is not None else None,
        nat_pmp=NatPmp() if nat_pmp else None,
    )


def three_devices() -> tuple[Device, Device, Device]:
    """Return a chain of three, host outward: inner, middle, outer."""
    return (
        device("inner", "10.1.1.1/24", "10.1.1.2"),
        device("middle", "10.2.2.1/25", "10.2.2.9"),
        device("outer", "10.3.3.1/16", "10.3.3.3"),
    )


def neighbour(name: str, address: str, stranger: int | None = None) -> Neighbour:
    """Make a neighbour."""
    return Neighbour(name=name, address=IPv4Address(address), stranger=stranger)


def site(
    *chain: Device, address: str | None = None, neighbours: tuple[Neighbour, ...] = ()
) -> Site:
    """Make a site behind at least one device."""
    own = IPv4Address(address) if address is not None else chain[0].lan.host
    return Site(chain=chain, address=own, listens=None, neighbours=neighbours)


def plan_of(novice: Site | None = None, expert: Site | None = None) -> LabPlan:
    """Plan the two sites on :func:`internet`; None is a direct host."""
    net = internet()
    return plan(
        Topology(
            title="a test",
            novice=novice or _direct(net.novice.site),
            expert=expert or _direct(net.expert.site),
            internet=net,
        )
    )


def _direct(address: IPv4Address) -> Site:
    return Site(chain=(), address=address, listens=None, neighbours=())
