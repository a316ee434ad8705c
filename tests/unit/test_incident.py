"""The invitation file: what is written, what is read back, and what is refused and how."""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

import pytest

from harness.protocol.incident import (
    CLOCK_SKEW,
    MAX_BYTES,
    Candidate,
    Incident,
    IncidentError,
    check_usable,
    compose,
    invitation_key,
    parse,
    pass_blob,
    rc4,
    read,
    write,
)

SESSION_ID = "c2Vzc2lvbiBpZGVudGlmaWVyIG9mIDMyIGJ5dGVzISE="
PARAMETERS = "cGFyYW1ldGVycyAyMCBieXRlcyE="

# The structure of the sample in [MS-RAI] section 6, with base64 of our own.
SAMPLE = (
    '<?xml version="1.0" encoding="Unicode" ?>\n'
    '<UPLOADINFO TYPE="Escalated">\n'
    '    <UPLOADDATA \n        USERNAME="jeff" \n'
    '        RCTICKET="65538,1,192.168.1.65:3389;jeff_xp:3389,*,'
    f'{SESSION_ID},*,*,{PARAMETERS}" \n'
    '        RCTICKETENCRYPTED="1" \n        DtStart="1160080069" \n        DtLength="60" \n'
    '        PassStub="o2*5GdBARK_JBB" \n        L="0" />\n'
    "</UPLOADINFO>\n"
)
MEANT = Incident(
    username="jeff",
    candidates=(Candidate("192.168.1.65", 3389), Candidate("jeff_xp", 3389)),
    session_id=SESSION_ID,
    parameters=PARAMETERS,
    start=1160080069,
    minutes=60,
    pass_stub="o2*5GdBARK_JBB",
)


def with_addresses(text: str) -> str:
    return SAMPLE.replace("192.168.1.65:3389;jeff_xp:3389", text)


def with_value(name: str, value: str) -> str:
    changed, count = re.subn(rf'\b{name}="[^"]*"', lambda _: f'{name}="{value}"', SAMPLE)
    assert count == 1
    return changed


def without(name: str) -> str:
    changed, count = re.subn(rf'\b{name}="[^"]*" ', "", SAMPLE)
    assert count == 1
    return changed


def a_composed_one(**changes: object) -> Incident:
    values: dict[str, object] = {
        "username": "novice",
        "candidates": (Candidate("10.0.0.2", 3389),),
        "now": 1_000_000_000.9,
        "minutes": 60,
    }
    return compose(**(values | changes))  # type: ignore[arg-type]


# --- reading and writing


def test_the_specifications_sample_is_read() -> None:
    assert parse(SAMPLE.encode()) == MEANT


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + SAMPLE.encode(), id="UTF-8 with mark"),
        pytest.param(b"\xff\xfe" + SAMPLE.encode("utf-16-le"), id="UTF-16LE with mark"),
        pytest.param(b"\xfe\xff" + SAMPLE.encode("utf-16-be"), id="UTF-16BE with mark"),
        pytest.param(SAMPLE.split("\n", 1)[1].encode(), id="no XML declaration"),
        pytest.param(SAMPLE.replace("Unicode", "UTF-8").encode(), id="declared UTF-8"),
        pytest.param(SAMPLE.replace("\n", "\r\n").encode(), id="Windows line ends"),
    ],
)
def test_the_sample_reads_the_same_in_every_encoding_it_is_met_in(data: bytes) -> None:
    assert parse(data) == MEANT


def test_what_is_written_reads_back_the_same() -> None:
    incident = dataclasses.replace(MEANT, username="J\u00fcrgen <\"&'> \u65e5", low_speed=True)
    incident = dataclasses.replace(incident, encrypted=False, pass_stub="a&1<Bc\"'>")
    assert parse(write(incident)) == incident


def test_what_is_written_is_ascii_and_declares_unicode() -> None:
    data = write(dataclasses.replace(MEANT, username="J\u00fcrgen"))
    assert data.isascii()
    assert data.startswith(
        b'<?xml version="1.0" encoding="Unicode" ?><UPLOADINFO TYPE="Escalated">'
    )


def test_what_is_composed_reads_back_the_same() -> None:
    incident = a_composed_one()
    assert parse(write(incident)) == incident
    assert (incident.start, incident.minutes) == (1_000_000_000, 60)


