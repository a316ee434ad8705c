"""SOAP 1.1 as UPnP uses it: actions, their answers and faults (UPnP Device Architecture 1.0, 3.2).

What an answer's arguments mean (WANIPConnection:1 and :2) is read here, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final
from xml.sax.saxutils import escape

from harness.protocol.igd.errors import IgdError, UpnpFault, escaped, quoted
from harness.protocol.igd.tree import Element, XmlLimits, read

CONTENT_TYPE: Final = 'text/xml; charset="utf-8"'

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
# A mapping's description comes back as long as it was taken.
_LIMITS = XmlLimits(elements=1000, text=1 << 18)
_CODE = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_LONGEST_FAULT_TEXT = 200


class Code(IntEnum):
    """UPnP error codes that port mapping meets (WANIPConnection:2, 2.5)."""

    INVALID_ARGS = 402
    ACTION_FAILED = 501
    NOT_AUTHORIZED = 606
    INDEX_INVALID = 713
    NO_SUCH_ENTRY = 714
    CONFLICT = 718
    ONLY_PERMANENT_LEASES = 725
    NO_PORT_MAPS_AVAILABLE = 728
    CONFLICT_WITH_OTHER_MECHANISMS = 729


@dataclass(frozen=True)
class PortMapping:
    """A mapping as the router lists it. ``lease`` is the seconds left, 0 for one without an end.

    ``description`` and ``remote_host`` are text to show, printable whatever the router sent.
    """

    remote_host: str
    external_port: int
    protocol: str
    internal_port: int
    internal_client: str
    enabled: bool
    description: str
    lease: int


def action_name(service_type: str, action: str) -> str:
    """Return the value of the SOAPACTION header."""
    return f'"{service_type}#{action}"'


def envelope(service_type: str, action: str, arguments: Mapping[str, str]) -> bytes:
    """Return the body that calls an action; the arguments keep their order."""
    given = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in arguments.items())
    return (
        '<?xml version="1.0"?>\r\n'
        f'<s:Envelope xmlns:s="{_ENVELOPE}" s:encodingStyle="{_ENCODING}"><s:Body>'
        f'<u:{action} xmlns:u="{service_type}">{given}</u:{action}>'
        "</s:Body></s:Envelope>\r\n"
    ).encode()


def parse_answer(action: str, status: int, body: bytes) -> dict[str, str]:
    """Return the arguments of an action's answer, as the router wrote them.

    ``status`` is the HTTP status. A fault is one whatever the status; an answer has to be 200.

    Raises:
        UpnpFault: the router refused the action.
        IgdError: the body is neither its answer nor a fault.
    """
    try:
        content = _content(body)
    except IgdError as error:
        if status == 200:
            raise
        raise IgdError(f"HTTP status {status}, and {error}") from error
    fault = content.child("Fault")
    if fault is not None:
        raise _fault(action, fault)
    if status != 200:
        raise IgdError(f"HTTP status {status} without a fault")
    answer = content.child(f"{action}Response")
    if answer is None:
        names = ", ".join(child.name for child in content.children) or "nothing"
        raise IgdError(f"the answer holds {quoted(names)}, not {action}Response")
    arguments: dict[str, str] = {}
    for argument in answer.children:
        if argument.name in arguments:
            raise IgdError(f"{quoted(argument.name)} is in the answer twice")
        arguments[argument.name] = argument.text
    return arguments


def external_address(arguments: Mapping[str, str]) -> IPv4Address:
    """Read the answer to GetExternalIPAddress.

    Raises:
        IgdError: there is no IPv4 address in it.
    """
    said = arguments.get("NewExternalIPAddress", "")
    try:
        return IPv4Address(said)
    except ValueError as error:
        raise IgdError(f"the router's external address is {quoted(said)}") from error


def number(arguments: Mapping[str, str], name: str) -> int:
    """Return an argument that is a number.

    Raises:
        IgdError: there is none of that name, or it is no number.
    """
    said = arguments.get(name, "")
    if not _NUMBER.fullmatch(said):
        raise IgdError(f"{name} is {quoted(said)}, no number")
    return int(said)


def port_mapping(arguments: Mapping[str, str]) -> PortMapping:
    """Read a mapping from the arguments of an answer, together with those that asked for it.

    Raises:
        IgdError: a port or the lease is missing or no number.
    """
    return PortMapping(
        remote_host=escaped(arguments.get("NewRemoteHost", "")),
        external_port=number(arguments, "NewExternalPort"),
        protocol=escaped(arguments.get("NewProtocol", "")),
        internal_port=number(arguments, "NewInternalPort"),
        internal_client=escaped(arguments.get("NewInternalClient", "")),
        enabled=arguments.get("NewEnabled", "").lower() in ("1", "true", "yes"),
        description=escaped(arguments.get("NewPortMappingDescription", "")),
        lease=number(arguments, "NewLeaseDuration"),
    )


def _content(body: bytes) -> Element:
    root = read(body, _LIMITS)
    content = root.child("Body")
    if root.name != "Envelope" or content is None:
        raise IgdError(f"no SOAP envelope: the XML has {quoted(root.name)} and no Body")
    return content


def _fault(action: str, fault: Element) -> UpnpFault:
    """Return the fault; raise IgdError for one that does not say which UPnP error it is."""
    detail = fault.child("detail")
    error = None if detail is None else detail.child("UPnPError")
    if error is None:
        raise IgdError(f"a fault without a UPnP error: {quoted(fault.text_of('faultstring'))}")
    code = error.text_of("errorCode")
    if not _CODE.fullmatch(code):
        raise IgdError(f"a fault whose error code is {quoted(code)}, no number")
    text = escaped(error.text_of("errorDescription")[:_LONGEST_FAULT_TEXT])
    return UpnpFault(action, int(code), text)
