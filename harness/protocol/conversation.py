"""What a host and a gateway's web server said to each other, read off the frames that carried it.

UPnP's control messages are HTTP in the clear (UPnP Device Architecture 1.0, section 3), so the
bodies that went through a gateway's interface are evidence of what was asked and granted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.protocol.pcapng import Frame

_ETHERNET_HEADER = 14
_IPV4 = b"\x08\x00"
_TCP = 6

Connection = tuple[bytes, int, bytes, int]


@dataclass(frozen=True)
class Said:
    """What one side said before the other spoke: when it began (ns since 1970), who, and the text.

    ``by_server`` tells that the web server said it.
    """

    time_ns: int
    by_server: bool
    text: str


@dataclass(frozen=True)
class _Payload:
    time_ns: int
    connection: Connection
    by_server: bool
    sequence: int
    content: bytes


def conversation(frames: Iterable[Frame], interface: str, port: int) -> list[Said]:
    """Return what was said on an interface to and from a TCP port of its node, in order of time.

    A segment that was sent twice counts once.
    """
    turns: list[_Payload] = []
    seen: set[tuple[Connection, bool, int]] = set()
    # The last turn of each connection, by its place in the list.
    open_turns: dict[Connection, int] = {}
    for payload in _payloads(frames, interface, port):
        key = (payload.connection, payload.by_server, payload.sequence)
        if key in seen:
            continue
        seen.add(key)
        place = open_turns.get(payload.connection)
        if place is not None and turns[place].by_server == payload.by_server:
            turn = turns[place]
            longer = turn.content + payload.content
            turns[place] = _Payload(
                turn.time_ns, turn.connection, turn.by_server, turn.sequence, longer
            )
        else:
            open_turns[payload.connection] = len(turns)
            turns.append(payload)
    return [
        Said(turn.time_ns, turn.by_server, turn.content.decode(errors="replace")) for turn in turns
    ]


def _payloads(frames: Iterable[Frame], interface: str, port: int) -> Iterator[_Payload]:
    for frame in frames:
        if frame.interface != interface:
            continue
        payload = _payload(frame, port)
        if payload is not None and payload.content:
            yield payload


def _payload(frame: Frame, port: int) -> _Payload | None:
    packet = frame.data[_ETHERNET_HEADER:]
    if frame.data[12:_ETHERNET_HEADER] != _IPV4 or len(packet) < 20 or packet[9] != _TCP:
        return None
    header = (packet[0] & 0x0F) * 4
    (length,) = struct.unpack_from("!H", packet, 2)
    segment = packet[header:length]
    if len(segment) < 20:
        return None
    source_port, destination_port, sequence = struct.unpack_from("!HHI", segment)
    if port not in (source_port, destination_port):
        return None
    by_server = source_port == port
    ends = (packet[12:16], source_port), (packet[16:20], destination_port)
    (server, server_port), (client, client_port) = ends if by_server else ends[::-1]
    content = segment[(segment[12] >> 4) * 4 :]
    connection = (client, client_port, server, server_port)
    return _Payload(frame.time_ns, connection, by_server, sequence, content)
