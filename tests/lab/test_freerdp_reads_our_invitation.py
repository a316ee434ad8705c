"""Interoperability: FreeRDP, which we did not write, reads the invitations that we write.

Held against Debian's FreeRDP 2.11.7, through ``ctypes``. How that version differs from us:

- It reads 8-bit text only, and refuses UTF-16 with and without a byte order mark. We write ASCII.
- It leaves ``&amp;`` in a pass stub as it is, and encrypts that. We draw stubs without ``&``.
- It drops the first address of a ticket, and keeps the semicolon in front of the others (put
  right in FreeRDP 3). The addresses are therefore compared from the second on.
- It takes any ``TYPE``, so that this cannot show that it refuses a broken file.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_ssize_t, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.protocol.incident import (
    Candidate,
    Incident,
    IncidentError,
    compose,
    parse,
    pass_blob,
    write,
)

LIBRARY = "libfreerdp2.so.2"
PACKAGE = "libfreerdp2-2"
PASSWORD = "Passw\u00f6rd 1 \u20ac"
NOVICE = (
    Candidate("192.168.1.65", 3389),
    Candidate("17.1.1.1", 49152),
    Candidate("jeff_xp", 3390),
)


@dataclass(frozen=True)
class Session:
    """The texts FreeRDP would begin its session with."""

    username: str
    ticket: str
    session_id: str
    pass_stub: str
    places: tuple[str, ...]
    """Where it would dial, as ``host:port``."""


class FreeRdp:
    """The few calls of the library that read an invitation."""

    def __init__(self) -> None:
        library = ctypes.CDLL(LIBRARY)

        def call(name: str, result: Any, *arguments: Any) -> Any:
            # Undeclared, ctypes would cut a pointer to 32 bits on its way in and out.
            function = library[name]
            function.restype = result
            function.argtypes = arguments
            return function

        prefix = "freerdp_assistance"
        self._new = call(f"{prefix}_file_new", c_void_p)
        self._free = call(f"{prefix}_file_free", None, c_void_p)
        self._parse = call(f"{prefix}_parse_file", c_int, c_void_p, c_char_p, c_char_p)
        self._stub = call(
            f"{prefix}_get_encrypted_pass_stub",
            c_int,
            c_void_p,
            POINTER(c_void_p),
            POINTER(c_size_t),
        )
        self._populate = call(
            f"{prefix}_populate_settings_from_assistance_file", c_int, c_void_p, c_void_p
        )
        self._settings_new = call("freerdp_settings_new", c_void_p, c_uint32)
        self._settings_free = call("freerdp_settings_free", None, c_void_p)
        self._key = call("freerdp_settings_get_key_for_name", c_ssize_t, c_char_p)
        self._string = call("freerdp_settings_get_string", c_char_p, c_void_p, c_size_t)
        self._number = call("freerdp_settings_get_uint32", c_uint32, c_void_p, c_size_t)
        self._pointer = call("freerdp_settings_get_pointer", c_void_p, c_void_p, c_size_t)

    def encrypted_stub(self, path: Path, password: str) -> bytes | None:
        """Return the pass stub as FreeRDP would send it; None where it refuses the file."""
        with self._opened(path, password) as file:
            if file is None:
                return None
            stub, length = c_void_p(), c_size_t()
            assert self._stub(file, byref(stub), byref(length)) == 1
            assert stub.value is not None
            return ctypes.string_at(stub.value, length.value)

    def session(self, path: Path, password: str) -> Session:
        """Return what FreeRDP would begin its session with."""
        settings = self._settings_new(0)
        try:
            with self._opened(path, password) as file:
                assert file is not None, "FreeRDP refuses the file"
                assert self._populate(file, settings) == 1, "FreeRDP kept no address"
            return self._session(settings)
        finally:
            self._settings_free(settings)

    @contextmanager
    def _opened(self, path: Path, password: str) -> Iterator[Any]:
        file = self._new()
        try:
            status = self._parse(file, str(path).encode(), password.encode())
            yield file if status >= 0 else None
        finally:
            self._free(file)

    def _session(self, settings: Any) -> Session:
        def setting(read: Any, name: str) -> Any:
            return read(settings, self._key(f"FreeRDP_{name}".encode()))

        count = setting(self._number, "TargetNetAddressCount")
        hosts = (c_char_p * count).from_address(setting(self._pointer, "TargetNetAddresses"))
        ports = (c_uint32 * count).from_address(setting(self._pointer, "TargetNetPorts"))
        return Session(
            username=setting(self._string, "Username").decode(),
            ticket=setting(self._string, "RemoteAssistanceRCTicket").decode(),
            session_id=setting(self._string, "RemoteAssistanceSessionId").decode(),
            pass_stub=setting(self._string, "RemoteAssistancePassStub").decode(),
            places=tuple(
                f"{host.decode().removeprefix(';')}:{port}"
                for host, port in zip(hosts, ports, strict=True)
            ),
        )


@pytest.fixture(scope="module")
def freerdp() -> FreeRdp:
    with suppress(OSError):
        return FreeRdp()
    pytest.fail(f"{LIBRARY} is missing: apt-get install {PACKAGE}", pytrace=False)


def invitation(*candidates: Candidate) -> Incident:
    return compose(username="novice", candidates=candidates, now=1_160_080_069, minutes=60)


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "ours.MsRcIncident"
    path.write_bytes(data)
    return path


def test_freerdp_begins_its_session_with_the_texts_that_we_wrote(
    freerdp: FreeRdp, tmp_path: Path
) -> None:
    """Session, ticket, pass stub and places to dial come out as they went in."""
    incident = invitation(*NOVICE)
    session = freerdp.session(saved(tmp_path, write(incident)), PASSWORD)
    assert session.username == "novice"
    assert session.ticket == (
        "65538,1,192.168.1.65:3389;17.1.1.1:49152;jeff_xp:3390,*,"
        f"{incident.session_id},*,*,{incident.parameters}"
    )
    assert session.session_id == incident.session_id
    assert session.pass_stub == incident.pass_stub
    assert session.places[-2:] == ("17.1.1.1:49152", "jeff_xp:3390")


def test_freerdp_encrypts_every_pass_stub_as_we_do(freerdp: FreeRdp, tmp_path: Path) -> None:
    """Its RC4 of our stub under the password is our pass blob, whatever stub is drawn."""
    for _ in range(100):
        incident = invitation(*NOVICE[:1])
        encrypted = freerdp.encrypted_stub(saved(tmp_path, write(incident)), PASSWORD)
        assert encrypted is not None
        assert encrypted == bytes.fromhex(pass_blob(PASSWORD, incident.pass_stub))


def test_another_password_encrypts_the_stub_differently(freerdp: FreeRdp, tmp_path: Path) -> None:
    """The comparison above can fail."""
    incident = invitation(*NOVICE)
    encrypted = freerdp.encrypted_stub(saved(tmp_path, write(incident)), "another")
    assert encrypted is not None
    assert encrypted != bytes.fromhex(pass_blob(PASSWORD, incident.pass_stub))


@pytest.mark.parametrize(
    ("good", "broken"),
    [
        pytest.param(b"65538,1,", b"65539,1,", id="another protocol version"),
        pytest.param(b"65538,1,", b"65538,", id="seven fields"),
        pytest.param(b",*,*,", b",x,*,", id="a session name"),
        pytest.param(b":3390", b":70000", id="a port that is none"),
        pytest.param(b":3390", b"", id="no port"),
        pytest.param(b"UPLOADINFO", b"UPLOADED", id="another root"),
    ],
)
def test_freerdp_refuses_what_we_refuse(
    freerdp: FreeRdp, tmp_path: Path, good: bytes, broken: bytes
) -> None:
    """Its yes to our files means something, since it can say no."""
    whole = write(invitation(*NOVICE))
    assert good in whole
    damaged = whole.replace(good, broken)
    assert freerdp.encrypted_stub(saved(tmp_path, damaged), PASSWORD) is None
    with pytest.raises(IncidentError):
        parse(damaged)
