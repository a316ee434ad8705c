"""What a lab's process puts into a scenario's bundle; its part of the layout in docs/results.md."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence

from harness.assistance.people import INVITATION
from harness.lab.lab import Lab
from harness.lab.program import Facts
from harness.protocol import pcapng
from harness.protocol.conversation import conversation
from harness.protocol.pcapng import Frame
from harness.topology.plan import LabPlan
from harness.words import Role

CAPTURE = "capture.pcapng"
KERNEL = "kernel.jsonl"
CONNECTIONS = "conntrack.txt"
RULES = "rules"

_KEPT = 160
"""Bytes kept of each frame: every header, and the heads of what travels in the clear."""

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


def upnp_exchanges(plan: LabPlan, frames: Sequence[Frame]) -> Iterator[tuple[str, Facts]]:
    """Yield node and transcript line for everything said to and by a gateway's UPnP web server."""
    # A frame's clock counts from 1970, a transcript's from the machine's start.
    offset = time.monotonic() - time.time()
    for node in plan.nodes:
        if node.device is None or node.device.upnp is None:
            continue
        for said in conversation(frames, f"{node.name}/lan", node.device.upnp.http_port):
            event = "upnp answer" if said.by_server else "upnp request"
            yield node.name, {"event": event, "t": said.time_ns / 1e9 + offset, "text": said.text}
