"""Checks of how long a router remembers a connection on which nothing happens.

Whether it does is asked from outside: a packet from inside would make many a router begin anew.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable

from harness.gear.card.check import Attempt, Check, Finding, NotTested
from harness.gear.card.flows import Pair, bound, carries, end_of, living, silent
from harness.gear.card.packets import tcp
from harness.gear.card.tap import Seen, send, tap
from harness.judge.card import Level
from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags, Segment

ESTABLISHED = 7440.0
"""Seconds, 2 h 4 min, that an established connection may be idle at least (RFC 5382 REQ-5)."""

TRANSITORY = 240.0
"""Seconds, 4 min, that one may be idle while it opens or closes."""

_SHORT = 30.0
_GRACE = 60.0
"""Seconds that a slow check has beyond its wait."""

_MARGIN = 1.0
"""Seconds that are waited beyond the limit: clocks differ, and limits are whole seconds."""


def established(seconds: float) -> Callable[[Attempt], Awaitable[Finding]]:
    """Make a check that a connection outlives so many idle seconds."""

    async def make(attempt: Attempt) -> Finding:
        made = await living(attempt)
        ended = await _idle(made, seconds)
        if ended is not None:
            return Finding(False, f"ended within {seconds:g} idle s: {ended}")
        if not await carries(made.far, made.lan, attempt.rig.answer):
            return Finding(False, f"after {seconds:g} idle s nothing comes in any more")
        if not await carries(made.lan, made.far, attempt.rig.answer):
            return Finding(False, f"after {seconds:g} idle s nothing goes out any more")
        return Finding(True, f"it carries bytes both ways after {seconds:g} idle s")

    return make


def closing(seconds: float) -> Callable[[Attempt], Awaitable[Finding]]:
    """Make a check that the far side may still send so many seconds after the LAN's FIN."""

    async def make(attempt: Attempt) -> Finding:
        made = await living(attempt)
        made.lan.shutdown(socket.SHUT_WR)
        if not await _has_ended(made.far, attempt.rig.answer):
            return Finding(False, "the LAN host's FIN does not come out")
        ended = await _idle(made, seconds)
        if ended is not None:
            return Finding(False, f"ended within {seconds:g} s after the FIN: {ended}")
        if not await carries(made.far, made.lan, attempt.rig.answer):
            return Finding(False, f"{seconds:g} s after the FIN nothing comes in any more")
        return Finding(True, f"{seconds:g} s after the FIN the other side's bytes still come in")

    return make


def opening(seconds: float) -> Callable[[Attempt], Awaitable[Finding]]:
    """Make a check that a SYN may be answered so many seconds after it went out."""

    async def make(attempt: Attempt) -> Finding:
        rig = attempt.rig
        remote = silent(attempt, rig.far)
        own = end_of(bound(attempt, rig.lan))
        sequence, answer = secrets.randbits(32), secrets.randbits(32)
        # What other checks send in these minutes is not kept: it would be too much.
        with (
            tap(rig.far, lambda seen: seen.comes_to(remote)) as outside,
            tap(rig.lan, lambda seen: seen.answers(sequence)) as inside,
        ):
            # By hand: a socket's own SYN would be repeated, and renew what is measured.
            send(rig.lan, tcp(own, remote, sequence))
            syn = await outside.first(lambda seen: seen.is_syn(sequence), rig.answer)
            if syn is None or not isinstance(syn.packet, Segment):
                raise NotTested("the LAN host's SYN did not come out on the internet side")
            external = Endpoint(syn.packet.source, syn.packet.source_port)
            attempt.note(f"{own} -> {remote}: its SYN left as {external}")
            if await outside.first(lambda seen: _has(seen, Flags.RST), seconds + _MARGIN):
                return Finding(False, f"the router ends the opening within {seconds:g} s by RST")
            flags = Flags.SYN | Flags.ACK
            send(rig.far, tcp(remote, external, answer, flags, (sequence + 1) % 2**32))
            came = await inside.first(lambda seen: _has(seen, Flags.SYN), rig.answer)
        if came is None:
            return Finding(False, f"a SYN-ACK {seconds:g} s after the SYN does not come in")
        return Finding(True, f"a SYN-ACK {seconds:g} s after the SYN comes in")

    return make


async def _idle(made: Pair, seconds: float) -> str | None:
    """Let a connection be for some seconds; say how it ended meanwhile, None where it did not."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds + _MARGIN):
            data = await loop.sock_recv(made.lan, 1)
    except TimeoutError:
        return None
    except ConnectionError as error:
        return type(error).__name__
    return "bytes that nobody sent came in" if data else "a FIN that nobody sent came in"


async def _has_ended(sock: socket.socket, seconds: float) -> bool:
    """Tell whether the other side's FIN comes."""
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().sock_recv(sock, 1) == b""
    except OSError:  # it was reset, or TimeoutError: it is silent
        return False


def _has(seen: Seen, flag: Flags) -> bool:
    return isinstance(seen.packet, Segment) and flag in seen.packet.flags


CHECKS: tuple[Check, ...] = (
    Check(
        id="idle-30-s",
        title="A connection outlives 30 idle seconds",
        source="RFC 5382 REQ-5, of which it is the beginning",
        level=Level.INFORMATIONAL,
        make=established(_SHORT),
        aside=True,
        deadline=_SHORT + _GRACE,
    ),
    Check(
        id="idle-opening",
        title="A SYN may be answered 4 minutes later",
        source="RFC 5382 REQ-5; RFC 7857 2.1 lets it be configured shorter",
        level=Level.RECOMMENDED,
        make=opening(TRANSITORY),
        slow=True,
        aside=True,
        deadline=TRANSITORY + _GRACE,
    ),
    Check(
        id="idle-closing",
        title="A half-closed connection outlives 4 idle minutes",
        source="RFC 5382 REQ-5; RFC 7857 2.1",
        level=Level.REQUIRED,
        make=closing(TRANSITORY),
        slow=True,
        aside=True,
        deadline=TRANSITORY + _GRACE,
    ),
    Check(
        id="idle-established",
        title="An established connection outlives 2 hours 4 minutes",
        source="RFC 5382 REQ-5",
        level=Level.REQUIRED,
        make=established(ESTABLISHED),
        slow=True,
        aside=True,
        deadline=ESTABLISHED + _GRACE,
    ),
)
