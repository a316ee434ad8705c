"""What the checks of port mapping by UPnP share: the router's IGD, and mappings that end again."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv4Address
from typing import Final
from weakref import WeakKeyDictionary

from harness.gear.card.check import Attempt, Finding, NotOffered, NotTested
from harness.gear.card.exchanges import noting
from harness.gear.card.reach import Arrival, Host, host_on, is_connected, opened
from harness.gear.card.searching import locate
from harness.gear.rig import Rig, Station
from harness.nodes.igd.control import ControlPoint, fetch_description
from harness.protocol.igd.description import Description, Service
from harness.protocol.igd.errors import IgdError, UpnpFault
from harness.protocol.igd.soap import Code, PortMapping

RDP: Final = 3389
LEASE: Final = 3600
"""Seconds of a mapping that a check only stands on (WANIPConnection:2 2.5.16.2 recommends it)."""

DESCRIPTION: Final = "ra-harness card"
"""What the router's list says of a mapping of ours."""

NO_LEASES: Final = (Code.ONLY_PERMANENT_LEASES, Code.INVALID_ARGS)
"""How routers refuse a lease that is not 0; the second one only those that err."""

TAKEN: Final = (Code.CONFLICT, Code.CONFLICT_WITH_OTHER_MECHANISMS)
"""How routers refuse a port that is another's."""

_TRIES = 4
# Below those that the kernel gives to connections: one of them may be in use.
_DYNAMIC_PORTS = range(20000, 32000)


@dataclass(frozen=True)
class Found:
    """A router's IGD as it was found: where its description is, and which service is in use."""

    location: str
    description: Description
    service: Service


# A rig's router is looked for once: a real one takes its time to answer, and one that drips its
# description would else cost every check the whole of its patience.
_FOUND: WeakKeyDictionary[Rig, Found | NotOffered | NotTested] = WeakKeyDictionary()


@dataclass(frozen=True)
class Igd:
    """The router's IGD in one check, asked from the rig's ``lan`` unless it is said otherwise."""

    attempt: Attempt
    location: str
    description: Description
    service: Service

    @property
    def lan(self) -> ControlPoint:
        """The control point on the rig's ``lan``."""
        return self.of(self.attempt.rig.lan)

    @property
    def version(self) -> int:
        """The version of its WAN connection service: 1 or 2."""
        return int(self.service.type.rpartition(":")[2])

    def of(self, station: Station) -> ControlPoint:
        """Return the control point on a station; what it says and hears is noted."""
        return ControlPoint(
            station,
            self.attempt.rig.gateway,
            self.location,
            self.description,
            self.service,
            on_exchange=noting(self.attempt, station),
        )

    def forget_later(
        self, station: Station, port: int, protocol: str = "TCP", remote_host: str = ""
    ) -> Removal:
        """Have a mapping removed at the end of the check, whether it is there then or not."""
        removal = Removal(self, station, port, protocol, remote_host)
        self.attempt.cleanup.push_async_callback(removal.make)
        return removal

    async def add(
        self,
        external: int,
        internal: int,
        *,
        station: Station | None = None,
        client: IPv4Address | str | None = None,
        lease: int = LEASE,
        protocol: str = "TCP",
        remote_host: str = "",
        description: str = DESCRIPTION,
    ) -> None:
        """Ask for a mapping, to the asking station if not said otherwise; it ends with the check.

        Raises:
            UpnpFault: the router refused.
            IgdError: what came is no answer.
        """
        asker = station or self.attempt.rig.lan
        # Before it is asked for: the answer may be lost, and a router may refuse and map.
        removal = self.forget_later(asker, external, protocol, remote_host)
        await self.of(asker).add_port_mapping(
            external, protocol, internal, client or asker.address, lease, description, remote_host
        )
        removal.granted = True

    async def add_lasting(
        self,
        external: int,
        internal: int,
        *,
        station: Station | None = None,
        remote_host: str = "",
    ) -> None:
        """Ask for a mapping as :meth:`add` does; where leases are refused, for one without end.

        Raises:
            UpnpFault: the router refused.
            IgdError: what came is no answer.
        """
        try:
            await self.add(external, internal, station=station, remote_host=remote_host)
        except UpnpFault as fault:
            if fault.code not in NO_LEASES:
                raise
            await self.add(external, internal, station=station, remote_host=remote_host, lease=0)

    async def map_any(self, internal: int, *, station: Station | None = None) -> int:
        """Make a mapping that the check stands on; return its external port, a fresh one.

        As clients do, it asks for another port where one is taken.

        Raises:
            NotTested: the router makes none.
            IgdError: what came is no answer.
        """
        refusal: UpnpFault | None = None
        for _ in range(_TRIES):
            external = fresh_port()
            try:
                await self.add_lasting(external, internal, station=station)
            except UpnpFault as fault:
                refusal = fault
                if fault.code not in TAKEN:
                    break
            else:
                return external
        raise NotTested(f"no mapping could be made: {refusal}")

    async def entry(self, external: int) -> PortMapping | None:
        """Return the router's entry of a TCP mapping; None where it says that there is none.

        Raises:
            UpnpFault: the router refused for another reason.
            IgdError: what came is no answer.
        """
        try:
            return await self.lan.get_specific(external, "TCP")
        except UpnpFault as fault:
            if fault.code == Code.NO_SUCH_ENTRY:
                return None
            raise

    async def host(self, station: Station | None = None, port: int = 0) -> Host:
        """Have a station listen until the check is over, the rig's ``lan`` on a free port."""
        return await host_on(self.attempt, station or self.attempt.rig.lan, port)

    async def opened(self, external: int, *hosts: Host) -> Arrival:
        """Dial a new mapping's port from ``far`` until a host answers, for two answers' time."""
        return await opened(self.attempt, external, *hosts)

    async def open_mapping(self, host: Host) -> int:
        """Make a mapping to a host that listens and see that it lets ``far`` in; return its port.

        Raises:
            NotTested: the router makes none, or one that lets nobody in.
        """
        external = await self.map_any(host.port, station=host.station)
        arrival = await self.opened(external, host)
        if not is_connected(arrival):
            raise NotTested(f"the mapping of port {external} let nobody in: {arrival}")
        return external


