"""What a scenario came to, derived from what was written down of it.

The run itself and ``ra-harness judge``, which has nothing but a bundle, come to their observation
through these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.judge import black_box
from harness.judge.journey import Event, Sighting, attempt
from harness.judge.model import Control, Observed, Winner
from harness.judge.trace import Packets, Trace, contradiction, trace
from harness.protocol.packet import parse
from harness.protocol.pcapng import Frame
from harness.protocol.replies import Dialled
from harness.topology.model import Topology
from harness.topology.plan import LabPlan
from harness.words import Answer, End, Role

SENT = "sent"
"""NFLOG prefix of what a node itself sent."""

ENDED = "ended "
"""NFLOG prefix, followed by the reason, of what a rule ended."""

LEFT_OVER = "a mapping is left over:"
"""How what was told begins where a gateway kept the mapping of an invitation that has ended."""

REMOVAL_CONTROL = "the mapping ends with the invitation"

CAPTURE_CONTROL = "the capture is whole"
JOURNEY_CONTROL = "the capture bears out every attempt"
TRACE_CONTROL = "every attempt's end was seen"

Line = Mapping[str, Any]
"""One line of a transcript: an event, a command (``asked``) or its reply (``answered``)."""


@dataclass(frozen=True)
class Logged:
    """One packet that a node's kernel logged, from its IP header on, with the rule's prefix."""

    node: str
    prefix: str
    packet: bytes

    def line(self) -> dict[str, str]:
        """What is written down of it."""
        return {"node": self.node, "prefix": self.prefix, "packet": self.packet.hex()}

    @classmethod
    def read(cls, line: Line) -> Logged:
        """Read what :meth:`line` wrote; ValueError, KeyError or TypeError where it is not that."""
        return cls(str(line["node"]), str(line["prefix"]), bytes.fromhex(line["packet"]))

    def sighting(self) -> Sighting | None:
        """What it tells of a SYN's journey; None where it tells nothing."""
        packet = parse(self.packet)
        if packet is None:
            return None
        if self.prefix == SENT:
            return Sighting(self.node, Event.SENT, "", packet)
        return Sighting(self.node, Event.ENDED, self.prefix.removeprefix(ENDED), packet)


@dataclass(frozen=True)
class Call:
    """One attempt and who made it."""

    dialler: Role
    dialled: Dialled


def confirmed(dialled: Dialled, peer: Role, accepted: bool) -> Dialled:
    """Return an attempt as it counts: a connection needs the peer's listener to accept it too."""
    if dialled.end is not End.CONNECTED or accepted:
        return dialled
    detail = f"the {peer}'s listener has not accepted it"
    return replace(dialled, end=End.WRONG_PEER, detail=detail, proven=None)


def calls(transcript: Iterable[Line]) -> list[Call]:
    """Return every attempt that a transcript tells of, in the order in which they began."""
    lines = list(transcript)
    dials = {(line["node"], line["id"]) for line in lines if line.get("asked") == "dial"}
    sessions = {
        (line["node"], line["session"]) for line in lines if line.get("event") == "accepted"
    }
    found = []
    for line in lines:
        if "answered" not in line or (line["node"], line["answered"]) not in dials:
            continue
        role = Role(line["node"])
        peer = Role.EXPERT if role is Role.NOVICE else Role.NOVICE
        for facts in line["facts"].get("attempts", ()):
            dialled = Dialled.read(facts)
            accepted = (peer.value, dialled.session) in sessions
            found.append(Call(role, confirmed(dialled, peer, accepted)))
    return sorted(found, key=lambda call: call.dialled.started)


def observe(
    made: Sequence[Call],
    sightings: Sequence[Sighting],
    proxies: Mapping[Role, str | None],
    lines: Iterable[Line] = (),
) -> Observed:
    """Join what the diallers know with what the kernels saw.

    ``proxies`` has the node of each site's proxy; ``lines`` are those of the transcript that may
    tell of mappings.
    """
    # The two people are told at the same time: in which order does not matter.
    in_order = sorted(lines, key=lambda line: bool(line["node"] == Role.EXPERT))
    told = tuple(_told_of_mappings(in_order))
    attempts = tuple(
        attempt(call.dialler, call.dialled, sightings, proxies[call.dialler]) for call in made
    )
    proven = [call for call in made if call.dialled.proven is not None]
    if not proven:
        return Observed(answer=Answer.NO, winner=None, attempts=attempts, told=told)
    first = min(proven, key=lambda call: call.dialled.proven or 0.0)
    winner = Winner(
        dialler=first.dialler,
        address=first.dialled.address,
        port=first.dialled.port,
        seconds=round(first.dialled.seconds, 6),
    )
    return Observed(answer=Answer.YES, winner=winner, attempts=attempts, told=told)