def test_no_two_invitations_share_a_session_identifier_or_stub() -> None:
    many = [a_composed_one() for _ in range(50)]
    assert len({each.session_id for each in many}) == 50
    assert len({each.pass_stub for each in many}) == 50


def test_a_candidate_listed_twice_is_kept_once_in_its_first_place() -> None:
    text = with_addresses("10.0.0.2:3389;jeff_xp:3389;10.0.0.2:3389;10.0.0.2:3390")
    kept = [Candidate("10.0.0.2", 3389), Candidate("jeff_xp", 3389), Candidate("10.0.0.2", 3390)]
    assert list(parse(text.encode()).candidates) == kept
    assert list(a_composed_one(candidates=[*kept, kept[0]]).candidates) == kept


def test_a_candidate_knows_its_ip_and_its_text() -> None:
    assert Candidate("10.0.0.2", 3389).ip == IPv4Address("10.0.0.2")
    assert Candidate("jeff_xp", 3389).ip is None
    assert str(Candidate("jeff_xp", 49152)) == "jeff_xp:49152"


@pytest.mark.parametrize("name", ["JEFF-XP", "jeff_xp.example.com", "a" * 63, "3com", "x1.y2"])
def test_a_computer_name_is_read(name: str) -> None:
    assert parse(with_addresses(f"{name}:1").encode()).candidates == (Candidate(name, 1),)


def test_sixty_four_addresses_are_read() -> None:
    entries = ";".join(f"10.0.0.{n}:65535" for n in range(64))
    assert len(parse(with_addresses(entries).encode()).candidates) == 64


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("candidates", (), "no address"),
        ("candidates", (Candidate("10.0.0.2", 0),), "port 0"),
        ("candidates", (Candidate("fe80::1", 3389),), "fe80::1"),
        ("candidates", (Candidate("a", 1), Candidate("a", 1)), "candidates"),
        ("username", "", "USERNAME"),
        ("username", "two\nlines", "username would not read back"),
        ("username", "two\u2028lines", r"USERNAME is 'two\u2028lines'"),
        ("username", "\ud800", "not well-formed"),
        ("session_id", "not base64", "RASessionID"),
        ("session_id", "AAAA,*,*,AAAA", "RCTICKET"),
        ("parameters", "", "protocolSpecificParms"),
        ("start", -1, "DtStart"),
        ("minutes", 2**32, "DtLength"),
        ("pass_stub", "with space", "PassStub"),
    ],
)
def test_no_file_is_written_that_would_not_read_back(field: str, value: object, names: str) -> None:
    incident = dataclasses.replace(MEANT, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(IncidentError, match=re.escape(names)):
        write(incident)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"minutes": 0}, "0 minutes"),
        ({"candidates": ()}, "no address"),
        ({"candidates": (Candidate("10.0.0.2", 70000),)}, "port 70000"),
        ({"username": ""}, "USERNAME"),
        ({"now": -5.0}, "DtStart"),
    ],
)
def test_nothing_is_composed_that_no_file_can_say(changes: dict[str, object], names: str) -> None:
    with pytest.raises(IncidentError, match=re.escape(names)):
        a_composed_one(**changes)


# --- what is refused

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
    with pytest.raises(IncidentError, match=re.escape(message)) as refusal:
        parse(text.encode())
    assert_fit_to_print(refusal.value)


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
    with pytest.raises(IncidentError, match=re.escape(message)) as refusal:
        parse(data)
    assert_fit_to_print(refusal.value)


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


# --- reading from a disk


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "novice.MsRcIncident"
    path.write_bytes(write(MEANT))
    assert parse(read(path)) == MEANT


def test_an_enormous_file_is_refused_after_its_first_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "enormous"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    taken: list[int] = []
    opened = Path.open

    class Counting:
        def __enter__(self) -> Counting:
            self.file = opened(path, "rb")
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def read(self, size: int) -> bytes:
            taken.append(size)
            return self.file.read(size)

    monkeypatch.setattr(Path, "open", lambda *_: Counting())
    with pytest.raises(IncidentError, match="larger than 65536 bytes"):
        read(path)
    assert taken == [MAX_BYTES + 1]


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(IncidentError, match="is not a file"):
            read(path)


def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "closed"
    path.write_bytes(b"x")

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(IncidentError, match="cannot be read: Permission denied"):
        read(path)


# --- validity

END = MEANT.start + 60 * 60


