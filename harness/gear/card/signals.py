"""Checks of what a router makes of RST and ICMP errors: both are translated, and end nothing else.

The errors are the ones that routers and hosts of the internet send: about a SYN that finds nobody,
about a packet that is too big, and, forged or stale, about a connection that lives.
"""

from __future__ import annotations

import asyncio
import socket

from harness.gear.card.check import Attempt, Check, Finding, NotTested
from harness.gear.card.flows import Pair, bound, dial, end_of, ended, lives, living, silent
from harness.gear.card.packets import (
    HOST_UNREACHABLE,
    PORT_UNREACHABLE,
    TIME_EXCEEDED,
    TOO_BIG,
    UNREACHABLE,
    icmp_error,
)
from harness.gear.card.tap import Seen, Tap, send, tap
from harness.gear.rig import Station
from harness.judge.card import Level
from harness.lab.syns import Endpoint
from harness.protocol.packet import Segment

_NAMES = {HOST_UNREACHABLE: "host unreachable", PORT_UNREACHABLE: "port unreachable"}
_MTU = 1400
"""The MTU in bytes that a packet is said to be too big for."""


# --- RST ---


async def _rst(attempt: Attempt) -> Finding:
    """Reset one connection from inside and one from outside; the other ends must learn of it."""
    rig = attempt.rig
    outward, inward = await living(attempt), await living(attempt)
    outward.lan.close()
    inward.far.close()
    passed = await asyncio.gather(
        _is_reset(outward.far, rig.answer), _is_reset(inward.lan, rig.answer)
    )
    lost = [way for way, came in zip(("outward", "inward"), passed, strict=True) if not came]
    if lost:
        return Finding(False, f"the RST {' and '.join(lost)} does not come out")
    return Finding(True, "a RST comes out both ways, and ends the connection there")


async def _is_reset(sock: socket.socket, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_recv(sock, 1)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return False


# --- ICMP errors ---


async def _about_syn(attempt: Attempt) -> Finding:
    """Have two SYNs answered by ICMP: by a router on the way, and by their destination."""
    rig = attempt.rig
    with tap(rig.far) as outside, tap(rig.lan) as inside:
        said = await asyncio.gather(
            _one_error(attempt, outside, inside, rig.wan, HOST_UNREACHABLE),
            _one_error(attempt, outside, inside, rig.far, PORT_UNREACHABLE),
        )
    return Finding(all(good for good, _ in said), "; ".join(words for _, words in said))


async def _one_error(
    attempt: Attempt, outside: Tap, inside: Tap, sender: Station, code: int
) -> tuple[bool, str]:
    rig = attempt.rig
    remote = silent(attempt, rig.far)
    sock = bound(attempt, rig.lan)
    dialled = dial(attempt, sock, remote)
    syn = await outside.first(lambda seen: seen.comes_to(remote), rig.answer)
    if syn is None or not isinstance(syn.packet, Segment):
        raise NotTested("the LAN host's SYN did not come out on the internet side")
    external = syn.packet.source
    send(sender, icmp_error(sender.address, external, syn.data, code))
    came = await inside.first(lambda seen: _is_about(seen, remote), rig.answer)
    attempt.note(f"{sender.address} -> {external}: ICMP {_NAMES[code]}; inside: {_shown(came)}")
    if came is None or came.icmp is None:
        return False, f"{_NAMES[code]} does not come in"
    if came.icmp.quoted_source != end_of(sock):
        quoted = came.icmp.quoted_source
        return False, f"{_NAMES[code]} comes in and quotes {quoted}, not {end_of(sock)}"
    # A kernel that knows the connection by the quote gives its SYN up at once.
    return True, f"{_NAMES[code]} comes in; the dial ends: {await ended(dialled, rig.answer)}"


async def _about_connection(attempt: Attempt) -> Finding:
    """Send ICMP errors of every kind about a connection that lives, and see that it lives on."""
    rig = attempt.rig
    with tap(rig.far) as outside:
        made, last = await _living(attempt, outside)
        for kind, code in (
            (UNREACHABLE, HOST_UNREACHABLE),
            (UNREACHABLE, PORT_UNREACHABLE),
            (TIME_EXCEEDED, 0),
        ):
            send(rig.wan, icmp_error(rig.wan.address, rig.external, last.data, code, kind))
            attempt.note(f"{rig.wan.address} -> {rig.external}: ICMP type {kind} code {code}")
            if not await lives(made, rig.answer):
                return Finding(False, f"ICMP type {kind} code {code} ends the connection")
    return Finding(True, "it lives on after host unreachable, port unreachable and time exceeded")


async def _too_big(attempt: Attempt) -> Finding:
    """Say that a packet of a connection was too big; the LAN host must hear it, MTU and all."""
    rig = attempt.rig
    with tap(rig.far) as outside, tap(rig.lan) as inside:
        made, last = await _living(attempt, outside)
        # The quote is of a segment that has been acknowledged, so the LAN host need not heed it.
        packet = icmp_error(rig.wan.address, rig.external, last.data, TOO_BIG, mtu=_MTU)
        send(rig.wan, packet)
        came = await inside.first(lambda seen: _is_about(seen, made.remote), rig.answer)
    if came is None or came.icmp is None:
        return Finding(False, "packet too big does not come in: a black hole for large packets")
    good = came.icmp.quoted_source == made.inside and came.icmp.mtu == _MTU
    return Finding(good, _shown(came))


async def _living(attempt: Attempt, outside: Tap) -> tuple[Pair, Seen]:
    """Make a connection that carries bytes; return it, and its last packet that came out."""
    made = await living(attempt)
    last = [seen for seen in outside.seen if seen.comes_to(made.remote)]
    if not last:
        raise NotTested("no packet of the connection was seen on the internet side")
    return made, last[-1]


def _is_about(seen: Seen, remote: Endpoint) -> bool:
    error = seen.icmp
    return not seen.leaves and error is not None and error.quoted_destination == remote


def _shown(came: Seen | None) -> str:
    if came is None or came.icmp is None:
        return "nothing"
    error = came.icmp
    mtu = f", MTU {error.mtu}" if error.mtu else ""
    ends = f"{error.quoted_source} -> {error.quoted_destination}"
    return f"type {error.type} code {error.code} from {error.source} about {ends}{mtu}"


CHECKS: tuple[Check, ...] = (
    Check(
        id="rst-translated",
        title="A RST is translated both ways",
        source="RFC 7857 2.2; RFC 5382 REQ-2",
        level=Level.REQUIRED,
        make=_rst,
    ),
    Check(
        id="icmp-about-syn",
        title="Host and port unreachable about an outward SYN reach the LAN host",
        source="RFC 5382 REQ-9",
        level=Level.RECOMMENDED,
        make=_about_syn,
    ),
    Check(
        id="icmp-ends-nothing",
        title="An ICMP error does not end the connection that it is about",
        source="RFC 5382 REQ-10",
        level=Level.REQUIRED,
        make=_about_connection,
    ),
    Check(
        id="icmp-too-big",
        title="Packet too big reaches the LAN host with its MTU",
        source="RFC 5382 REQ-9; RFC 1191 4",
        level=Level.INFORMATIONAL,
        make=_too_big,
    ),
)
