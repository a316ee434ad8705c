"""What there is to choose from: devices, topologies, claims and images, as data to show."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from harness.errors import MachineError
from harness.kb import load_prose, load_tables
from harness.runner.catalogue import ARTICLE
from harness.topology.load import Library
from harness.topology.model import Device, ProxyProtocol
from harness.words import Answer

_PROXIES = {ProxyProtocol.HTTP: "HTTP proxy", ProxyProtocol.SOCKS5: "SOCKS 5 proxy"}


class _Entry(BaseModel):
    """One thing, frozen."""

    model_config = ConfigDict(frozen=True)


class DeviceEntry(_Entry):
    """A device: its name for chains, what it is in a few words, and what says that it is so."""

    name: str
    kind: str
    title: str
    source: str
    note: str


class TopologyEntry(_Entry):
    """A topology file and the two chains in it."""

    name: str
    title: str
    novice: tuple[str, ...]
    expert: tuple[str, ...]
    file: str


class ClaimEntry(_Entry):
    """Something that the article states, where it does, and the ids of the scenarios that test it.

    ``source`` has the section, and the table's row and column or the sentence.
    """

    id: str
    answer: Answer
    source: str
    statement: str
    scenarios: tuple[str, ...]


class ImageEntry(_Entry):
    """An image of this clone; ``built`` is None where no engine answers."""

    role: str
    image: str
    built: bool | None


def devices(library: Library) -> Iterator[DeviceEntry]:
    """Yield the devices of a folder."""
    for device in library.devices.values():
        yield DeviceEntry(
            name=device.name,
            kind=_kind(device),
            title=device.title,
            source=device.source,
            note=device.note,
        )


def topologies(library: Library) -> Iterator[TopologyEntry]:
    """Yield the topology files of a folder, the article's own.

    Raises:
        DefinitionError: one is wrong.
    """
    for file in sorted((library.folder / ARTICLE).glob("*.toml")):
        topology = library.from_file(file)
        yield TopologyEntry(
            name=topology.name,
            title=topology.title,
            novice=topology.novice.names,
            expert=topology.expert.names,
            file=str(file),
        )


def claims() -> Iterator[ClaimEntry]:
    """Yield what the article states: its tables' cells, then its prose's sentences."""
    for table in load_tables():
        for claim in table.claims:
            yield ClaimEntry(
                id=claim.id,
                answer=claim.answer,
                source=claim.source,
                statement=claim.statement,
                scenarios=claim.scenario_ids,
            )
    for statement in load_prose():
        yield ClaimEntry(
            id=statement.id,
            answer=statement.answer,
            source=statement.source,
            statement=statement.statement,
            scenarios=tuple(bound.id for bound in statement.scenarios),
        )


def images() -> tuple[list[ImageEntry], str | None]:
    """Return the images of this clone, and what stops anybody from knowing more of them.

    An installation without a clone has none to build; only an engine knows which are built.
    """
    # The engine's library takes 0.2 s to import.
    from docker.errors import ImageNotFound  # noqa: PLC0415

    from harness.runtime.docker import engine  # noqa: PLC0415
    from harness.runtime.docker.images import Role, tag  # noqa: PLC0415

    try:
        names = {role: tag(role) for role in Role}
    except MachineError as error:
        return [], str(error)
    try:
        client = engine.connect()
    except MachineError as error:
        unknown = [ImageEntry(role=role, image=name, built=None) for role, name in names.items()]
        return unknown, str(error)

    def is_built(name: str) -> bool:
        try:
            client.images.get(name)
        except ImageNotFound:
            return False
        return True

    known = [
        ImageEntry(role=role, image=name, built=is_built(name)) for role, name in names.items()
    ]
    client.close()
    return known, None


def _kind(device: Device) -> str:
    """Say in a few words what a device is, and what it offers."""
    if device.proxy is not None:
        return _PROXIES[device.proxy.protocol]
    if device.host_firewall is not None:
        return "firewall on the host"
    if device.firewall is not None:
        return "firewall"
    offers = {"UPnP": device.upnp, "NAT-PMP": device.nat_pmp}
    return " with ".join(["NAT", *(name for name, offer in offers.items() if offer is not None)])