def _told_of_mappings(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        if line.get("event") == "mapped":
            external = f"{line['external']}:{line['port']}"
            yield f"the {line['node']}'s gateway granted {external} by {line['protocol']}"
        elif line.get("event") == "not mapped":
            yield f"the {line['node']}'s gateway granted no mapping: {line['why']}"
        elif _is_kept(line):
            yield _left_over(line)


def _is_kept(line: Line) -> bool:
    return line.get("event") == "not unmapped"


def _left_over(line: Line) -> str:
    return f"{LEFT_OVER} the {line['node']}'s gateway kept {line['port']}: {line['why']}"


def removal_controls(lines: Iterable[Line], topology: Topology) -> list[Control]:
    """A device of ours that keeps a mapping is not what it should be; a real router is told of.

    ``lines`` are those of the transcript.
    """
    return [
        Control(name=REMOVAL_CONTROL, node=line["node"], passed=False, detail=_left_over(line))
        for line in lines
        if _is_kept(line) and topology.sites[Role(line["node"])].gear is None
    ]


def trace_controls(observed: Observed) -> list[Control]:
    """A "No" counts only where every attempt's end was seen."""
    if observed.answer is Answer.YES:
        return []
    return [
        Control(
            name=TRACE_CONTROL,
            node=each.ended_at or each.dialler.value,
            passed=bool(each.ended_at),
            detail=f"{each.dialler} to {each.address}:{each.port}: {each.how}",
        )
        for each in observed.attempts
    ]


def capture_control(frames: Sequence[Frame], interfaces: Sequence[str], lost: int) -> Control:
    """A capture with gaps, or without a single frame, proves nothing by its silence."""
    return Control(
        name=CAPTURE_CONTROL,
        node="lab",
        passed=bool(frames) and not lost,
        detail=f"{len(frames)} frames on {len(interfaces)} interfaces, {lost} lost",
    )


def mirrored(plan: LabPlan, frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the frames of a capture with those of the lab's real routers, if it has any."""
    wires = {
        f"{near.node}/{near.interface}": f"{far.node}/{far.interface}"
        for near, far in plan.gear_wires.items()
    }
    return black_box.mirrored(frames, wires) if wires else frames


def seen_of_gear(plan: LabPlan, frames: Sequence[Frame]) -> list[Sighting]:
    """Return what the real routers of a lab did, read off its capture."""
    return black_box.sightings(mirrored(plan, frames), plan.gear) if plan.gear else []


def trace_of(call: Call, packets: Packets, proxies: Mapping[Role, str | None]) -> Trace:
    """Return the journey of an attempt's SYN: its dialler's own, or its proxy's."""
    dialled = call.dialled
    proxy = proxies[call.dialler] if dialled.via_proxy else None
    if proxy is not None:
        return trace(packets, proxy, dialled.address, dialled.port, None)
    return trace(packets, call.dialler.value, dialled.address, dialled.port, dialled.local_port)


def journey_controls(
    made: Sequence[Call],
    observed: Observed,
    frames: Sequence[Frame],
    proxies: Mapping[Role, str | None],
) -> Iterator[Control]:
    """The capture has to bear out what the kernels said of each attempt."""
    packets = Packets(frames)
    for call, attempt_made in zip(made, observed.attempts, strict=True):
        why = contradiction(trace_of(call, packets, proxies), attempt_made)
        yield Control(
            name=JOURNEY_CONTROL,
            node=attempt_made.ended_at or call.dialler.value,
            passed=why is None,
            detail=why or f"{call.dialler} to {attempt_made.address}:{attempt_made.port}",
        )
