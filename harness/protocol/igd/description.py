"""A router's device description and service descriptions (UPnP Device Architecture 1.0, 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.protocol.igd.errors import IgdError, escaped, quoted
from harness.protocol.igd.tree import Element, XmlLimits, read

MOST_SERVICES: Final = 256
"""Services of the largest device that is taken; gateways have about five."""

_LIMITS = XmlLimits()
_WAN_SERVICE = re.compile(
    r"urn:schemas-upnp-org:service:WAN(?P<kind>IP|PPP)Connection:(?P<version>[1-9])"
)


@dataclass(frozen=True)
class Service:
    """A service of a device: its type and id, and its URLs as the router wrote them."""

    type: str
    id: str
    control: str
    event: str
    scpd: str


@dataclass(frozen=True)
class Description:
    """A device as it describes itself, with the services of every device inside it.

    ``device_type`` to ``udn`` are of the root device; they are text to show, printable whatever the
    router sent. ``url_base`` is empty where the router gave none.
    """

    device_type: str
    friendly_name: str
    manufacturer: str
    model_name: str
    model_number: str
    serial_number: str
    udn: str
    url_base: str
    services: tuple[Service, ...]

    @property
    def wan_services(self) -> tuple[Service, ...]:
        """The services that map ports: WANIPConnection before WANPPPConnection, newest first."""
        found = [
            (match["kind"] == "PPP", -int(match["version"]), place, service)
            for place, service in enumerate(self.services)
            if (match := _WAN_SERVICE.fullmatch(service.type)) is not None
        ]
        return tuple(service for _, _, _, service in sorted(found, key=lambda each: each[:3]))


def parse_description(xml: bytes) -> Description:
    """Read a device description.

    Raises:
        IgdError: it is no device description, or is larger than any real one.
    """
    root = read(xml, _LIMITS)
    device = root.child("device")
    if root.name != "root" or device is None:
        raise IgdError(f"no device description: the XML has {quoted(root.name)} and no device")
    services = tuple(_service(each) for each in _services(device))
    if len(services) > MOST_SERVICES:
        raise IgdError(f"{len(services)} services, at most {MOST_SERVICES} are taken")

    def shown(name: str) -> str:
        return escaped(device.text_of(name))

    return Description(
        device_type=shown("deviceType"),
        friendly_name=shown("friendlyName"),
        manufacturer=shown("manufacturer"),
        model_name=shown("modelName"),
        model_number=shown("modelNumber"),
        serial_number=shown("serialNumber"),
        udn=shown("UDN"),
        url_base=root.text_of("URLBase"),
        services=services,
    )


def parse_actions(xml: bytes) -> frozenset[str]:
    """Return the names of the actions that a service description lists.

    Raises:
        IgdError: it is no service description.
    """
    root = read(xml, _LIMITS)
    if root.name != "scpd":
        raise IgdError(f"no service description: the XML has {quoted(root.name)}")
    actions = root.child("actionList")
    if actions is None:
        return frozenset()
    return frozenset(action.text_of("name") for action in actions.named("action"))


def _services(device: Element) -> Iterator[Element]:
    """Yield the services of a device and of the devices inside it."""
    for services in device.named("serviceList"):
        yield from services.named("service")
    for devices in device.named("deviceList"):
        for inner in devices.named("device"):
            yield from _services(inner)


def _service(element: Element) -> Service:
    return Service(
        type=element.text_of("serviceType"),
        id=element.text_of("serviceId"),
        control=element.text_of("controlURL"),
        event=element.text_of("eventSubURL"),
        scpd=element.text_of("SCPDURL"),
    )
