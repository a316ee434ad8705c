"""The pass stub, and the keys that are made of it and of the password."""

from __future__ import annotations

import dataclasses
import re
import string

import pytest
from invitations import MEANT, PARAMETERS, SESSION_ID, a_composed_one

from harness.protocol.incident import IncidentError, invitation_key, parse, pass_blob, rc4, write


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
