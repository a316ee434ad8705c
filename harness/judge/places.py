"""Which address is a real router's: the same place has other addresses in another run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Interface, NetmaskValueError
from typing import Final

from harness.judge.model import Router

_ADDRESS: Final = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])")


class Places:
    """The places that one run's routers make of addresses.

    A lease or another firmware gives a router other addresses, on its WAN and on its LAN. Without a
    router every address is its own place.
    """

    def __init__(self, routers: Iterable[Router]) -> None:
        """Note the routers; what is no address, in a file of somebody else's, names no place."""
        self._routers = [
            (router.name, _interface(router.external), _interface(router.gateway))
            for router in routers
        ]

    def of(self, text: str) -> str:
        """Return a text with each of the routers' addresses as its place."""
        return _ADDRESS.sub(lambda found: self._place(found[0]), text) if self._routers else text

    def _place(self, text: str) -> str:
        address = _interface(text)
        if address is None:
            return text
        for name, external, gateway in self._routers:
            if external is not None and address.ip == external.ip:
                return f"<wan of {name}>"
            if gateway is not None and address.ip in gateway.network:
                return f"<lan of {name}>"
        return text


def _interface(text: str) -> IPv4Interface | None:
    try:
        return IPv4Interface(text)
    except (AddressValueError, NetmaskValueError):
        return None
