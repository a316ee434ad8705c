"""A lying gateway's port mappings: the actions of WANIPConnection:1, and the rules that forward.

Its chain of nftables is ``mapped`` in the table ``ip liar``.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from routers import pages
from routers.lies import Lie

WRONG_ADDRESS: Final = IPv4Address("24.48.96.7")
"""What it says its WAN address is where it lies about it: public, and another's."""

_PROTOCOLS = ("TCP", "UDP")
_SIOCGIFADDR = 0x8915

Key = tuple[str, int]


class Fault(Exception):
    """A UPnP error: code and description (WANIPConnection:1, section 2.4)."""

    def __init__(self, code: int, text: str) -> None:
        """Keep both."""
        super().__init__(code, text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class PortMapping:
    """A port mapping as AddPortMapping asks for it. ``lease`` is in seconds, 0 for ever."""

    remote: str
    external: int
    protocol: str
    internal: int
    client: str
    enabled: bool
    description: str
    lease: int


class Table:
    """The mappings. Each change is in the kernel's rules when the action's answer leaves."""

    def __init__(self, lie: Lie) -> None:
        """It is empty, and so are the rules."""
        self._lie = lie
        self._mappings: dict[Key, PortMapping] = {}
        self._timers: dict[Key, asyncio.Task[None]] = {}

    async def act(
        self, action: str, arguments: Mapping[str, str], peer: IPv4Address
    ) -> Mapping[str, str]:
        """Do an action for the host ``peer``; return what it answers.

        Raises:
            Fault: it is refused.
        """
        if action in pages.CONSTANT:
            return pages.CONSTANT[action]
        match action:
            case "GetExternalIPAddress":
                lies = self._lie is Lie.WRONG_ADDRESS
                return {"NewExternalIPAddress": str(WRONG_ADDRESS if lies else wan_address())}
            case "AddPortMapping":
                return await self._add(_asked(arguments), peer)
            case "DeletePortMapping":
                return await self._delete(_key(arguments))
            case "GetSpecificPortMappingEntry":
                return _entry(self._find(_key(arguments)))
            case "GetGenericPortMappingEntry":
                return self._numbered(arguments.get("NewPortMappingIndex", ""))
        raise Fault(401, "Invalid Action")

    async def _add(self, asked: PortMapping, peer: IPv4Address) -> Mapping[str, str]:
        if self._lie is Lie.ACTION_FAILED:
            raise Fault(501, "Action Failed")
        if self._lie is Lie.ALWAYS_CONFLICT:
            raise Fault(718, "ConflictInMappingEntry")
        if self._lie is Lie.PERMANENT_ONLY and asked.lease != 0:
            raise Fault(725, "OnlyPermanentLeasesSupported")
        if asked.client != str(peer):
            raise Fault(606, "Action not authorized")
        key = asked.protocol, asked.external
        held = self._mappings.get(key)
        if held is not None and held.client != asked.client and self._lie is not Lie.STEALS:
            raise Fault(718, "ConflictInMappingEntry")
        self._forget(key)
        self._mappings[key] = asked
        if asked.lease:
            self._timers[key] = asyncio.create_task(self._expire(key, asked.lease))
        await self._load()
        return {}

    async def _delete(self, key: Key) -> Mapping[str, str]:
        self._find(key)
        if self._lie is Lie.KEEPS:
            raise Fault(501, "Action Failed")
        self._forget(key)
        await self._load()
        return {}

    async def _expire(self, key: Key, lease: int) -> None:
        await asyncio.sleep(lease)
        del self._timers[key]  # or forgetting the mapping would cancel this very task
        self._forget(key)
        await self._load()

    def _forget(self, key: Key) -> None:
        self._mappings.pop(key, None)
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()

    def _find(self, key: Key) -> PortMapping:
        if key not in self._mappings:
            raise Fault(714, "NoSuchEntryInArray")
        return self._mappings[key]

    def _numbered(self, index: str) -> Mapping[str, str]:
        every = list(self._mappings.values())
        if not index.isascii() or not index.isdigit() or int(index) >= len(every):
            raise Fault(713, "SpecifiedArrayIndexInvalid")
        found = every[int(index)]
        return {
            "NewRemoteHost": found.remote,
            "NewExternalPort": str(found.external),
            "NewProtocol": found.protocol,
            **_entry(found),
        }

    async def _load(self) -> None:
        """Make the kernel forward what is mapped, and nothing else."""
        if self._lie is Lie.FORWARDS_NOTHING:
            return
        # One text, made without a pause: of two changes at once, the later has both.
        rules = ["flush chain ip liar mapped", *map(_rule, self._mappings.values())]
        nft = await asyncio.create_subprocess_exec("nft", "-f", "-", stdin=asyncio.subprocess.PIPE)
        await nft.communicate("\n".join(rules).encode("ascii") + b"\n")
        if nft.returncode:
            raise Fault(501, "Action Failed")


def wan_address() -> IPv4Address:
    """Return the WAN's address.

    Raises:
        Fault: it has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("16s24x", b"wan"))
        except OSError as error:
            raise Fault(501, "Action Failed") from error
    return IPv4Address(answer[20:24])


def _asked(arguments: Mapping[str, str]) -> PortMapping:
    protocol, external = _key(arguments)
    return PortMapping(
        remote=_remote(arguments.get("NewRemoteHost", "")),
        external=external,
        protocol=protocol,
        internal=_number(arguments, "NewInternalPort", 1, 65535),
        client=_address(arguments.get("NewInternalClient", "")),
        enabled=arguments.get("NewEnabled") == "1",
        description=arguments.get("NewPortMappingDescription", ""),
        lease=_number(arguments, "NewLeaseDuration", 0, (1 << 32) - 1),
    )


def _key(arguments: Mapping[str, str]) -> Key:
    protocol = arguments.get("NewProtocol", "")
    if protocol not in _PROTOCOLS:
        raise Fault(402, "Invalid Args")
    return protocol, _number(arguments, "NewExternalPort", 1, 65535)


def _number(arguments: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = arguments.get(name, "")
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise Fault(402, "Invalid Args")
    return int(text)


def _remote(text: str) -> str:
    return _address(text) if text else ""


def _address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        raise Fault(402, "Invalid Args") from error


def _entry(mapping: PortMapping) -> Mapping[str, str]:
    return {
        "NewInternalPort": str(mapping.internal),
        "NewInternalClient": mapping.client,
        "NewEnabled": "1" if mapping.enabled else "0",
        "NewPortMappingDescription": mapping.description,
        "NewLeaseDuration": str(mapping.lease),
    }


def _rule(mapping: PortMapping) -> str:
    """Return the rule that forwards; every part of it was checked as a number or an address."""
    sender = f"ip saddr {mapping.remote} " if mapping.remote else ""
    way = f"{mapping.protocol.lower()} dport {mapping.external}"
    target = f"{mapping.client}:{mapping.internal}"
    return f"add rule ip liar mapped {sender}{way} dnat to {target}"
