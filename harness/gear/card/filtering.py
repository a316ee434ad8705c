"""Checks of what a router lets in unasked: to whom a port is open, and how it meets a lone SYN."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from harness.gear.card.check import Attempt, Check, Finding, NotTested
from harness.gear.card.control import RDP, fresh_port
from harness.gear.card.flows import (
    bound,
    carries,
    dial,
    end_of,
    ended,
    reaches,
    shared,
    silent,
)
from harness.gear.card.packets import tcp
from harness.gear.card.reach import host_on
from harness.gear.card.tap import COPIES, Seen, Tap, send, tap
from harness.gear.rig import Station
from harness.judge.card import Level
from harness.lab.nat_class import filtering_of
from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags, Segment, Unreachable
from harness.topology.model import Filtering
from harness.words import End

SILENCE = 6.0
"""Seconds for which an unsolicited SYN must not be answered (RFC 5382 REQ-4)."""

_RECOMMENDED = (Filtering.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT)


def _fire(attempt: Attempt, station: Station, to: Endpoint, copies: int = 1) -> int:
    """Send a SYN that its own kernel knows nothing of; return its sequence number."""
    sequence = secrets.randbits(32)
    # Bound, so that no other connection of the check gets the port.
    own = end_of(bound(attempt, station))
    for _ in range(copies):
        send(station, tcp(own, to, sequence))
    attempt.note(f"{station.name} {own} -> {to}: SYN, sequence {sequence}")
    return sequence


# --- Whom a mapped port lets in ---


async def _class(attempt: Attempt) -> Finding:
    """Dial the external endpoint of a connection from another port, and from another host."""
    rig = attempt.rig
    made = await reaches(attempt, await host_on(attempt, rig.far))
    with tap(rig.lan) as inside:
        by_peer = _fire(attempt, rig.far, made.seen, COPIES)
        by_other = _fire(attempt, rig.other, made.seen, COPIES)
        await inside.until(lambda: _came(inside, by_peer) and _came(inside, by_other), rig.answer)
        to_peer, to_others = _came(inside, by_peer), _came(inside, by_other)
    kind = filtering_of(to_peer, to_others)
    let_in = [
        *(["another port of the peer"] if to_peer else []),
        *(["another host"] if to_others else []),
    ]
    shown = f"{kind or 'irregular'}: {' and '.join(let_in) or 'nobody but the peer'} gets in"
    return Finding(kind in _RECOMMENDED, shown)


def _came(inside: Tap, sequence: int) -> bool:
    return any(seen.is_syn(sequence) for seen in inside.seen)


# --- A SYN that nobody asked for ---


async def _unsolicited(attempt: Attempt) -> Finding:
    """Send one SYN each to two ports that are not mapped; note all that comes of it."""
    rig = attempt.rig
    # Silence would prove nothing if there were no way between the two sides.
    await reaches(attempt, await host_on(attempt, rig.far))
    with tap(rig.far) as outside, tap(rig.lan) as inside:
        syns = {
            port: _fire(attempt, rig.far, Endpoint(rig.external, port))
            for port in (RDP, fresh_port())
        }
        first = await outside.first(lambda seen: _answered(seen, syns), SILENCE)
        early = _said(outside, syns)
        came_in = [port for port, sequence in syns.items() if _came(inside, sequence)]
        if first is None:
            await outside.first(lambda seen: _answered(seen, syns), rig.answer)
        late = _said(outside, syns)
    if came_in:
        return Finding(False, f"port {', '.join(map(str, came_in))} is open to {rig.lan.address}")
    if early:
        return Finding(False, f"{early}, within {SILENCE:g} s")
    ports = " and ".join(map(str, syns))
    return Finding(True, f"ports {ports}: silence for {SILENCE:g} s, then {late or 'nothing'}")


def _answered(seen: Seen, syns: Mapping[int, int]) -> bool:
    return any(seen.answers(sequence) for sequence in syns.values())


def _said(outside: Tap, syns: Mapping[int, int]) -> str:
    """Say what the router has answered so far, by port."""
    said = []
    for port, sequence in syns.items():
        answer = next((seen for seen in outside.seen if seen.answers(sequence)), None)
        if answer is not None:
            said.append(f"port {port}: {_name(answer)}")
    return ", ".join(said)


def _name(answer: Seen) -> str:
    match answer.packet:
        case Unreachable() as error:
            return f"ICMP {error.reason}"
        case Segment() as segment if segment.flags & Flags.RST:
            return "RST"
    return "SYN-ACK"


# --- Simultaneous open ---


async def _inside_first(attempt: Attempt) -> Finding:
    """Have a SYN go out and one for the same connection come in, which both sides sent unasked."""
    rig = attempt.rig
    remote = silent(attempt, rig.far)
    sock = bound(attempt, rig.lan)
    with tap(rig.far) as outside, tap(rig.lan) as inside:
        lan = dial(attempt, sock, remote)
        out = await outside.first(lambda seen: _opens(seen, to=remote), rig.answer)
        if out is None or not isinstance(out.packet, Segment):
            raise NotTested("the LAN host's SYN did not come out on the internet side")
        external = Endpoint(out.packet.source, out.packet.source_port)
        attempt.note(f"lan {end_of(sock)} -> {remote}: its SYN left as {external}")
        back = shared(attempt, rig.far, remote.port)
        far = dial(attempt, back, external)
        within = await inside.first(lambda seen: _opens(seen, to=end_of(sock)), rig.answer)
        ends = [await ended(each, rig.answer) for each in (far, lan)]
    if within is None:
        return Finding(False, f"the SYN from {remote} to {external} is not let in ({ends[0]})")
    if ends != [End.CONNECTED, End.CONNECTED]:
        return Finding(False, f"both SYNs pass; then the far end: {ends[0]}, the LAN's: {ends[1]}")
    if not await carries(back, sock, rig.answer) or not await carries(sock, back, rig.answer):
        return Finding(False, "both ends are connected, and nothing is carried")
    return Finding(True, f"the SYN from {remote} is let in to {external}; connected")


async def _outside_first(attempt: Attempt) -> Finding:
    """Have a SYN come in, which must be dropped in silence, and then one go out to meet it."""
    rig = attempt.rig
    # By calling another host, the LAN host learns its external endpoint.
    known = await reaches(attempt, await host_on(attempt, rig.other))
    own = end_of(known.sock)
    back = bound(attempt, rig.far)
    remote = end_of(back)
    with tap(rig.far) as outside:
        far = dial(attempt, back, known.seen)
        early = await ended(far, rig.answer)
        if early is not End.TIMEOUT:
            shown = "by RST" if early is End.REFUSED else f"({early})"
            return Finding(False, f"the first SYN, from {remote} to {known.seen}, is met {shown}")
        sock = bound(attempt, rig.lan, own.port)
        lan = dial(attempt, sock, remote)
        out = await outside.first(lambda seen: _opens(seen, to=remote), rig.answer)
        if out is None or not isinstance(out.packet, Segment):
            return Finding(False, f"after the SYN from {remote}, the LAN's to it is not let out")
        external = Endpoint(out.packet.source, out.packet.source_port)
        if external != known.seen:
            raise NotTested(
                f"port {own.port} is {known.seen} for one host and {external} for another: "
                "nobody can dial first (RFC 5382 REQ-1)"
            )
        ends = [await ended(each, rig.answer) for each in (lan, far)]
    if ends != [End.CONNECTED, End.CONNECTED]:
        return Finding(False, f"the LAN's SYN goes out; then its end: {ends[0]}, far: {ends[1]}")
    if not await carries(back, sock, rig.answer) or not await carries(sock, back, rig.answer):
        return Finding(False, "both ends are connected, and nothing is carried")
    return Finding(True, f"the early SYN from {remote} is dropped; {external} then connects to it")


def _opens(seen: Seen, to: Endpoint) -> bool:
    return isinstance(seen.packet, Segment) and seen.packet.opens and seen.comes_to(to)


CHECKS: tuple[Check, ...] = (
    Check(
        id="filtering-class",
        title="A mapped port is open to everybody, or to its peer's address",
        source="RFC 5382 REQ-3; RFC 4787 5",
        level=Level.RECOMMENDED,
        make=_class,
    ),
    Check(
        id="filtering-unsolicited-syn",
        title="An unsolicited SYN is met by silence for 6 s",
        source="RFC 5382 REQ-4; TR-124 LAN.FW.1",
        level=Level.REQUIRED,
        make=_unsolicited,
    ),
    Check(
        id="simultaneous-open-inside-first",
        title="A SYN that meets one on its way out is let in (simultaneous open)",
        source="RFC 5382 REQ-2a",
        level=Level.REQUIRED,
        make=_inside_first,
    ),
    Check(
        id="simultaneous-open-outside-first",
        title="A SYN that comes early is dropped, and the connection is made from inside",
        source="RFC 5382 REQ-2a, REQ-4",
        level=Level.REQUIRED,
        make=_outside_first,
    ),
)
