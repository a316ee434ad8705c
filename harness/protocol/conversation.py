"""What a host and its gateway said to each other, read off the frames that carried it.

UPnP's control messages are HTTP in the clear and its searches are datagrams of text (UPnP Device
Architecture 1.0, sections 3 and 1.2); NAT-PMP (RFC 6886) and PCP (RFC 6887) are datagrams of a few
bytes. So what went through a gateway's interface is evidence of what was asked and granted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from harness.protocol import natpmp, pcp
from harness.protocol.pcapng import Frame

_ETHERNET_HEADER = 14
_IPV4 = b"\x08\x00"
_TCP = 6
_UDP = 17
_UDP_HEADER = struct.Struct("!HHHH")
_FRAGMENT_OFFSET = 0x1FFF

_TRANSPORTS: Final = {pcp.TCP: "TCP", pcp.UDP: "UDP"}

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
class Datagram:
    """A UDP datagram of a host's, or an answer to it: when it was seen (ns since 1970), and both.

    ``source`` and ``destination`` are ``address:port``. ``by_server`` tells that it came to the
    host; ``request`` is what the host had sent last from the port that it came to. Of what the host
    sent, ``request`` is the same as ``content``.
    """

    time_ns: int
    by_server: bool
    source: str
    destination: str
    content: bytes
    request: bytes


@dataclass(frozen=True)
class _Packet:
    protocol: int
    source: bytes
    destination: bytes
    body: bytes


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


def datagrams(
    frames: Iterable[Frame], interface: str, host: IPv4Address, port: int
) -> Iterator[Datagram]:
    """Yield what a host sent to a UDP port, and what came to where it had sent that from.

    Only what passed an interface counts, in the order of the frames. The host may have sent to a
    group, and an answer counts from whatever address and port it came: some gateways answer a
    search from another port than the one that was asked.
    """
    asked: dict[int, bytes] = {}
    for frame in frames:
        packet = _packet(frame) if frame.interface == interface else None
        if packet is None or packet.protocol != _UDP or len(packet.body) < _UDP_HEADER.size:
            continue
        source_port, destination_port, length, _ = _UDP_HEADER.unpack_from(packet.body)
        content = packet.body[_UDP_HEADER.size : length]
        asks = packet.source == host.packed and destination_port == port
        if asks:
            asked[source_port] = content
        elif packet.destination != host.packed or destination_port not in asked:
            continue
        yield Datagram(
            frame.time_ns,
            not asks,
            f"{IPv4Address(packet.source)}:{source_port}",
            f"{IPv4Address(packet.destination)}:{destination_port}",
            content,
            content if asks else asked[destination_port],
        )


# --- NAT-PMP and PCP in words ---------------------------------------------------------------------


def mapping_protocol(request: bytes) -> str:
    """Return what the protocol of a request to port 5351 is called: by its version, RFC 6887 9."""
    return "pcp" if request[:1] == bytes((pcp.VERSION,)) else "nat-pmp"


def asked_in_words(request: bytes) -> str:
    """Say what a request to port 5351 asks for."""
    if len(request) < 2:
        return f"a request of {len(request)} bytes is none"
    wanted = pcp.read_map_request(request)
    if wanted is not None:
        transport = _TRANSPORTS.get(wanted.protocol, f"protocol {wanted.protocol}")
        ports = wanted.internal_port, wanted.external_port
        return _asks_to_map(transport, *ports, wanted.lifetime)
    if natpmp.is_external_address_request(request):
        return "asks for the external address"
    asked = natpmp.read_map_tcp_request(request)
    if asked is not None:
        return _asks_to_map("TCP", asked.internal_port, asked.external_port, asked.lifetime)
    version, opcode = request[:2]
    return f"asks for something else: version {version}, opcode {opcode}"


def answered_in_words(request: bytes, answer: bytes) -> str:
    """Say what an answer from port 5351 grants, read as whoever sent the request has to."""
    try:
        return _answered(request, answer)
    except pcp.PcpRefusal as refusal:
        return f"{refusal}, for {refusal.lifetime} s"
    except (natpmp.NatPmpError, pcp.PcpError) as error:
        return str(error)


def _answered(request: bytes, answer: bytes) -> str:
    wanted = pcp.read_map_request(request)
    if wanted is not None:
        mapping = pcp.read_mapping(answer, wanted)
        transport = _TRANSPORTS.get(mapping.protocol, f"protocol {mapping.protocol}")
        ports = mapping.internal_port, mapping.external_port
        return _maps(transport, *ports, mapping.lifetime, f" of {mapping.external_address}")
    if natpmp.is_external_address_request(request):
        return f"the external address is {natpmp.read_external_address(answer)}"
    if natpmp.read_map_tcp_request(request) is not None:
        granted = natpmp.read_tcp_mapping(answer)
        return _maps("TCP", granted.internal_port, granted.external_port, granted.lifetime)
    return "answers something else"


def _asks_to_map(transport: str, internal: int, external: int, lifetime: int) -> str:
    if lifetime == 0:
        return f"asks to remove the mapping of {transport} port {internal}"
    wish = f"external port {external}" if external else "any external port"
    return f"asks to map {transport} port {internal}, {wish}, for {lifetime} s"


def _maps(transport: str, internal: int, external: int, lifetime: int, address: str = "") -> str:
    if lifetime == 0:
        return f"has removed the mapping of {transport} port {internal}"
    return f"maps external {transport} port {external}{address} to port {internal} for {lifetime} s"


# --- Frames ---------------------------------------------------------------------------------------


def _payloads(frames: Iterable[Frame], interface: str, port: int) -> Iterator[_Payload]:
    for frame in frames:
        if frame.interface != interface:
            continue
        payload = _payload(frame, port)
        if payload is not None and payload.content:
            yield payload


def _payload(frame: Frame, port: int) -> _Payload | None:
    packet = _packet(frame)
    if packet is None or packet.protocol != _TCP or len(packet.body) < 20:
        return None
    source_port, destination_port, sequence = struct.unpack_from("!HHI", packet.body)
    if port not in (source_port, destination_port):
        return None
    by_server = source_port == port
    ends = (packet.source, source_port), (packet.destination, destination_port)
    (server, server_port), (client, client_port) = ends if by_server else ends[::-1]
    content = packet.body[(packet.body[12] >> 4) * 4 :]
    connection = (client, client_port, server, server_port)
    return _Payload(frame.time_ns, connection, by_server, sequence, content)


def _packet(frame: Frame) -> _Packet | None:
    """Return the IPv4 packet in a frame; None for any other, and for a fragment but the first."""
    packet = frame.data[_ETHERNET_HEADER:]
    if frame.data[12:_ETHERNET_HEADER] != _IPV4 or len(packet) < 20:
        return None
    length, fragment = struct.unpack_from("!H2xH", packet, 2)
    if fragment & _FRAGMENT_OFFSET:
        return None
    body = packet[(packet[0] & 0x0F) * 4 : length]
    return _Packet(packet[9], packet[12:16], packet[16:20], body)
