"""A description is read as far as it is one, within limits, and nothing in it is expanded."""

from __future__ import annotations

import pytest
from hostile import MIB, SERVICE, costing, description, service

from harness.protocol.igd.description import parse_actions, parse_description
from harness.protocol.igd.errors import IgdError
from harness.protocol.igd.tree import XmlLimits, read

BASE = "<URLBase>http://127.0.0.1:80/</URLBase>"


def test_the_root_device_is_told_and_every_service_inside_it() -> None:
    kinds = (SERVICE, "urn:schemas-upnp-org:service:Layer3Forwarding:1")
    found = parse_description(description([service(kind) for kind in kinds], before=BASE))
    assert found.device_type == "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
    assert (found.friendly_name, found.manufacturer) == ("Router", "Maker")
    assert (found.model_name, found.model_number) == ("Model", "1.2")
    assert (found.serial_number, found.udn) == ("0815", "uuid:1")
    assert found.url_base == "http://127.0.0.1:80/"
    assert [each.type for each in found.services] == list(kinds)
    first = found.services[0]
    assert (first.control, first.event, first.scpd) == ("/ctl", "/evt", "/scpd.xml")


def test_the_best_wan_service_comes_first() -> None:
    kind = "urn:schemas-upnp-org:service:WAN{}Connection:{}"
    kinds = [
        kind.format("PPP", 1),
        kind.format("IP", 1),
        kind.format("Common", 1),
        kind.format("IP", 2),
        kind.format("IP", 2) + "0",
        kind.format("IP", 1) + "\r\nX: y",
    ]
    found = parse_description(description([service(each) for each in kinds]))
    assert [each.type for each in found.wan_services] == [kinds[3], kinds[1], kinds[0]]