def test_an_invitation_ends_with_its_last_second() -> None:
    assert MEANT.expires == END
    assert not MEANT.expired(END - 0.001)
    assert MEANT.expired(END)
    check_usable(MEANT, END - 0.001)
    with pytest.raises(IncidentError, match=r"expired 90 s ago \(DtStart 1160080069, DtLength 60"):
        check_usable(MEANT, END + 90)


def test_an_invitation_of_no_length_is_never_usable() -> None:
    with pytest.raises(IncidentError, match="expired 0 s ago"):
        check_usable(dataclasses.replace(MEANT, minutes=0), MEANT.start)


def test_a_novices_clock_may_be_a_day_ahead_and_no_more() -> None:
    check_usable(MEANT, MEANT.start - CLOCK_SKEW)
    with pytest.raises(IncidentError, match="begins in 86401 s"):
        check_usable(MEANT, MEANT.start - CLOCK_SKEW - 1)


def test_an_invitation_without_an_address_is_not_usable() -> None:
    with pytest.raises(IncidentError, match="no address at all"):
        check_usable(dataclasses.replace(MEANT, candidates=()), MEANT.start)


# --- pass stub and keys


def test_a_pass_stub_follows_the_alphabets_of_its_places() -> None:
    anything = string.ascii_letters + string.digits + "*_"
    places = [
        anything,
        "!@#$^*()-+=",
        string.digits,
        string.ascii_uppercase,
        string.ascii_lowercase,
        *([anything] * 9),
    ]
    stubs = [a_composed_one().pass_stub for _ in range(1000)]
    for stub in stubs:
        assert len(stub) == 14
        assert all(char in place for char, place in zip(stub, places, strict=True))
    seen = [set(chars) for chars in zip(*stubs, strict=True)]
    assert [len(chars) for chars in seen[1:5]] == [11, 10, 26, 26]


@pytest.mark.parametrize(
    ("key", "blocks"),
    [
        (
            "0102030405",
            {
                0: "b2396305f03dc027ccc3524a0a1118a8",
                16: "6982944f18fc82d589c403a47a0d0919",
                4096: "ff25b58995996707e51fbdf08b34d875",
            },
        ),
        (
            "0102030405060708090a0b0c0d0e0f10",
            {
                0: "9ac7cc9a609d1ef7b2932899cde41b97",
                16: "5248c4959014126a6e8a84f11d1a9e1c",
                4096: "a36a4c301ae8ac13610ccbc12256cacc",
            },
        ),
    ],
)
def test_rc4_gives_the_key_streams_of_rfc_6229(key: str, blocks: dict[int, str]) -> None:
    stream = rc4(bytes.fromhex(key), bytes(4096 + 16))
    for offset, block in blocks.items():
        assert stream[offset : offset + 16].hex() == block


def test_a_pass_blob_is_as_long_as_the_stub_in_utf_16_and_its_length() -> None:
    blob = pass_blob("Password1", "o2*5GdBARK_JBB")
    assert re.fullmatch(r"[0-9A-F]{64}", blob)
    # What FreeRDP 2.11.7 computes from the same two texts.
    assert blob == "3C9CAE0BF37AD75C9DAC04D661044CDF34FADF92D4DE1C8A1117998A7DED1490"


def test_an_invitation_key_depends_on_password_session_and_stub() -> None:
    incidents = [
        MEANT,
        dataclasses.replace(MEANT, session_id=PARAMETERS),
        dataclasses.replace(MEANT, pass_stub="o2*5GdBARK_JBC"),
        dataclasses.replace(
            MEANT, session_id=SESSION_ID + "o", pass_stub=MEANT.pass_stub.removeprefix("o")
        ),
    ]
    keys = {invitation_key(each, password) for each in incidents for password in ("", "a", "A")}
    assert len(keys) == 12
    assert {len(key) for key in keys} == {32}


def test_an_invitation_key_is_the_same_on_both_sides() -> None:
    expert = parse(write(MEANT))
    assert invitation_key(expert, "p\u00e4ss") == invitation_key(MEANT, "p\u00e4ss")


@pytest.mark.parametrize("password", ["a\0", "\ud800"])
def test_a_password_that_cannot_be_encoded_is_refused(password: str) -> None:
    with pytest.raises(IncidentError, match="the password"):
        pass_blob(password, MEANT.pass_stub)
    with pytest.raises(IncidentError, match="the password"):
        invitation_key(MEANT, password)
