"""A control point: calls the actions of a router's WAN connection, and asks it for nothing else."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

from harness.nodes.igd.client import OnExchange, fetch
from harness.nodes.igd.sockets import Sockets
from harness.protocol.igd import soap
from harness.protocol.igd.description import (
    Description,
    Service,
    parse_actions,
    parse_description,
)
from harness.protocol.igd.errors import IgdError
from harness.protocol.igd.reply import Headers, HttpLimits, HttpReply
from harness.protocol.igd.soap import PortMapping
from harness.protocol.igd.url import check, resolve

LIMITS: Final = HttpLimits()
"""What one exchange may take where the caller says nothing else."""

_SUBSCRIPTION = 300


async def fetch_description(
    sockets: Sockets,
    location: str,
    gateway: IPv4Address,
    limits: HttpLimits = LIMITS,
    on_exchange: OnExchange | None = None,
) -> Description:
    """Fetch and read the device description at ``location``, which has to be on ``gateway``.

    Raises:
        IgdError: there is none, or none that is usable.
    """
    check(location, gateway, "LOCATION")
    try:
        reply = await fetch(sockets, location, limits, gateway, on_exchange=on_exchange)
        return parse_description(_found(reply))
    except IgdError as error:
        raise IgdError(f"the description: {error}") from error


class ControlPoint:
    """The control point of one WAN connection service of one router.

    Its calls raise UpnpFault where the router refuses by a fault, and IgdError for everything else
    that is no answer. They send what they are given: ports, protocols and hosts are not checked,
    because the router's own checks are what a test is about.
    """

    def __init__(
        self,
        sockets: Sockets,
        gateway: IPv4Address,
        location: str,
        description: Description,
        service: Service | None = None,
        limits: HttpLimits = LIMITS,
        on_exchange: OnExchange | None = None,
    ) -> None:
        """Control ``service``; where none is given, the description's best one that maps ports.

        ``location`` is where the description came from. ``on_exchange`` is given every exchange.

        Raises:
            IgdError: the description has no such service.
        """
        if service is None and not description.wan_services:
            raise IgdError("the description has no WANIPConnection and no WANPPPConnection")
        self.wan_service = description.wan_services[0] if service is None else service
        self._sockets = sockets
        self._gateway = gateway
        self._location = location
        self._description = description
        self._limits = limits
        self._on_exchange = on_exchange

    async def call(self, action: str, **arguments: str) -> dict[str, str]:
        """Call an action with its arguments in their order; return those of the answer.

        Raises:
            UpnpFault: the router refused.
            IgdError: what came is no answer to it.
        """
        kind = self.wan_service.type
        headers = (
            ("Content-Type", soap.CONTENT_TYPE),
            ("SOAPACTION", soap.action_name(kind, action)),
        )
        body = soap.envelope(kind, action, arguments)
        try:
            reply = await self._ask("controlURL", self.wan_service.control, "POST", headers, body)
            _refuse_redirect(reply)
            return soap.parse_answer(action, reply.status, reply.body)
        except IgdError as error:
            raise IgdError(f"{action}: {error}") from error

    async def external_address(self) -> IPv4Address:
        """Return the router's external address (GetExternalIPAddress)."""
        return soap.external_address(await self.call("GetExternalIPAddress"))

    async def add_port_mapping(
        self,
        external: int,
        protocol: str,
        internal: int,
        client: IPv4Address | str,
        lease: int,
        description: str,
        remote_host: str = "",
    ) -> None:
        """Have port ``external`` lead to ``client``:``internal`` for ``lease`` seconds.

        ``protocol`` is ``TCP`` or ``UDP``, ``remote_host`` empty for everybody.
        """
        wanted = _mapping(external, protocol, internal, client, lease, description, remote_host)
        await self.call("AddPortMapping", **wanted)

    async def add_any_port_mapping(
        self,
        external: int,
        protocol: str,
        internal: int,
        client: IPv4Address | str,
        lease: int,
        description: str,
        remote_host: str = "",
    ) -> int:
        """Ask for a mapping as :meth:`add_port_mapping` does; return the port that was reserved.

        Of WANIPConnection:2 only.
        """
        wanted = _mapping(external, protocol, internal, client, lease, description, remote_host)
        return soap.number(await self.call("AddAnyPortMapping", **wanted), "NewReservedPort")

    async def delete_port_mapping(
        self, external: int, protocol: str, remote_host: str = ""
    ) -> None:
        """Remove a mapping."""
        await self.call("DeletePortMapping", **_key(external, protocol, remote_host))

    async def get_specific(
        self, external: int, protocol: str, remote_host: str = ""
    ) -> PortMapping:
        """Return one mapping (GetSpecificPortMappingEntry)."""
        key = _key(external, protocol, remote_host)
        return soap.port_mapping(key | await self.call("GetSpecificPortMappingEntry", **key))

    async def get_generic(self, index: int) -> PortMapping:
        """Return the mapping at a place of the router's list, from 0 (GetGenericPortMappingEntry).

        After the last one the router refuses by 713.
        """
        found = await self.call("GetGenericPortMappingEntry", NewPortMappingIndex=str(index))
        return soap.port_mapping(found)

    async def actions(self) -> frozenset[str]:
        """Return the actions that the service's own description lists.

        Raises:
            IgdError: there is none, or none that is usable.
        """
        try:
            return parse_actions(_found(await self._ask("SCPDURL", self.wan_service.scpd, "GET")))
        except IgdError as error:
            raise IgdError(f"the service description: {error}") from error

    async def subscribe(self, callback: str) -> int:
        """Ask for the service's events to be sent to a URL; return the HTTP status.

        The subscription ends by itself within minutes (UPnP Device Architecture 1.0, 4.1.1).
        """
        headers = (
            ("CALLBACK", f"<{callback}>"),
            ("NT", "upnp:event"),
            ("TIMEOUT", f"Second-{_SUBSCRIPTION}"),
        )
        reply = await self._ask("eventSubURL", self.wan_service.event, "SUBSCRIBE", headers)
        return reply.status

    async def _ask(
        self, what: str, reference: str, method: str, headers: Headers = (), body: bytes = b""
    ) -> HttpReply:
        """Ask one of the service's URLs; ``what`` is the description's name for it."""
        base = self._description.url_base or self._location
        check(base, self._gateway, "URLBase" if self._description.url_base else "LOCATION")
        url = resolve(reference, base, self._gateway, what)
        return await fetch(
            self._sockets,
            url,
            self._limits,
            self._gateway,
            method,
            headers,
            body,
            self._on_exchange,
        )


def _found(reply: HttpReply) -> bytes:
    _refuse_redirect(reply)
    if reply.status != 200:
        raise IgdError(f"HTTP status {reply.status}")
    return reply.body


def _refuse_redirect(reply: HttpReply) -> None:
    if reply.redirect is not None:
        raise IgdError(f"a redirect to {reply.redirect} (status {reply.status}), not followed")


def _key(external: int, protocol: str, remote_host: str) -> dict[str, str]:
    return {
        "NewRemoteHost": remote_host,
        "NewExternalPort": str(external),
        "NewProtocol": protocol,
    }


def _mapping(
    external: int,
    protocol: str,
    internal: int,
    client: IPv4Address | str,
    lease: int,
    description: str,
    remote_host: str,
) -> dict[str, str]:
    return {
        **_key(external, protocol, remote_host),
        "NewInternalPort": str(internal),
        "NewInternalClient": str(client),
        "NewEnabled": "1",
        "NewPortMappingDescription": description,
        "NewLeaseDuration": str(lease),
    }
