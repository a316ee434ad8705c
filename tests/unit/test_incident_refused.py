"""A file that is no invitation is refused, in one line that can be printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import pytest
from invitations import MEANT, PARAMETERS, SAMPLE, SESSION_ID, with_addresses

from harness.protocol.incident import MAX_BYTES, IncidentError, parse, write


def with_value(name: str, value: str) -> str:
    changed, count = re.subn(rf'\b{name}="[^"]*"', lambda _: f'{name}="{value}"', SAMPLE)
    assert count == 1
    return changed


def without(name: str) -> str:
    changed, count = re.subn(rf'\b{name}="[^"]*" ', "", SAMPLE)
    assert count == 1
    return changed


ENTITY_BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {name} "{f"&{earlier};" * 50}">'
        for earlier, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    + ']><UPLOADINFO TYPE="Escalated">&h;</UPLOADINFO>'
)
EXTERNAL = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>' + SAMPLE.split("\n", 1)[
    1
].replace('"jeff"', '"&f;"')
DATA = SAMPLE[SAMPLE.index("<UPLOADDATA") : SAMPLE.index("</UPLOADINFO")]

FIELDS = ("USERNAME", "RCTICKET", "RCTICKETENCRYPTED", "DtStart", "DtLength", "PassStub", "L")

REFUSALS: dict[str, tuple[str, str]] = {
    "nothing": ("", "not well-formed XML: no element found, line 1"),
    "no XML": ("[InternetShortcut]\nURL=http://example.com/", "not well-formed XML"),
    "cut off": (SAMPLE[:-5], "not well-formed XML"),
    "two roots": (SAMPLE + DATA, "not well-formed XML: junk after document element"),
    "NUL": (SAMPLE.replace("jeff", "je\0ff"), "it holds NULs"),
    "doubled attribute": (SAMPLE.replace(' L="0"', ' L="0" L="0"'), "duplicate attribute"),
    "unknown entity": (with_value("USERNAME", "&jeff;"), "undefined entity"),
    "entity bomb": (ENTITY_BOMB, "DOCTYPE"),
    "external entity": (EXTERNAL, "DOCTYPE"),
    "external subset": (
        SAMPLE.replace("<UPLOADI", '<!DOCTYPE x SYSTEM "http://example.com/x"><UPLOADI', 1),
        "DOCTYPE",
    ),
    "another root": (SAMPLE.replace("UPLOADINFO", "html"), "element 'html' does not belong here"),
    "no data": (SAMPLE.replace(DATA, ""), "UPLOADINFO holds no UPLOADDATA"),
    "data twice": (SAMPLE.replace(DATA, DATA * 2), "more than one UPLOADDATA"),
    "data as root": (DATA, "element 'UPLOADDATA' does not belong here"),
    "data in data": (
        SAMPLE.replace(" />", f">{DATA}</UPLOADDATA>"),
        "element 'UPLOADDATA' does not belong here",
    ),
    "info in info": (
        SAMPLE.replace("<UPLOADDATA", '<UPLOADINFO TYPE="Escalated"/><UPLOADDATA', 1),
        "element 'UPLOADINFO' does not belong here",
    ),
    "unknown element": (
        SAMPLE.replace("<UPLOADDATA", "<script/><UPLOADDATA"),
        "element 'script' does not belong here",
    ),
    "stray text": (SAMPLE.replace("</UPLOADINFO", "hello</UPLOADINFO"), "text 'hello' in UPLOADI"),
    "text in data": (SAMPLE.replace(" />", ">hello</UPLOADDATA>"), "text 'hello' in UPLOADDATA"),
    "stray CDATA": (
        SAMPLE.replace("</UPLOADINFO", "<![CDATA[<x>]]></UPLOADINFO"),
        "text '<x>' in UPLOADINFO",
    ),
    "no TYPE": (SAMPLE.replace(' TYPE="Escalated"', ""), "UPLOADINFO has no TYPE"),
    "empty TYPE": (with_value("TYPE", ""), "TYPE is empty"),
    "another TYPE": (with_value("TYPE", "escalated"), "TYPE 'escalated', not 'Escalated'"),
    "attribute on info": (
        SAMPLE.replace('TYPE="', 'xmlns="urn:x" TYPE="', 1),
        "UPLOADINFO has an unknown attribute 'xmlns'",
    ),
    "unknown attribute": (
        SAMPLE.replace('L="0"', 'L="0" EXTRA="1"'),
        "UPLOADDATA has an unknown attribute 'EXTRA'",
    ),
    "type 2": (
        SAMPLE.replace('L="0"', 'L="0" LHTICKET="00"'),
        "LHTICKET makes this a type 2 invitation (Windows Vista and later)",
    ),
    **{f"no {name}": (without(name), f"UPLOADDATA has no {name}") for name in FIELDS},
    **{f"empty {name}": (with_value(name, ""), f"{name} is empty") for name in FIELDS},
    "blank USERNAME": (with_value("USERNAME", "   "), "USERNAME is '   '"),
    "long USERNAME": (with_value("USERNAME", "x" * 257), "USERNAME is 'xxxx"),
    "terminal escape": (with_value("USERNAME", "&#x9b;31m"), r"USERNAME is '\x9b31m'"),
    "reversed text": (with_value("USERNAME", "a&#x202e;b"), r"USERNAME is 'a\u202eb'"),
    "RCTICKETENCRYPTED": (with_value("RCTICKETENCRYPTED", "yes"), "is 'yes', not 0 or 1"),
    "L": (with_value("L", "2"), "L is '2', not 0 or 1"),
    "DtStart text": (with_value("DtStart", "soon"), "DtStart is 'soon'"),
    "DtStart negative": (with_value("DtStart", "-1"), "DtStart is '-1'"),
    "DtStart signed": (with_value("DtStart", "+1"), "DtStart is '+1'"),
    "DtStart octal": (with_value("DtStart", "0755"), "DtStart is '0755'"),
    "DtStart grouped": (with_value("DtStart", "1_000"), "DtStart is '1_000'"),
    "DtStart Arabic": (with_value("DtStart", "&#x661;"), r"DtStart is '\u0661'"),
    "DtStart 2^32": (with_value("DtStart", str(2**32)), "from 0 to 4294967295"),
    "DtLength hex": (with_value("DtLength", "0x3c"), "DtLength is '0x3c'"),
    "DtLength fraction": (with_value("DtLength", "1.5"), "DtLength is '1.5'"),
    "DtLength huge": (with_value("DtLength", "9" * 9999), "DtLength is '" + "9" * 40 + "'..."),
    "PassStub space": (with_value("PassStub", "a b"), "PassStub is 'a b'"),
    "PassStub long": (with_value("PassStub", "a" * 65), "1 to 64 characters"),
    "PassStub wide": (with_value("PassStub", "&#xe9;"), r"PassStub is '\xe9'"),
    "seven fields": (SAMPLE.replace("65538,1,", "65538,"), "7 comma-separated fields, not 8"),
    "nine fields": (SAMPLE.replace("65538,1,", "65538,1,1,"), "9 comma-separated fields, not 8"),
    "version": (SAMPLE.replace("65538,", "65539,"), "ProtocolVersion '65539', not '65538'"),
    "protocol": (SAMPLE.replace("65538,1,", "65538,2,"), "protocolType '2', not '1'"),
    "account": (SAMPLE.replace(f"*,{SESSION_ID}", f"x,{SESSION_ID}"), "assistantAccountPwd 'x'"),
    "session name": (SAMPLE.replace(",*,*,", ",x,*,"), "RASessionName 'x', not '*'"),
    "session password": (SAMPLE.replace(",*,*,", ",*,x,"), "RASessionPwd 'x', not '*'"),
    "session id": (SAMPLE.replace(SESSION_ID, "a#b="), "RASessionID 'a#b=', which is not base64"),
    "session id, none": (SAMPLE.replace(SESSION_ID, ""), "RASessionID '', which is not base64"),
    "session id, unpadded": (SAMPLE.replace(SESSION_ID, SESSION_ID[:-1]), "is not base64"),
    "session id, two spellings": (SAMPLE.replace(SESSION_ID, "QUJDRB=="), "is not base64"),
    "session id, broken line": (SAMPLE.replace(SESSION_ID, "QUJD\nQUJD"), "is not base64"),
    "parameters": (SAMPLE.replace(PARAMETERS, "===="), "protocolSpecificParms '====', which"),
    "no address": (with_addresses(""), "RCTICKET names no address at all"),
    "empty entry": (with_addresses("10.0.0.2:3389;"), "RCTICKET names ''; an entry is"),
    "no port": (with_addresses("10.0.0.2"), "'10.0.0.2'; an entry is address:port"),
    "port 0": (with_addresses("10.0.0.2:0"), "RCTICKET names port 0; a port is 1 to 65535"),
    "port 70000": (with_addresses("a:70000"), "RCTICKET names port 70000; a port is 1 to 65535"),
    "port text": (with_addresses("a:rdp"), "RCTICKET names port 'rdp'"),
    "port octal": (with_addresses("a:03389"), "RCTICKET names port '03389'"),
    "port empty": (with_addresses("a:"), "RCTICKET names port ''"),
    "no host": (with_addresses(":3389"), "names '', which is neither"),
    "octet": (with_addresses("10.0.0.256:1"), "names '10.0.0.256', which is neither"),
    "short IPv4": (with_addresses("10.1:1"), "names '10.1', which is neither"),
    "one number": (with_addresses("167772162:1"), "names '167772162', which is neither"),
    "hex number": (with_addresses("0x7f000001:1"), "names '0x7f000001', which is neither"),
    "octal octet": (with_addresses("010.0.0.2:1"), "names '010.0.0.2', which is neither"),
    "this host": (with_addresses("0.0.0.0:1"), "0.0.0.0, which is no host's address"),
    "multicast": (with_addresses("224.0.0.1:1"), "224.0.0.1, which is no host's address"),
    "broadcast": (with_addresses("255.255.255.255:1"), "which is no host's address"),
    "IPv6": (with_addresses("fe80::1:3389"), "names 'fe80::1', which is neither"),
    "space": (with_addresses(" 10.0.0.2:1"), "names ' 10.0.0.2', which is neither"),
    "hyphen first": (with_addresses("-x:1"), "names '-x', which is neither"),
    "empty label": (with_addresses("a..b:1"), "names 'a..b', which is neither"),
    "long label": (with_addresses("a" * 64 + ":1"), "which is neither"),
    "long name": (with_addresses("a." * 127 + "b:1"), "which is neither"),
    "65 addresses": (with_addresses(";".join(["a:1"] * 65)), "65 addresses, more than 64"),
}


@pytest.mark.parametrize(("text", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_wrong_file_is_refused_by_name(text: str, message: str) -> None:
    assert_refused(text.encode(), message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"\xff\xfe<", "not UTF-16 text at byte 2", id="odd UTF-16"),
        pytest.param(b"\xff\xfe\x00\xd8<\x00", "not UTF-16 text at byte 2", id="half surrogate"),
        pytest.param(SAMPLE.encode("utf-16-le"), "it holds NULs", id="UTF-16LE, no mark"),
        pytest.param(SAMPLE.encode("utf-16-be"), "it holds NULs", id="UTF-16BE, no mark"),
        pytest.param(SAMPLE.encode("utf-32"), "it holds NULs", id="UTF-32"),
        pytest.param(
            SAMPLE.replace("jeff", "J\xfcrgen").encode("latin-1"), "not UTF-8 text", id="Latin-1"
        ),
        pytest.param(b"\xff\xfe" + ENTITY_BOMB.encode("utf-16-le"), "DOCTYPE", id="bomb in UTF-16"),
        pytest.param(
            SAMPLE.encode().ljust(MAX_BYTES + 1), "larger than 65536 bytes", id="too large"
        ),
    ],
)
def test_wrong_bytes_are_refused(data: bytes, message: str) -> None:
    assert_refused(data, message)


def test_the_largest_size_allowed_is_read() -> None:
    assert parse(SAMPLE.encode().ljust(MAX_BYTES)) == MEANT


def damaged(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` cut at every byte, and then with random bytes changed, added and removed."""
    for end in range(len(data)):
        yield data[:end]
    random = Random(3389)
    # Mostly ASCII: a byte that is no text is refused before anything else is looked at.
    interesting = bytes(range(128)) + b"<>\"'&;,:*=/! 0123456789" * 4 + b"\xff\xfe\xc2\x9b"
    for _ in range(4000):
        changed = bytearray(data)
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(changed))
            length = random.choice((0, 0, 1, 1, 1, 8, 64))
            filling = bytes(random.choice(interesting) for _ in range(random.choice((0, 1, 1, 4))))
            changed[at : at + length] = filling or b" "
        yield bytes(changed)


def assert_refused(data: bytes, message: str) -> None:
    with pytest.raises(IncidentError, match=re.escape(message)) as refusal:
        parse(data)
    assert_fit_to_print(refusal.value)


def assert_fit_to_print(error: IncidentError) -> None:
    message = str(error)
    assert message.isascii()
    assert message.isprintable()
    assert message.startswith("invitation: ")
    assert len(message) < 160


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_a_damaged_file_is_an_invitation_or_a_refusal_and_nothing_else(encoding: str) -> None:
    read_anyway = 0
    for data in damaged(SAMPLE.encode(encoding)):
        try:
            incident = parse(data)
        except IncidentError as error:
            assert_fit_to_print(error)
        else:
            assert parse(write(incident)) == incident
            read_anyway += 1
    assert read_anyway  # else the damage never got past the markup, and proved nothing of fields
