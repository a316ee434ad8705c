"""A UPnP gateway that maps ports well, but for one slip: :mod:`lying_igd` with another table."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Address

from lying_igd import HTTP_PORT, LyingIgd
from rigs import FAR, ROUTER, Part, forked, rules
from routers import pages
from routers.lies import Lie
from routers.table import Fault, Table

RULES = (
    rules(forward='iifname "wan" ct status dnat accept')
    + """\
table ip liar {
    chain mapped { }
    chain prerouting {
        type nat hook prerouting priority -110;
        iifname "wan" jump mapped
    }
}
"""
)
"""A plain masquerade with the table that :mod:`lying_igd` keeps its mappings in."""

SMALL = 5
"""Mappings that a small table has room for."""

_CALLBACK = re.compile(r"CALLBACK: <http://([0-9.]+):([0-9]+)/", re.IGNORECASE)


class Slip(StrEnum):
    KEEPS_OPEN = "keeps open what was deleted"
    ENDLESS_LEASE = "forgets that a mapping has an end"
    ENDS_BY_714 = "ends its list by 714"
    NO_END = "never ends its list"
    HIDES = "has an empty list"
    ANY_REMOTE_HOST = "lets in whoever it likes"
    NO_REMOTE_HOST = "takes no remote host"
    SAME_PORTS = "wants the same port on both sides"
    RENEWS_NOT = "takes a renewal for done"
    REFUSES_AND_STEALS = "refuses a taken port and gives it away"
    SMALL_TABLE = "has room for few mappings"
    SMALL_TABLE_718 = "has room for few mappings, and calls it a conflict"
    DISCONNECTED = "says that it has no internet"
    NO_CODE = "refuses everything by 501"
    FILLS_IN = "fills in what is missing"
    CALLS_ANYBODY = "sends its events anywhere"
    ONLY_IGD_1 = "answers searches for InternetGatewayDevice:1 only"


class _Careless(Table):
    """The table of a gateway with a slip."""

    def __init__(self, slip: Slip) -> None:
        super().__init__(Lie.STEALS if slip is Slip.REFUSES_AND_STEALS else Lie.NONE)
        self._slip = slip
        self._held: dict[str, str] = {}

    async def act(
        self, action: str, arguments: Mapping[str, str], peer: IPv4Address
    ) -> Mapping[str, str]:
        given = dict(arguments)
        port = given.get("NewExternalPort", "")
        self._refuse(action, given)
        match self._slip, action:
            case Slip.KEEPS_OPEN, "DeletePortMapping":
                return {}
            case Slip.RENEWS_NOT, "AddPortMapping" if port in self._held:
                return {}
            case Slip.DISCONNECTED, "GetStatusInfo":
                return {"NewConnectionStatus": "Disconnected"}
            case Slip.ENDLESS_LEASE, "AddPortMapping":
                given["NewLeaseDuration"] = "0"
            case Slip.NO_END, "GetGenericPortMappingEntry":
                given["NewPortMappingIndex"] = "0"
            case Slip.ANY_REMOTE_HOST, _:
                given["NewRemoteHost"] = ""
            case Slip.FILLS_IN, "AddPortMapping":
                given.setdefault("NewInternalPort", port)
        answer = await self._answered(action, given, peer)
        if action == "AddPortMapping":
            stolen = self._held.get(port, given["NewInternalClient"]) != given["NewInternalClient"]
            self._held[port] = given["NewInternalClient"]
            if stolen:
                raise Fault(718, "ConflictInMappingEntry")
        if action == "DeletePortMapping":
            self._held.pop(port, None)
        return answer

    def _refuse(self, action: str, given: Mapping[str, str]) -> None:
        """Raise the refusal of an action that the table is never asked for."""
        full = len(self._held) == SMALL
        match self._slip, action:
            case Slip.HIDES, "GetGenericPortMappingEntry":
                raise Fault(713, "SpecifiedArrayIndexInvalid")
            case Slip.NO_REMOTE_HOST, "AddPortMapping" if given["NewRemoteHost"]:
                raise Fault(726, "RemoteHostOnlySupportsWildcard")
            case Slip.SAME_PORTS, "AddPortMapping" if (
                given["NewExternalPort"] != given["NewInternalPort"]
            ):
                raise Fault(724, "SamePortValuesRequired")
            case Slip.SMALL_TABLE, "AddPortMapping" if full:
                raise Fault(728, "NoPortMapsAvailable")
            case Slip.SMALL_TABLE_718, "AddPortMapping" if full:
                raise Fault(718, "ConflictInMappingEntry")

    async def _answered(
        self, action: str, arguments: Mapping[str, str], peer: IPv4Address
    ) -> Mapping[str, str]:
        try:
            return await super().act(action, arguments, peer)
        except Fault as fault:
            if self._slip is Slip.ENDS_BY_714 and fault.code == 713:
                raise Fault(714, "NoSuchEntryInArray") from fault
            if self._slip is Slip.NO_CODE:
                raise Fault(501, "Action Failed") from fault
            raise


class CarelessIgd(LyingIgd):
    """The gateway on the rig's router."""

    def __init__(self, slip: Slip) -> None:
        super().__init__(Lie.NONE, ROUTER.ip, FAR)
        self._slip = slip
        self._table = _Careless(slip)

    def _found(self, data: bytes) -> list[bytes]:
        if self._slip is Slip.ONLY_IGD_1 and b"InternetGatewayDevice:1" not in data:
            return []
        return super()._found(data)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._slip is not Slip.CALLS_ANYBODY:
            return await super()._answer(reader, writer)
        head = await reader.readuntil(b"\r\n\r\n")
        callback = _CALLBACK.search(head.decode())
        if callback is not None:
            writer.write(pages.reply("200 OK", b"", "SID: uuid:1\r\n"))
            await writer.drain()
            _, calling = await asyncio.open_connection(callback[1], int(callback[2]))
            calling.close()
            return writer.close()
        again = asyncio.StreamReader()
        again.feed_data(head + await reader.readexactly(_length(head)))
        again.feed_eof()
        return await super()._answer(again, writer)


def _length(head: bytes) -> int:
    found = re.search(rb"content-length: ([0-9]+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def careless(slip: Slip) -> Part:
    """Return the part of a router that has :data:`RULES`."""
    return partial(forked, lambda: asyncio.run(CarelessIgd(slip).serve()), _LISTENS)


def lying(lie: Lie) -> Part:
    """Return a lying gateway as the part of a router that has :data:`RULES`."""
    return partial(forked, lambda: asyncio.run(LyingIgd(lie, ROUTER.ip, FAR).serve()), _LISTENS)


_LISTENS = [f"TCP {HTTP_PORT}", "UDP 1900"]
