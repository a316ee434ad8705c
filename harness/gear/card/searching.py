"""How the router is searched for by SSDP, and where it says that its descriptions are."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import Final

from harness.gear.card.check import Attempt, NotOffered, NotTested
from harness.nodes.igd.discovery import search
from harness.protocol import ssdp
from harness.protocol.igd.errors import IgdError

GROUP: Final = IPv4Address(ssdp.GROUP)
IGD_1: Final = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
IGD_2: Final = "urn:schemas-upnp-org:device:InternetGatewayDevice:2"
ROOT_DEVICE: Final = "upnp:rootdevice"
WAN_IP: Final = "urn:schemas-upnp-org:service:WANIPConnection:1"
WAN_PPP: Final = "urn:schemas-upnp-org:service:WANPPPConnection:1"

MX: Final = 1
"""Seconds within which a router is asked to answer a search."""

SEARCHES: Final = 2
"""How often a search is sent: a datagram may be lost."""


async def locate(attempt: Attempt) -> str | NotOffered | NotTested:
    """Search for the router in every way, until one is answered; return where it is described.

    Where that is nowhere, why it is. A LOCATION that is not on the router is passed over.
    """
    rig = attempt.rig
    ways = [(GROUP, IGD_2), (GROUP, IGD_1), (GROUP, WAN_IP), (GROUP, WAN_PPP), (rig.gateway, IGD_1)]
    problem: NotOffered | NotTested
    problem = NotOffered("no UPnP: nothing on the router answers an M-SEARCH")
    for _ in range(SEARCHES):
        searches = [
            asyncio.create_task(
                search(rig.lan, to, target, MX, MX + rig.answer, only_from=rig.gateway, most=1)
            )
            for to, target in ways
        ]
        try:
            for done in asyncio.as_completed(searches):
                for answer in await done:
                    try:
                        return answer.location(rig.gateway)
                    except IgdError as error:
                        attempt.note(f"{rig.gateway} answers a search: {error}")
                        problem = NotTested(f"the router's UPnP cannot be used: {error}")
        finally:
            for task in searches:
                task.cancel()
            await asyncio.gather(*searches, return_exceptions=True)
    return problem
