"""An invitation is read as it was written, from a file too, and used as long as it lasts."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from invitations import MEANT, SAMPLE, a_composed_one, with_addresses

from harness.protocol.incident import (
    CLOCK_SKEW,
    MAX_BYTES,
    Candidate,
    IncidentError,
    check_usable,
    parse,
    read,
    write,
)

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
