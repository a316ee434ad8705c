"""The novice's side of port mapping: find the gateway's protocol, map the port, remove it again.

UPnP goes through miniupnpc once the description's URL is known: its own discovery cannot be made
to stop at the first answer. NAT-PMP is two messages of a dozen bytes, see
:mod:`harness.protocol.natpmp`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Protocol, TypeVar

import miniupnpc

from harness.nodes.host import own_address
from harness.protocol import natpmp, ssdp

_T = TypeVar("_T")
_RECEIVE = 4096
_DESCRIPTION = "Remote Assistance"
_PORT_TRIES = 8
_FIRST_FREE_PORT = 1024


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

    def __init__(self, location: str) -> None:
        self._location = location
        self._igd = miniupnpc.UPnP()
        self._selected = False

    async def map(self, port: int, lifetime: int) -> Mapping:
        await self._select()
        try:
            external = IPv4Address(await self._call(self._igd.externalipaddress))
        except ValueError as error:
            raise MappingError("UPnP: the gateway has no external address") from error
        for wanted in _ports_to_try(port):
            try:
                await self._add(wanted, port, lifetime)
            except MappingError as error:
                if "Conflict" not in str(error):
                    raise
            else:
                return Mapping(self.protocol, external, wanted, port)
        raise MappingError(f"UPnP: the gateway had none of {_PORT_TRIES} ports free")

    async def unmap(self, mapping: Mapping) -> None:
        await self._select()
        if not await self._call(self._igd.deleteportmapping, mapping.port, "TCP"):
            raise MappingError(f"UPnP: the gateway kept port {mapping.port}")

    async def _select(self) -> None:
        if not self._selected:
            await self._call(self._igd.selectigd, self._location)
            self._selected = True

    async def _add(self, external: int, port: int, lifetime: int) -> None:
        igd = self._igd
        await self._call(
            igd.addportmapping, external, "TCP", igd.lanaddr, port, _DESCRIPTION, "", lifetime
        )

    async def _call(self, action: Callable[..., _T], *arguments: Any) -> _T:
        try:
            return await asyncio.to_thread(action, *arguments)
        except Exception as error:  # miniupnpc raises bare Exception for everything
            raise MappingError(f"UPnP: {error}") from error


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
    own = str(own_address())
    with _udp(own) as multicast, _udp(own) as unicast:
        multicast.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        multicast.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ssdp.TTL)
        multicast.sendto(ssdp.search(), (ssdp.GROUP, ssdp.PORT))
        unicast.connect((str(gateway), ssdp.PORT))
        unicast.send(ssdp.search())
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
    return None if location is None else _Upnp(location)


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
    loop = asyncio.get_running_loop()
    while True:
        answer, (address, _) = await loop.sock_recvfrom(sock, _RECEIVE)
        if address == str(gateway):
            with contextlib.suppress(ssdp.SsdpError):
                return ssdp.read_location(answer, gateway)


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
    loop = asyncio.get_running_loop()
    with (
        _udp(str(own_address())) as sock,
        contextlib.suppress(TimeoutError, OSError),
    ):
        sock.connect((str(gateway), natpmp.PORT))
        async with asyncio.timeout(ssdp.MX):
            wait = natpmp.FIRST_RETRY
            while True:
                await loop.sock_sendall(sock, request)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        return await loop.sock_recv(sock, _RECEIVE)
                wait *= 2
    return None


def _udp(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((address, 0))
    return sock
