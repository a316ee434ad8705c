"""The novice's side of port mapping: find the gateway's protocol, map the port, remove it again.

UPnP's control point is :mod:`harness.nodes.igd`; NAT-PMP is two messages of a dozen bytes, see
:mod:`harness.protocol.natpmp`. The gateway may be a real router, and is not trusted: whatever it
does, each of these ends within seconds, and nobody but the gateway is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from harness.nodes import pmp
from harness.nodes.host import own_address
from harness.nodes.igd.control import ControlPoint, fetch_description
from harness.nodes.igd.discovery import receive, send_search
from harness.nodes.igd.sockets import HostSockets
from harness.protocol import natpmp, ssdp
from harness.protocol.igd.errors import IgdError, UpnpFault
from harness.protocol.igd.reply import HttpLimits
from harness.protocol.igd.soap import Code

_DESCRIPTION = "Remote Assistance"
_PORT_TRIES = 8
_FIRST_FREE_PORT = 1024

_UPNP_SECONDS = 10.0
"""Seconds that all of a mapping or its removal may take; a router's part in one is milliseconds."""

_LIMITS = HttpLimits(seconds=5.0)

# What clients do with refusals: a gateway of version 1 may know only mappings without an end, and
# some say so by "invalid arguments"; a port may be somebody else's.
_NO_LEASES = (Code.ONLY_PERMANENT_LEASES, Code.INVALID_ARGS)
_TAKEN = (Code.CONFLICT, Code.CONFLICT_WITH_OTHER_MECHANISMS)


class MappingError(Exception):
    """The gateway offers a mapping protocol and did not grant a mapping; the text says why."""


@dataclass(frozen=True)
class Mapping:
    """A granted mapping: TCP ``external``:``port`` leads to this host's ``internal_port``."""

    protocol: str
    external: IPv4Address
    port: int
    internal_port: int


class PortMapper(Protocol):
    """A gateway's port-mapping protocol."""

    protocol: str

    async def map(self, port: int, lifetime: int) -> Mapping:
        """Map TCP ``port`` of this host for ``lifetime`` seconds; MappingError where refused."""

    async def unmap(self, mapping: Mapping) -> None:
        """Remove a mapping; MappingError where refused."""


async def discover(gateway: IPv4Address, believe_refusal: bool) -> PortMapper | None:
    """Ask the default gateway for a mapping protocol; UPnP is preferred to NAT-PMP.

    The search ends at the first answer, and at the latest after the M-SEARCH's own MX. Where
    ``believe_refusal`` is set, an ICMP port unreachable from the gateway for a unicast search also
    ends it: nobody listens there. A gateway that listens for multicast only would be missed so,
    which no model of ours is.
    """
    async with asyncio.TaskGroup() as tasks:
        upnp = tasks.create_task(_find_upnp(gateway, believe_refusal))
        nat_pmp = tasks.create_task(_find_nat_pmp(gateway))
    return upnp.result() or nat_pmp.result()


class _Upnp:
    """An Internet Gateway Device whose description is at ``location``."""

    protocol = "upnp"

    def __init__(self, sockets: HostSockets, gateway: IPv4Address, location: str) -> None:
        self._sockets = sockets
        self._gateway = gateway
        self._location = location
        self._point: ControlPoint | None = None

    async def map(self, port: int, lifetime: int) -> Mapping:
        try:
            async with asyncio.timeout(_UPNP_SECONDS):
                return await self._map(port, lifetime)
        except TimeoutError as error:
            raise MappingError(f"UPnP: no mapping within {_UPNP_SECONDS:g} s") from error
        except (IgdError, UpnpFault) as error:
            raise MappingError(f"UPnP: {error}") from error

    async def unmap(self, mapping: Mapping) -> None:
        if self._point is None:
            raise MappingError(f"UPnP: port {mapping.port} was not mapped here")
        try:
            async with asyncio.timeout(_UPNP_SECONDS):
                await self._point.delete_port_mapping(mapping.port, "TCP")
        except TimeoutError as error:
            raise MappingError(f"UPnP: not removed within {_UPNP_SECONDS:g} s") from error
        except (IgdError, UpnpFault) as error:
            raise MappingError(f"UPnP: {error}") from error

    async def _map(self, port: int, lifetime: int) -> Mapping:
        self._point, external = await self._connection()
        for wanted in _ports_to_try(port):
            try:
                await self._add(self._point, wanted, port, lifetime)
            except UpnpFault as fault:
                if fault.code not in _TAKEN:
                    raise
            else:
                return Mapping(self.protocol, external, wanted, port)
        raise MappingError(f"UPnP: the gateway had none of {_PORT_TRIES} ports free")

    async def _connection(self) -> tuple[ControlPoint, IPv4Address]:
        """Return the first connection that has an external address, and the address.

        A router with DSL may have two connection services, of which one is in use.
        """
        description = await fetch_description(self._sockets, self._location, self._gateway, _LIMITS)
        problem: Exception = IgdError("the gateway's description has no WAN connection")
        for service in description.wan_services:
            point = ControlPoint(
                self._sockets, self._gateway, self._location, description, service, _LIMITS
            )
            try:
                return point, await point.external_address()
            except (IgdError, UpnpFault) as error:
                problem = error
        raise problem

    async def _add(self, point: ControlPoint, external: int, port: int, lifetime: int) -> None:
        own = self._sockets.address
        try:
            await point.add_port_mapping(external, "TCP", port, own, lifetime, _DESCRIPTION)
        except UpnpFault as fault:
            if fault.code not in _NO_LEASES or lifetime == 0:
                raise
            await point.add_port_mapping(external, "TCP", port, own, 0, _DESCRIPTION)


