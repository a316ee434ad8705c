"""Reads definitions from a topologies folder and refuses wrong ones before anything is built."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import DefinitionError
from harness.topology.model import (
    ChainLink,
    Device,
    Internet,
    IspLink,
    Site,
    SiteFile,
    Topology,
    TopologyFile,
    chain_name,
    check_disjoint,
    check_host,
)

Model = TypeVar("Model", bound=BaseModel)

# In a checkout the folder stands beside the package; in a wheel it is inside.
_CANDIDATES = (
    Path(__file__).resolve().parents[2] / "topologies",
    Path(__file__).resolve().parents[1] / "topologies",
)


def default_folder() -> Path:
    """Return the project's own topologies folder.

    Raises:
        DefinitionError: the installation lacks it.
    """
    for folder in _CANDIDATES:
        if (folder / "devices").is_dir():
            return folder
    raise DefinitionError(f"{_CANDIDATES[0]}: the topologies folder is missing; install it again")


class Library:
    """The devices, internet and topologies of one folder, read once.

    Raises:
        DefinitionError: on construction, for any wrong file under ``devices`` or a wrong
            ``internet.toml``; later, for the topology asked for. The text names file, key, reason.
    """

    def __init__(self, folder: Path) -> None:
        """Read ``devices/*.toml`` and ``internet.toml`` of the folder."""
        self.folder = folder
        self.internet = _read(Internet, folder / "internet.toml")
        self.devices = {
            path.stem: _read(Device, path, {"name": path.stem})
            for path in sorted((folder / "devices").glob("*.toml"))
        }

    def from_file(self, path: Path) -> Topology:
        """Read one topology file."""
        return self._topology(_read(TopologyFile, path), str(path))

    def from_chains(self, novice: tuple[str, ...], expert: tuple[str, ...]) -> Topology:
        """Make a topology of two chains of device names; the empty chain is a direct host."""
        name = f"{chain_name(novice)}+{chain_name(expert)}"
        try:
            content = TopologyFile(novice=SiteFile(chain=novice), expert=SiteFile(chain=expert))
        except ValidationError as error:
            raise DefinitionError(f"topology {name}: {_first_reason(error)}") from error
        return self._topology(content, f"topology {name}")

    def _topology(self, content: TopologyFile, where: str) -> Topology:
        return Topology(
            title=content.title,
            novice=self._site(content.novice, self.internet.novice, f"{where}: novice"),
            expert=self._site(content.expert, self.internet.expert, f"{where}: expert"),
            internet=self.internet,
        )

    def _site(self, site: SiteFile, link: IspLink, where: str) -> Site:
        chain = tuple(self._device(entry, f"{where}.chain") for entry in site.chain)
        self._check_subnets(chain, f"{where}.chain")
        inner = chain[0].lan.address if chain else link.router
        address = site.address or (chain[0].lan.host if chain else link.site)
        try:
            _check_hosts(site, chain, inner, address)
        except ValueError as error:
            raise DefinitionError(f"{where}: {error}") from error
        return Site(chain=chain, address=address, listens=site.listens, neighbours=site.neighbours)

    def _device(self, entry: str | ChainLink, where: str) -> Device:
        name = entry if isinstance(entry, str) else entry.device
        device = self.devices.get(name)
        if device is None:
            known = ", ".join(self.devices)
            raise DefinitionError(f"{where}: there is no device {name!r}; there are: {known}")
        return device if isinstance(entry, str) else device.model_copy(update={"lan": entry.lan})

    def _check_subnets(self, chain: tuple[Device, ...], where: str) -> None:
        lans = [(f"the LAN of {device.name}", device.lan.network) for device in chain]
        links = [
            (f"the internet's {name} link", getattr(self.internet, name).router.network)
            for name in Internet.model_fields
        ]
        try:
            check_disjoint(links + lans)
        except ValueError as error:
            raise DefinitionError(f"{where}: {error}") from error


def _check_hosts(
    site: SiteFile, chain: tuple[Device, ...], inner: IPv4Interface, address: IPv4Address
) -> None:
    check_host(address, inner, "address")
    if site.neighbours and not chain:
        raise ValueError("neighbours need a device: a direct host has no LAN")
    names = {device.name for device in chain}
    addresses = {address}
    for neighbour in site.neighbours:
        key = f"neighbours.{neighbour.name}"
        check_host(neighbour.address, inner, f"{key}.address")
        if neighbour.address in addresses:
            raise ValueError(f"{key}.address: {neighbour.address} is taken already")
        if neighbour.name in names:
            raise ValueError(f"{key}: a device or neighbour of this site has that name already")
        addresses.add(neighbour.address)
        names.add(neighbour.name)


def _read(model: type[Model], path: Path, extra: Mapping[str, str] | None = None) -> Model:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: {error}") from error
    try:
        return model.model_validate({**content, **(extra or {})})
    except ValidationError as error:
        raise DefinitionError(f"{path}: {_first_reason(error)}") from error


def _first_reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = "there is no such key"
    return f"{key}: {reason}" if key else reason