@dataclass
class Removal:
    """The removal of a mapping that a station asked for; ``granted`` where it was accepted."""

    igd: Igd
    station: Station
    port: int
    protocol: str
    remote_host: str
    granted: bool = False

    async def make(self) -> None:
        """Remove it; note where it may be left. One that was refused need not be there."""
        try:
            control = self.igd.of(self.station)
            await control.delete_port_mapping(self.port, self.protocol, self.remote_host)
        except (UpnpFault, IgdError) as error:
            gone = isinstance(error, UpnpFault) and error.code == Code.NO_SUCH_ENTRY
            if self.granted and not gone:
                self.igd.attempt.note(f"port {self.port} may be left mapped: {error}")


Body = Callable[[Igd], Awaitable[Finding]]


def with_igd(body: Body) -> Callable[[Attempt], Awaitable[Finding]]:
    """Make a check of what is to be done with the router's IGD.

    Where there is no IGD it is not offered. A refusal that the body did not expect, and an answer
    that is none, are the router's own fault: the check is non-compliant and says it.
    """

    @wraps(body)
    async def made(attempt: Attempt) -> Finding:
        igd = await find(attempt)
        try:
            return await body(igd)
        except (UpnpFault, IgdError) as error:
            return Finding(False, str(error))

    return made


async def find(attempt: Attempt) -> Igd:
    """Find the router's IGD.

    Raises:
        NotOffered: nothing on the router answers a search, or it maps no ports.
        NotTested: what answers cannot be used.
    """
    known = _FOUND.get(attempt.rig)
    if known is None:
        known = await _look(attempt)
        _FOUND[attempt.rig] = known
    if not isinstance(known, Found):
        raise type(known)(str(known))
    return Igd(attempt, known.location, known.description, known.service)


async def _look(attempt: Attempt) -> Found | NotOffered | NotTested:
    rig = attempt.rig
    location = await locate(attempt)
    if not isinstance(location, str):
        return location
    try:
        description = await fetch_description(
            rig.lan, location, rig.gateway, on_exchange=noting(attempt, rig.lan)
        )
    except IgdError as error:
        return NotTested(f"the router's UPnP cannot be used: {error}")
    if not description.wan_services:
        return NotOffered("no port mapping by UPnP: no WAN connection service is described")
    return Found(location, description, await service_in_use(attempt, location, description))


async def service_in_use(attempt: Attempt, location: str, description: Description) -> Service:
    """Return the first service that has an external address; where none has, the first one.

    A router with DSL may describe a WANIPConnection and a WANPPPConnection, of which one is in use.
    """
    for service in description.wan_services:
        igd = Igd(attempt, location, description, service)
        with suppress(IgdError, UpnpFault):  # noted with the exchange
            await igd.lan.external_address()
            return service
    return description.wan_services[0]


def told(fault: UpnpFault) -> str:
    """Say a refusal's code and the router's words for it."""
    return f"{fault.code} {fault.text}".strip()


def fresh_port(among: Sequence[int] = _DYNAMIC_PORTS) -> int:
    """Return a port that nothing has used yet, most probably: a black box cannot be flushed."""
    return secrets.choice(among)