class _NatPmp:
    """A NAT-PMP server at the gateway's address."""

    protocol = "nat-pmp"

    def __init__(self, gateway: IPv4Address, external: IPv4Address) -> None:
        self._gateway = gateway
        self._external = external

    async def map(self, port: int, lifetime: int) -> Mapping:
        granted = natpmp.read_tcp_mapping(
            await self._ask(natpmp.map_tcp_request(port, port, lifetime))
        )
        return Mapping(self.protocol, self._external, granted.external_port, port)

    async def unmap(self, mapping: Mapping) -> None:
        await self._ask(natpmp.map_tcp_request(mapping.internal_port, 0, 0))

    async def _ask(self, request: bytes) -> bytes:
        answer = await _ask_nat_pmp(self._gateway, request)
        if answer is None:
            raise MappingError("NAT-PMP: the gateway stopped answering")
        try:
            natpmp.read_tcp_mapping(answer)
        except natpmp.NatPmpError as error:
            raise MappingError(f"NAT-PMP: {error}") from error
        return answer


def _ports_to_try(port: int) -> list[int]:
    others = (
        _FIRST_FREE_PORT + secrets.randbelow(65536 - _FIRST_FREE_PORT)
        for _ in range(_PORT_TRIES - 1)
    )
    return [port, *others]


async def _find_upnp(gateway: IPv4Address, believe_refusal: bool) -> PortMapper | None:
    sockets = HostSockets(own_address())
    with sockets.udp() as multicast, sockets.udp() as unicast:
        await send_search(multicast, IPv4Address(ssdp.GROUP), ssdp.search())
        unicast.connect((str(gateway), ssdp.PORT))
        await asyncio.get_running_loop().sock_sendall(unicast, ssdp.search())
        answers = [
            asyncio.create_task(_location(multicast, gateway)),
            asyncio.create_task(_location(unicast, gateway)),
        ]
        try:
            location = await _first(answers, believe_refusal)
        finally:
            for task in answers:
                task.cancel()
            await asyncio.gather(*answers, return_exceptions=True)
    return None if location is None else _Upnp(sockets, gateway, location)


async def _first(answers: list[asyncio.Task[str]], believe_refusal: bool) -> str | None:
    """Return the first location; None at the end of MX, or at once on a believed refusal."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ssdp.MX):
            for answer in asyncio.as_completed(answers):
                try:
                    return await answer
                except ConnectionRefusedError:
                    if believe_refusal:
                        return None
                except OSError:
                    # Another ICMP error ("administratively prohibited") says nothing of multicast.
                    continue
    return None


async def _location(sock: socket.socket, gateway: IPv4Address) -> str:
    """Wait for the gateway's answer; everybody else's, and every unusable one, is passed over."""
    while True:
        answer = await receive(sock)
        if answer.sender == gateway:
            with contextlib.suppress(IgdError):
                return answer.location(gateway)


async def _find_nat_pmp(gateway: IPv4Address) -> PortMapper | None:
    answer = await _ask_nat_pmp(gateway, natpmp.external_address_request())
    if answer is None:
        return None
    try:
        external = natpmp.read_external_address(answer)
    except natpmp.NatPmpError:
        # It speaks NAT-PMP and has no address to give; the mapping request will say why.
        external = IPv4Address(0)
    return _NatPmp(gateway, external)


async def _ask_nat_pmp(gateway: IPv4Address, request: bytes) -> bytes | None:
    """Send a request until it is answered; None where nobody listens or nobody answers.

    The gateway is given as long as a UPnP device has to answer a search.
    """
    sockets = HostSockets(own_address())
    with contextlib.suppress(OSError):
        return await pmp.ask(sockets, gateway, request, natpmp.FIRST_RETRY, ssdp.MX)
    return None
