"""What a lab's process puts into a scenario's bundle; its part of the layout in docs/results.md."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from harness.assistance.people import INVITATION
from harness.lab.lab import Lab
from harness.protocol import pcapng
from harness.protocol.pcapng import Frame
from harness.words import Role

CAPTURE = "capture.pcapng"
KERNEL = "kernel.jsonl"
CONNECTIONS = "conntrack.txt"
RULES = "rules"

SNAPLEN = 256
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
    """Return the capture as a file; where frames are missing its comment says how many."""
    stream = io.BytesIO()
    pcapng.write(stream, interfaces, frames, comment=f"{lost} frames are missing" if lost else "")
    return stream.getvalue()