NAMES = {
    "as it is": ("J\xfcrgens Ger\xe4t \u5bb6", "J\xfcrgens Ger\xe4t \u5bb6"),
    "right to left": ("\u202eretuoR", r"\u202eretuoR"),
    "control characters": ("a&#x85;b\u200b", r"a\x85b\u200b"),
    "lines": ("a\n\tb", r"a\n\tb"),
    "markup": ("&lt;script&gt;<![CDATA[<b>]]>", "<script><b>"),
    "markup in it": ("Rou<b>X</b>ter", "Router"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("said", "shown"), NAMES.values(), ids=NAMES)
def test_a_name_is_kept_as_printable_text(said: str, shown: str) -> None:
    name = parse_description(description(name=said)).friendly_name
    assert name == shown
    assert name.isprintable()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1"])
def test_a_description_is_read_in_the_encodings_of_xml(encoding: str) -> None:
    text = description(name="Ger\xe4t").decode()
    named = text.replace("?>", f' encoding="{encoding.removesuffix("-sig")}"?>', 1)
    assert parse_description(named.encode(encoding)).friendly_name == "Ger\xe4t"


@pytest.mark.parametrize(
    "namespace", ["", ' xmlns="urn:wrong"', ' xmlns:x="urn:schemas-upnp-org:device-1-0"']
)
def test_a_wrong_namespace_changes_nothing(namespace: str) -> None:
    data = description().replace(b' xmlns="urn:schemas-upnp-org:device-1-0"', namespace.encode())
    assert len(parse_description(data).services) == 1


def test_prefixes_change_nothing_not_even_undeclared_ones() -> None:
    data = description()
    for name in (b"root", b"device", b"serviceList", b"friendlyName"):
        data = data.replace(b"<" + name, b"<u:" + name).replace(b"</" + name, b"</u:" + name)
    found = parse_description(data)
    assert (found.friendly_name, len(found.services)) == ("Router", 1)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE root [<!ENTITY a "'
    + "x" * 10_000
    + '"><!ENTITY b "'
    + "&a;" * 10_000
    + '">]><root><device><friendlyName>&b;</friendlyName></device></root>'
).encode()
LAUGHS = (
    "<!DOCTYPE lolz [<!ENTITY l0 'lol'>"
    + "".join(f"<!ENTITY l{n + 1} '{f'&l{n};' * 10}'>" for n in range(9))
    + "]><lolz>&l9;</lolz>"
).encode()

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "nothing where XML was due"),
    "white space": (b" \r\n", "nothing where XML was due"),
    "HTML": (b"<html><body><br></body></html>", "no well-formed XML: mismatched tag: "),
    "another document": (b"<scpd/>", "no device description: the XML has 'scpd' and no device"),
    "no device": (b"<root/>", "no device description: the XML has 'root' and no device"),
    "cut": (description()[:300], "no well-formed XML: "),
    "junk": (bytes(range(256)), "no well-formed XML: "),
    "NULs": (bytes(1000), "no well-formed XML: "),
    "a NUL in a name": (description(name="a\0b"), "no well-formed XML: "),
    "a NUL by number": (description(name="a&#0;b"), "no well-formed XML: reference to invalid"),
    "bytes that are no text": (
        description(name="@").replace(b"@", b"\xff\xfe\x80"),
        "no well-formed XML: not well-formed (invalid token)",
    ),
    "entity bomb": (BOMB, "XML with a document type, 'root'; its entities are not read"),
    "a billion laughs": (LAUGHS, "XML with a document type, 'lolz'; its entities are not read"),
    "an entity of another place": (
        b'<!DOCTYPE r SYSTEM "http://127.0.0.2/x.dtd"><root><device>&x;</device></root>',
        "XML with a document type, 'r'; its entities are not read",
    ),
    "an unknown entity": (description(name="&nbsp;"), "no well-formed XML: undefined entity"),
    "a codec of Python's": (
        b'<?xml version="1.0" encoding="unicode_escape"?><root/>',
        "XML in an encoding that is not read: 'unicode_escape'",
    ),
    "many bytes a character": (
        b'<?xml version="1.0" encoding="gb2312"?><root/>',
        "XML in an encoding that is not read: 'gb2312'",
    ),
    "ten thousand services": (
        description([service()] * 10_000),
        "XML with more than 10000 elements",
    ),
    "a thousand services": (description([service()] * 1000), "1000 services, at most 256 "),
    "deep": (b"<a>" * 5000 + b"</a>" * 5000, "XML with more than 32 levels"),
    "wide": (b"<root>" + b"<a/>" * 200_000 + b"</root>", "XML with more than 10000 elements"),
    "a long name": (
        description(name="x" * 5000),
        "XML with more than 4096 characters in 'friendlyName'",
    ),
    "a long name in parts": (
        description(name="x<b/>" * 5000),
        "XML with more than 4096 characters in 'friendlyName'",
    ),
    "a megabyte of attributes": (
        b"<root " + b" ".join(b"a%d=''" % n for n in range(100_000)) + b"/>",
        "no device description: ",
    ),
    "a long element": (b"<" + b"x" * MIB + b"/>", "no device description: "),
    "terminal escapes": (b"<root>\x1b[31m</root>", "no well-formed XML: "),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_description_is_refused_in_one_line(data: bytes, why: str) -> None:
    with costing() as cost, pytest.raises(IgdError) as no:
        parse_description(data)
    assert str(no.value).startswith(why)
    assert str(no.value).isprintable()
    assert len(str(no.value)) < 250
    assert cost.seconds < 4
    # The document itself was there before.
    assert cost.peak < 32 * MIB


def test_the_actions_of_a_service_are_told() -> None:
    actions = "".join(f"<action><name>{name}</name></action>" for name in ("A", "B"))
    assert parse_actions(f"<scpd><actionList>{actions}</actionList></scpd>".encode()) == {"A", "B"}
    assert parse_actions(b"<scpd/>") == frozenset()
    with pytest.raises(IgdError, match=r"^no service description: the XML has 'root'$"):
        parse_actions(b"<root/>")


def test_limits_are_where_they_are_said_to_be() -> None:
    limits = XmlLimits(depth=2, elements=3, text=4)
    assert read(b"<a><b>1234</b><c/></a>", limits).text_of("b") == "1234"
    for data in (b"<a><b>12345</b></a>", b"<a><b/><b/><b/></a>", b"<a><b><c/></b></a>"):
        with pytest.raises(IgdError, match=r"^XML with more than "):
            read(data, limits)
