"""What a lying gateway serves: answers to searches, descriptions, SOAP, and what would do harm.

Sources: UPnP Device Architecture 1.0; InternetGatewayDevice:1; WANIPConnection:1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape

SCPD: Final = "/scpd.xml"
CONTROL: Final = "/control"
SERVICE: Final = "urn:schemas-upnp-org:service:WANIPConnection:1"
UDN: Final = "uuid:6d1f9c2a-52b0-4c0e-9a2e-1f5a4d3b7c"

HUGE_BYTES: Final = 1 << 28
DRIP_SECONDS: Final = 0.25
MANY_SERVICES: Final = 10_000
BINARY_NAME: Final = b"Router \xff\xfe\x00\x01\x1b[31m\xc0\x80"
MARKUP_NAME: Final = escape("<script>alert(1)</script> \"'& \u202e\u009b31m").encode()

CONSTANT: Final[Mapping[str, Mapping[str, str]]] = {
    "GetStatusInfo": {
        "NewConnectionStatus": "Connected",
        "NewLastConnectionError": "ERROR_NONE",
        "NewUptime": "86400",
    },
    "GetConnectionTypeInfo": {
        "NewConnectionType": "IP_Routed",
        "NewPossibleConnectionTypes": "IP_Routed",
    },
    "GetNATRSIPStatus": {"NewRSIPAvailable": "0", "NewNATEnabled": "1"},
}
"""The actions that always answer the same, and what."""

_ACTIONS = (
    "GetExternalIPAddress",
    *CONSTANT,
    "AddPortMapping",
    "DeletePortMapping",
    "GetSpecificPortMappingEntry",
    "GetGenericPortMappingEntry",
)
_PIECE = 1 << 16
_ENTITY_LEVELS = 10


def search_answer(target: str, location: str, number: int) -> bytes:
    """Return the answer to a search; ``number`` makes it another device's."""
    return (
        "HTTP/1.1 200 OK\r\n"
        "CACHE-CONTROL: max-age=120\r\n"
        "EXT:\r\n"
        f"LOCATION: {location}\r\n"
        "SERVER: Linux UPnP/1.0 lying-igd/1.0\r\n"
        f"ST: {target}\r\n"
        f"USN: {UDN}{number:04x}::{target}\r\n"
        "\r\n"
    ).encode("ascii")


def reply(status: str, body: bytes, headers: str = "") -> bytes:
    """Return an HTTP answer, such as to a GET; ``headers`` end with a line break each."""
    return head(status, len(body), headers) + body


def head(status: str, length: int | None, headers: str = "") -> bytes:
    """Return the head of an HTTP answer; without a length the connection's end ends it."""
    counted = "" if length is None else f"Content-Length: {length}\r\n"
    return (
        f"HTTP/1.1 {status}\r\n"
        'Content-Type: text/xml; charset="utf-8"\r\n'
        f"{counted}{headers}Connection: close\r\n\r\n"
    ).encode("ascii")


def description(
    name: bytes = b"Honest gateway", control: str = CONTROL, services: int = 0
) -> bytes:
    """Return a device description; ``services`` are of no use and stand beside the real one."""
    before, after = _around_name(control, services)
    return before + name + after


def _around_name(control: str, services: int) -> tuple[bytes, bytes]:
    """Return what stands before and after the root device's name."""
    useless = "".join(
        _service(f"urn:example-org:service:Useless{number}:1", f"/useless/{number}")
        for number in range(services)
    )
    inner = _device("WANConnectionDevice", 2, _services(_service(SERVICE, control)), "")
    middle = _device("WANDevice", 1, "", inner)
    root = _device("InternetGatewayDevice", 0, _services(useless) if useless else "", middle)
    text = (
        '<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0">'
        f"<specVersion><major>1</major><minor>0</minor></specVersion>{root}</root>"
    )
    before, mark, after = text.partition("<friendlyName>")
    return (before + mark).encode(), after.encode()


def _device(kind: str, number: int, services: str, inner: str) -> str:
    devices = f"<deviceList>{inner}</deviceList>" if inner else ""
    return (
        f"<device><deviceType>urn:schemas-upnp-org:device:{kind}:1</deviceType><friendlyName>"
        "</friendlyName><manufacturer>Nobody</manufacturer><modelName>lying-igd</modelName>"
        f"<modelNumber>1</modelNumber><UDN>{UDN}{number:04x}</UDN>{services}{devices}</device>"
    )


def _services(services: str) -> str:
    return f"<serviceList>{services}</serviceList>"


def _service(kind: str, control: str) -> str:
    return (
        f"<service><serviceType>{kind}</serviceType>"
        "<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>"
        f"<controlURL>{control}</controlURL><eventSubURL>/event</eventSubURL>"
        f"<SCPDURL>{SCPD}</SCPDURL></service>"
    )


def scpd() -> bytes:
    """Return the service's own description: the names of its actions."""
    actions = "".join(f"<action><name>{name}</name></action>" for name in _ACTIONS)
    return (
        '<?xml version="1.0"?>\n<scpd xmlns="urn:schemas-upnp-org:service-1-0">'
        "<specVersion><major>1</major><minor>0</minor></specVersion>"
        f"<actionList>{actions}</actionList></scpd>"
    ).encode("ascii")


def result(action: str, values: Mapping[str, str]) -> bytes:
    """Return the HTTP answer to an action that was done."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
    called = f'<u:{action}Response xmlns:u="{SERVICE}">{inner}</u:{action}Response>'
    return reply("200 OK", _envelope(called))


def fault(code: int, text: str) -> bytes:
    """Return the HTTP answer to an action that was refused."""
    error = (
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0">'
        f"<errorCode>{code}</errorCode><errorDescription>{text}</errorDescription>"
        "</UPnPError></detail></s:Fault>"
    )
    return reply("500 Internal Server Error", _envelope(error))


def _envelope(body: str) -> bytes:
    return (
        '<?xml version="1.0"?>\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
        ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


# --- Harm -----------------------------------------------------------------------------------------


def huge() -> Iterator[bytes]:
    """Yield a well-formed description with a name of :data:`HUGE_BYTES` bytes."""
    before, after = _around_name(CONTROL, 0)
    yield head("200 OK", len(before) + HUGE_BYTES + len(after)) + before
    for _ in range(HUGE_BYTES // _PIECE):
        yield b"A" * _PIECE
    yield after


def drip() -> Iterator[bytes]:
    """Yield the head of an answer, then a name without an end, one byte at a time."""
    yield head("200 OK", None)
    before, _ = _around_name(CONTROL, 0)
    for byte in before:
        yield bytes([byte])
    while True:
        yield b"A"


def entities() -> bytes:
    """Return a description whose name is 10 to the power of 10 characters, once it is read."""
    levels = ['<!ENTITY e0 "A">']
    for level in range(1, _ENTITY_LEVELS + 1):
        levels.append(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">')
    declared = f"<!DOCTYPE root [{''.join(levels)}]>\n<root ".encode("ascii")
    name = f"&e{_ENTITY_LEVELS};".encode("ascii")
    return description(name=name).replace(b"<root ", declared, 1)


def redirect(location: str) -> bytes:
    """Return the HTTP answer that sends its reader to another place."""
    return reply("302 Found", b"", f"Location: {location}\r\n")
