"""Reads definitions from a topologies folder and refuses wrong ones before anything is built."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import DefinitionError
from harness.topology.addresses import check_disjoint, check_host
from harness.topology.model import (
    LAN_PREFIX,
    ChainLink,
    Device,
    Internet,
    IspLink,
    Site,
    SiteFile,
    Subnet,
    Topology,
    TopologyFile,
)
from harness.topology.reasons import first_reason
from harness.words import Role, chain_name

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
            path.stem: _read_device(path) for path in sorted((folder / "devices").glob("*.toml"))
        }

    def having(self, devices: Iterable[Device], internet: Internet) -> Library:
        """Return a library with further devices and another internet."""
        other = copy(self)
        other.internet = internet
        other.devices = {**self.devices, **{device.name: device for device in devices}}
        return other

    def from_file(self, path: Path) -> Topology:
        """Read one topology file."""
        return self._topology(_read(TopologyFile, path), str(path))

    def from_chains(
        self,
        novice: tuple[str, ...],
        expert: tuple[str, ...],
        proxy_client: Collection[Role] = (),
    ) -> Topology:
        """Make a topology of two chains of device names; the empty chain is a direct host.

        The roles in ``proxy_client`` make the Remote Assistance connection through their proxy.
        """
        name = f"{chain_name(novice)}+{chain_name(expert)}"
        try:
            content = TopologyFile.model_validate(
                {
                    role.value: {"chain": chain, "proxy_client": role in proxy_client}
                    for role, chain in ((Role.NOVICE, novice), (Role.EXPERT, expert))
                }
            )
        except ValidationError as error:
            raise DefinitionError(f"topology {name}: {first_reason(error)}") from error
        return self._topology(content, f"topology {name}")

    def _topology(self, content: TopologyFile, where: str) -> Topology:
        if content.expert.listens is not None:
            raise DefinitionError(
                f"{where}: expert.listens: only the novice's ticket says where it listens: 3389"
            )
        return Topology(
            title=content.title,
            novice=self._site(content.novice, self.internet.novice, f"{where}: novice"),
            expert=self._site(content.expert, self.internet.expert, f"{where}: expert"),
            internet=self.internet,
        )

    def _site(self, site: SiteFile, link: IspLink, where: str) -> Site:
        devices = [self._device(entry, f"{where}.chain") for entry in site.chain]
        try:
            chain = tuple(_with_routed_lans(devices, link))
            _check_chain(chain, site)
            _check_routed(chain, link)
            lans = [(f"the LAN of {each.name}", each.lan.network) for each in chain if each.lan]
            check_disjoint(self._networks_beside(link, lans) + lans)
        except ValueError as error:
            raise DefinitionError(f"{where}.chain: {error}") from error
        boxes = [device for device in chain if device.lan is not None]
        inner = boxes[0].subnet.address if boxes else link.router
        address = site.address or (boxes[0].subnet.host if boxes else link.site)
        try:
            _check_hosts(site, boxes, inner, address)
        except ValueError as error:
            raise DefinitionError(f"{where}: {error}") from error
        return Site(
            chain=chain,
            address=address,
            listens=site.listens,
            proxy_client=site.proxy_client,
            neighbours=site.neighbours,
        )

    def _networks_beside(
        self, link: IspLink, lans: list[tuple[str, IPv4Network]]
    ) -> list[tuple[str, IPv4Network]]:
        """The internet's networks, but for the site's own block where LANs are taken from it."""
        own = link.routed
        if own is None or not any(lan != own and lan.subnet_of(own) for _, lan in lans):
            return self.internet.networks()
        return [(name, network) for name, network in self.internet.networks() if network != own]

    def _device(self, link: ChainLink, where: str) -> Device:
        device = self.devices.get(link.device)
        if device is None:
            known = ", ".join(self.devices)
            raise DefinitionError(
                f"{where}: there is no device {link.device!r}; there are: {known}"
            )
        if link.lan is None:
            return device
        if device.host_firewall is not None:
            raise DefinitionError(f"{where}: {device.name} is on the host itself and has no lan")
        return device.model_copy(update={"lan": link.lan})


def _with_routed_lans(devices: Iterable[Device], link: IspLink) -> Iterator[Device]:
    """Give each box that does not translate the next 256 addresses routed to its site."""
    blocks = link.routed.subnets(new_prefix=LAN_PREFIX) if link.routed is not None else iter(())
    for device in devices:
        if device.firewall is None or device.lan is not None:
            yield device
            continue
        block = next(blocks, None)
        if block is None:
            raise ValueError(f"{device.name} has no lan, and no block is left that is routed here")
        router, host = block[1], block[2]
        address = IPv4Interface((router, block.prefixlen))
        yield device.model_copy(update={"lan": Subnet(address=address, host=host)})


def _check_chain(chain: tuple[Device, ...], site: SiteFile) -> None:
    for device in chain[1:]:
        if device.host_firewall is not None:
            raise ValueError(f"{device.name} is on the host itself: it comes first")
    proxies = [device.name for device in chain if device.proxy is not None]
    if len(proxies) > 1:
        raise ValueError(f"{' and '.join(proxies)}: a site has one proxy at most")
    if site.proxy_client and not proxies:
        raise ValueError("proxy_client is set, and there is no proxy")


def _check_routed(chain: tuple[Device, ...], link: IspLink) -> None:
    """Refuse a LAN that nothing outward translates, and to which the internet has no route."""
    for position, device in enumerate(chain):
        hidden = any(outer.nat or outer.proxy for outer in chain[position + 1 :])
        if device.firewall is None or hidden:
            continue
        lan = device.subnet.network
        if link.routed is None or not lan.subnet_of(link.routed):
            raise ValueError(
                f"the LAN of {device.name} ({lan}) is not in the block that is routed here "
                f"({link.routed or 'none'}), and nothing outward translates it"
            )


def _check_hosts(
    site: SiteFile, boxes: Sequence[Device], inner: IPv4Interface, address: IPv4Address
) -> None:
    check_host(address, inner, "address")
    if site.neighbours and not boxes:
        raise ValueError("neighbours need a device: a direct host has no LAN")
    names = {device.name for device in boxes}
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


def _read_device(path: Path) -> Device:
    device = _read(Device, path, {"name": path.stem})
    if device.gear is not None:
        raise DefinitionError(f"{path}: gear: a real router is described in a bench file instead")
    return device


def _read(model: type[Model], path: Path, extra: Mapping[str, str] | None = None) -> Model:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: {error}") from error
    for key in extra or {}:
        if key in content:
            raise DefinitionError(f"{path}: {key}: there is no such key")
    try:
        return model.model_validate({**content, **(extra or {})})
    except ValidationError as error:
        raise DefinitionError(f"{path}: {first_reason(error)}") from error
