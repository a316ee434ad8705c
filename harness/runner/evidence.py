"""What a lab's process puts into a scenario's bundle; its part of the layout in docs/results.md."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator, Sequence

from harness.assistance.people import INVITATION
from harness.lab.lab import Lab
from harness.lab.program import Facts
from harness.protocol import pcapng, pcp, ssdp
from harness.protocol.conversation import (
    Datagram,
    Said,
    answered_in_words,
    asked_in_words,
    conversation,
    datagrams,
    mapping_protocol,
)
from harness.protocol.pcapng import Frame
from harness.topology.plan import INTERNET, LabPlan, box_nodes
from harness.words import Role

CAPTURE = "capture.pcapng"
KERNEL = "kernel.jsonl"
CONNECTIONS = "conntrack.txt"
RULES = "rules"

_KEPT = 112
"""Bytes kept of each frame: every header, and the heads of what travels in the clear.

What hosts and gateways say to each other is whole in the transcript.
"""

_MOST_TEXT = 1 << 15
"""Characters kept of what a gateway or a host said in one turn; a real router's are a few thousand.

Written as JSON, with up to 12 bytes for a character, it has to fit into one message to the harness:
that is 400 KB on most machines.
"""

_MOST_LINES = 500
"""What is kept of one conversation's turns or datagrams; a few dozen are the rule."""

# By Windows Messenger the expert makes a ticket too (KB306298).
INVITATIONS = {Role.NOVICE: "invitation.MsRcIncident", Role.EXPERT: "expert.MsRcIncident"}


def files(lab: Lab) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file."""
    for role, name in INVITATIONS.items():
        invitation = lab.disk(role.value) / INVITATION
        if invitation.exists():
            yield name, invitation.read_bytes()
    for name, text in lab.daemon_logs().items():
        yield f"{name}.log", text.encode()
    for node, rules in lab.loaded.items():
        yield f"{RULES}/{node}.nft", rules.encode()
    yield CONNECTIONS, lab.connections().encode()
    lines = (json.dumps(each.line()) + "\n" for each in lab.watch.logged)
    yield KERNEL, "".join(lines).encode()


def capture_file(interfaces: tuple[str, ...], frames: list[Frame], lost: int) -> bytes:
    """Return the capture as a file, of each frame its head.

    Where frames are missing the file's comment says how many.
    """
    stream = io.BytesIO()
    comment = f"{lost} frames are missing" if lost else ""
    pcapng.write(stream, interfaces, frames, comment, _KEPT)
    return stream.getvalue()


def exchanges(plan: LabPlan, frames: Sequence[Frame]) -> Iterator[tuple[str, Facts]]:
    """Yield node and transcript line for everything said between hosts and their gateways.

    That is each turn with a gateway's UPnP web server, and each SSDP, NAT-PMP and PCP datagram of a
    host with its answers, read at the gateway's inner interface. ``frames`` are in the order of
    time and whole, with those of real routers; times are on the transcript's clock.
    """
    # A frame's clock counts from 1970, a transcript's from the machine's start.
    offset = time.monotonic() - time.time()
    for node in plan.nodes:
        if node.device is not None and node.device.upnp is not None:
            said = conversation(frames, f"{node.name}/lan", node.device.upnp.http_port)
            yield from _first(node.name, (_told_by_http(each, offset) for each in said))
    for role in Role:
        node_name, interface = _gateway(plan, role)
        host = plan.node(role.value).stack.interfaces[0].address.ip
        for port, told in ((ssdp.PORT, _told_by_ssdp), (pcp.PORT, _told_of_mapping)):
            found = datagrams(frames, f"{node_name}/{interface}", host, port)
            yield from _first(node_name, (told(each, offset) for each in found))


def _gateway(plan: LabPlan, role: Role) -> tuple[str, str]:
    """Return the node that a person's host is wired to, and the interface that faces the host.

    A gateway with more hosts behind it has them on ports of its ``lan``.
    """
    inner = next(box_nodes(role, plan.topology.sites[role]), None)
    return (INTERNET, f"to-{role}") if inner is None else (inner[0], "lan")


def _first(node: str, lines: Iterable[Facts]) -> Iterator[tuple[str, Facts]]:
    """Yield the first lines of a node, and at the end how many more there were, if any.

    A real router may say more than anybody will read, or than a judge of the bundle does.
    """
    more = 0
    last: Facts = {}
    for number, line in enumerate(lines):
        if number < _MOST_LINES:
            yield node, line
        else:
            more, last = more + 1, line
    if more:
        text = f"{more} more, the last of them: {last['event']}"
        yield node, {"event": "left out", "t": last["t"], "text": text}


def _told_by_http(said: Said, offset: float) -> Facts:
    event = "upnp answer" if said.by_server else "upnp request"
    return {"event": event, "t": said.time_ns / 1e9 + offset, **_text(said.text)}


def _told_by_ssdp(each: Datagram, offset: float) -> Facts:
    return {**_told_of(each, "ssdp", offset), **_text(each.content.decode(errors="replace"))}


def _told_of_mapping(each: Datagram, offset: float) -> Facts:
    words = (
        answered_in_words(each.request, each.content)
        if each.by_server
        else asked_in_words(each.content)
    )
    told = _told_of(each, mapping_protocol(each.request), offset)
    return {**told, "hex": each.content[:_MOST_TEXT].hex(), "text": words}


def _told_of(each: Datagram, protocol: str, offset: float) -> Facts:
    event = f"{protocol} {'answer' if each.by_server else 'request'}"
    ends = {"from": each.source, "to": each.destination}
    return {"event": event, "t": each.time_ns / 1e9 + offset, **ends}


def _text(text: str) -> Facts:
    if len(text) <= _MOST_TEXT:
        return {"text": text}
    return {"text": text[:_MOST_TEXT], "left_out": len(text) - _MOST_TEXT}
