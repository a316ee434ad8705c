"""Checks of what a router carries: many connections, many bytes, and what TCP's SYNs agree on."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import time
from dataclasses import dataclass

from harness.gear.card.check import Attempt, Check, Finding, NotTested
from harness.gear.card.flows import Call, call, pair
from harness.gear.card.packets import Options, read_options
from harness.gear.card.reach import exchange, host_on
from harness.gear.card.tap import Seen, Tap, tap
from harness.judge.card import Level
from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags, Segment

CONNECTIONS = 100
"""Connections that must stand at the same time; Microsoft's own test asks for more than 80."""

_AT_ONCE = 25
"""Connections that are opened at the same time: no flood of SYNs, which a router may stop."""

SIZE = 8 << 20
"""Bytes that are carried each way."""

_CARRYING = 25.0
"""Seconds that they have each way: 2.7 Mbit/s are enough."""

OPTIONS = ("window scale", "SACK", "timestamps")

_PIECE = 1 << 16
_MEBI = 1 << 20


# --- Many connections ---


async def _parallel(attempt: Attempt) -> Finding:
    """Open connections from one LAN host to one far port, and use all when all stand."""
    rig = attempt.rig
    far = await host_on(attempt, rig.far)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def opened() -> Call | None:
        async with turns:
            return await call(attempt, rig.lan, far)

    calls = await asyncio.gather(*(opened() for _ in range(CONNECTIONS)))
    made = [each for each in calls if each is not None]
    if not made:
        raise NotTested("the LAN host does not reach the internet side")
    used = sum(await asyncio.gather(*(exchange(each.sock, rig.answer) for each in made)))
    shown = f"{len(made)} of {CONNECTIONS} connections open, {used} carry bytes when all are"
    return Finding(used == CONNECTIONS, shown)


# --- Many bytes ---


async def _bulk(attempt: Attempt) -> Finding:
    """Carry bytes outward, then inward, and compare their SHA-256."""
    made = await pair(attempt)
    data = secrets.token_bytes(SIZE)
    told = []
    for way, sender, receiver in (
        ("outward", made.lan, made.far),
        ("inward", made.far, made.lan),
    ):
        began = time.monotonic()
        came, digest = await _carry(attempt, sender, receiver, data)
        took = time.monotonic() - began
        attempt.note(f"{way}: {came} of {SIZE} bytes in {took:.3f} s, SHA-256 {digest}")
        if came < SIZE:
            return Finding(False, f"{way}: {came} of {SIZE} bytes arrive within {took:.1f} s")
        if digest != hashlib.sha256(data).hexdigest():
            return Finding(False, f"{way}: {came} bytes arrive, and they are not the ones sent")
        told.append(f"{came // _MEBI} MiB {way} in {took:.1f} s")
    return Finding(True, ", ".join(told))


async def _carry(
    attempt: Attempt, sender: socket.socket, receiver: socket.socket, data: bytes
) -> tuple[int, str]:
    """Send all, within the time that there is; return how many bytes came, and their SHA-256."""
    loop = asyncio.get_running_loop()
    digest = hashlib.sha256()
    came = 0

    async def receive() -> None:
        nonlocal came
        while came < len(data) and (piece := await loop.sock_recv(receiver, _PIECE)):
            digest.update(piece)
            came += len(piece)
            # While bytes wait, receiving never does: the time would not be heard.
            await asyncio.sleep(0)

    try:
        async with asyncio.timeout(_CARRYING), asyncio.TaskGroup() as tasks:
            tasks.create_task(loop.sock_sendall(sender, data))
            tasks.create_task(receive())
    except* OSError as errors:  # it was ended, or TimeoutError: it is too slow
        attempt.note(f"after {came} bytes: {errors.exceptions[0]!r}")
    return came, digest.hexdigest()


# --- What the SYNs agree on ---


@dataclass(frozen=True)
class _Passage:
    """What one side's SYN or SYN-ACK offered, as it was sent and as it arrived."""

    name: str
    sent: Options
    came: Options


async def _handshake(attempt: Attempt) -> tuple[_Passage, _Passage]:
    """Make a connection; return its SYN's passage and its SYN-ACK's."""
    rig = attempt.rig
    with tap(rig.lan) as inside, tap(rig.far) as outside:
        made = await pair(attempt)
        syn, syn_ack = Flags.SYN, Flags.SYN | Flags.ACK
        return (
            _Passage(
                "SYN",
                await _offered(inside, made.remote, syn, rig.answer),
                await _offered(outside, made.remote, syn, rig.answer),
            ),
            _Passage(
                "SYN-ACK",
                await _offered(outside, made.outside, syn_ack, rig.answer),
                await _offered(inside, made.inside, syn_ack, rig.answer),
            ),
        )


async def _offered(where: Tap, to: Endpoint, flags: Flags, seconds: float) -> Options:
    """Return what the first segment with these flags to an endpoint offers."""

    def wanted(seen: Seen) -> bool:
        packet = seen.packet
        if not isinstance(packet, Segment) or packet.flags != flags:
            return False
        return (packet.destination, packet.destination_port) == to

    seen = await where.first(wanted, seconds)
    options = None if seen is None else read_options(seen.data)
    if options is None:
        raise NotTested(f"no whole {flags!r} to {to} was seen")
    return options


async def _mss(attempt: Attempt) -> Finding:
    """Compare the MSS on both sides: a router may lower it to what its WAN takes, never raise."""
    passages = await _handshake(attempt)
    shown = "; ".join(f"{each.name}: {_change(each.sent.mss, each.came.mss)}" for each in passages)
    return Finding(all(not _raised(each) for each in passages), shown)


def _raised(passage: _Passage) -> bool:
    sent, came = passage.sent.mss, passage.came.mss
    return came is not None and (sent is None or came > sent)


def _change(sent: int | None, came: int | None) -> str:
    return f"{sent} unchanged" if sent == came else f"{sent} arrives as {came}"


async def _options(attempt: Attempt) -> Finding:
    """See that window scale, SACK and timestamps arrive as they were sent."""
    changed = []
    kept = []
    for each in await _handshake(attempt):
        values = (
            (each.sent.scale, each.came.scale),
            (each.sent.sack, each.came.sack),
            (each.sent.timestamps, each.came.timestamps),
        )
        for name, (sent, came) in zip(OPTIONS, values, strict=True):
            if sent != came:
                changed.append(f"{each.name}: {name} {sent} arrives as {came}")
            elif sent not in (None, False):
                kept.append(f"{each.name}: {name}")
    if changed:
        return Finding(False, "; ".join(changed))
    return Finding(True, f"unchanged: {', '.join(kept)}")


CHECKS: tuple[Check, ...] = (
    Check(
        id="transfer-parallel",
        title="100 connections of one host at the same time",
        source="Microsoft Internet Connectivity Evaluation Tool (more than 80)",
        level=Level.RECOMMENDED,
        make=_parallel,
    ),
    Check(
        id="transfer-bulk",
        title="8 MiB arrive whole each way",
        source="RFC 5382 REQ-2; RFC 9293 3.8",
        level=Level.REQUIRED,
        make=_bulk,
    ),
    Check(
        id="transfer-mss",
        title="The MSS that a side offers is not raised on its way",
        source="RFC 9293 3.7.1",
        level=Level.INFORMATIONAL,
        make=_mss,
    ),
    Check(
        id="transfer-options",
        title="Window scale, SACK and timestamps survive",
        source="RFC 7323 2, 3; RFC 2018 2",
        level=Level.INFORMATIONAL,
        make=_options,
    ),
)
