"""Packet captures in the pcapng format (draft-ietf-opsawg-pcapng), as Wireshark and tshark read it.

One file holds the frames of many interfaces, each named ``NODE/IFACE``, on one clock in
nanoseconds and with the direction of each frame. What is read is what the harness writes, also
after Wireshark's tools have rewritten it. A file may have been cut short, altered or made up: every
length in it is checked before it is believed, and memory is bounded by the constants below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

MAX_BLOCK: Final = 1 << 20
"""The most bytes of a block that is read; the largest frame that Linux hands out is half of it."""

MAX_INTERFACES: Final = 1024
"""The most interfaces of one section that are read."""

MAX_NAME: Final = 255
"""The most bytes of an interface's name."""

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_OBSOLETE_PACKET = 2
_SIMPLE_PACKET = 3
_PACKET = 6

_MAGIC = 0x1A2B3C4D
_VERSION = 1
_LENGTH_UNKNOWN = -1
_ETHERNET = 1
_NO_LIMIT = 0

_END = 0
_COMMENT = 1
_APPLICATION = 4
_NAME = 2
_RESOLUTION = 9
_OFFSET = 14
_FLAGS = 2

_NANOSECONDS = 9
_MICROSECONDS = 6
_SECOND = 10**9
_DIRECTION = 0b11
_INBOUND = 1
_OUTBOUND = 2

_WRITTEN_BY = b"ra-harness"


class CaptureError(ValueError):
    """A file that is no capture of the harness, is damaged, or ends before its time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame as one interface saw it.

    ``time_ns`` counts nanoseconds since 1970 (CLOCK_REALTIME), ``interface`` is ``NODE/IFACE``.
    ``outgoing`` tells that the node sent the frame. ``data`` begins with the Ethernet header and
    may be cut short; ``length`` is the whole frame's, in bytes.
    """

    time_ns: int
    interface: str
    outgoing: bool
    data: bytes
    length: int

    @property
    def node(self) -> str:
        """The node that the interface belongs to."""
        return self.interface.rpartition("/")[0]


def write(
    stream: BinaryIO,
    interfaces: Iterable[str],
    frames: Iterable[Frame],
    comment: str = "",
    snaplen: int | None = None,
) -> None:
    """Write a capture, of each frame ``snaplen`` bytes if that is given.

    ``interfaces`` are named in the file whether or not they saw a frame: silence is evidence too.
    ``comment`` is for people, and belongs to the whole file.

    Raises:
        OSError: the file could not be written.
    """
    header = struct.pack("<IHHq", _MAGIC, _VERSION, 0, _LENGTH_UNKNOWN)
    said = _option(_COMMENT, comment.encode()) if comment else b""
    stream.write(
        _block(_SECTION, header + said + _option(_APPLICATION, _WRITTEN_BY) + _option(_END))
    )
    numbers: dict[str, int] = {}
    for name in interfaces:
        _declare(stream, numbers, name)
    for frame in frames:
        if frame.interface not in numbers:
            _declare(stream, numbers, frame.interface)
        stream.write(_packet_block(numbers[frame.interface], frame, frame.data[:snaplen]))


def read(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the frames of a capture in the order of the file, one at a time.

    ``stream`` is buffered, as ``open(path, "rb")`` is.

    Raises:
        CaptureError: the text says at which byte of the file, and what is wrong there.
        OSError: the file could not be read.
    """
    return _Reader(stream).frames()


def _declare(stream: BinaryIO, numbers: dict[str, int], name: str) -> None:
    numbers[name] = len(numbers)
    options = _option(_NAME, name.encode()) + _option(_RESOLUTION, bytes((_NANOSECONDS,)))
    body = struct.pack("<HHI", _ETHERNET, 0, _NO_LIMIT)
    stream.write(_block(_INTERFACE, body + options + _option(_END)))


def _packet_block(number: int, frame: Frame, kept: bytes) -> bytes:
    high, low = divmod(frame.time_ns, 1 << 32)
    head = struct.pack("<IIIII", number, high, low, len(kept), frame.length)
    direction = struct.pack("<I", _OUTBOUND if frame.outgoing else _INBOUND)
    options = _option(_FLAGS, direction) + _option(_END)
    return _block(_PACKET, head + _padded(kept) + options)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes = b"") -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


@dataclass(frozen=True)
class _Interface:
    """An interface as a file describes it: how many units its clock has a second, and its zero."""

    name: str
    units: int
    offset_ns: int


class _Reader:
    """Goes through a file once; ``_at`` is where the block begins that is being read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._at = 0

    def frames(self) -> Iterator[Frame]:
        while head := self._stream.read(12):
            frame, length = self._take(head)
            if frame is not None:
                yield frame
            self._at += length
        if self._at == 0:
            raise self._error("the file is empty")

    def _take(self, head: bytes) -> tuple[Frame | None, int]:
        """Read the rest of a block; return its frame, if it is one's, and its length."""
        try:
            kind, length, body = self._rest(head)
            return self._meant(kind, body), length
        except (struct.error, UnicodeDecodeError) as error:
            raise self._error(f"a damaged block: {error}") from error

    def _rest(self, head: bytes) -> tuple[int, int, bytes]:
        if len(head) < 12:
            raise self._error("the file ends within a block")
        (kind,) = self._unpack("I", head)
        if kind == _SECTION:
            self._order = "<" if head[8:12] == struct.pack("<I", _MAGIC) else ">"
        elif self._at == 0:
            raise self._error("not a pcapng file")
        _, length, first = self._unpack("III", head)
        if kind == _SECTION and first != _MAGIC:
            raise self._error("not a pcapng file")
        if length < len(head) or length % 4 or length > MAX_BLOCK:
            raise self._error(f"a block cannot be {length} bytes long")
        whole = head + self._stream.read(length - len(head))
        if len(whole) < length:
            raise self._error("the file ends within a block")
        if self._unpack("I", whole, length - 4) != (length,):
            raise self._error("a block whose two lengths differ")
        return kind, length, whole[8:-4]

    def _meant(self, kind: int, body: bytes) -> Frame | None:
        if kind == _PACKET:
            return self._frame(body)
        if kind == _SECTION:
            _, version = self._unpack("IH", body)
            if version != _VERSION:
                raise self._error(f"version {version} of the format is unknown")
            self._interfaces.clear()
        elif kind == _INTERFACE:
            if len(self._interfaces) == MAX_INTERFACES:
                raise self._error(f"more than {MAX_INTERFACES} interfaces")
            self._interfaces.append(self._interface(body))
        elif kind in (_OBSOLETE_PACKET, _SIMPLE_PACKET):
            raise self._error("a frame without direction or time: no capture of the harness")
        return None

    def _interface(self, body: bytes) -> _Interface:
        (link_type,) = self._unpack("H", body)
        if link_type != _ETHERNET:
            raise self._error(f"link type {link_type} is not Ethernet")
        options = self._options(body, 8)
        name = options.get(_NAME, b"")
        if len(name) > MAX_NAME or b"/" not in name or not name.decode().isprintable():
            raise self._error("an interface without a name like NODE/IFACE")
        (resolution,) = self._unpack("B", options.get(_RESOLUTION, bytes((_MICROSECONDS,))))
        base = 2 if resolution & 0x80 else 10
        (offset,) = self._unpack("q", options.get(_OFFSET, bytes(8)))
        return _Interface(name.decode(), base ** (resolution & 0x7F), offset * _SECOND)

    def _frame(self, body: bytes) -> Frame:
        number, high, low, captured, length = self._unpack("IIIII", body)
        if number >= len(self._interfaces):
            raise self._error(f"a frame of interface {number}, which is not described")
        if captured > len(body) - 20:
            raise self._error(f"a frame of {captured} bytes in a block of {len(body) + 12}")
        interface = self._interfaces[number]
        options = self._options(body, 20 + captured + (-captured % 4))
        (flags,) = self._unpack("I", options.get(_FLAGS, bytes(4)))
        if flags & _DIRECTION not in (_INBOUND, _OUTBOUND):
            raise self._error("a frame that is neither inbound nor outbound")
        return Frame(
            ((high << 32) + low) * _SECOND // interface.units + interface.offset_ns,
            interface.name,
            flags & _DIRECTION == _OUTBOUND,
            body[20 : 20 + captured],
            length,
        )

    def _options(self, body: bytes, at: int) -> dict[int, bytes]:
        """Return the options that begin there."""
        found: dict[int, bytes] = {}
        while at < len(body):
            code, length = self._unpack("HH", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == _END:
                break
            if len(value) < length:
                raise self._error(f"an option of {length} bytes that ends after {len(value)}")
            found[code] = value
            at += 4 + length + (-length % 4)
        return found

    def _unpack(self, layout: str, data: bytes, at: int = 0) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, data, at)

    def _error(self, what: str) -> CaptureError:
        return CaptureError(f"byte {self._at}: {what}")
