"""A bundle made without a lab, packet by packet, and what an alterer can do to it.

It is of ``file/nat+direct``: the expert dials both addresses of the novice's invitation. The one is
private, the core router has no route to it; at the other the novice's NAT drops the SYN.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from factories import results
from predictions import topology

from harness.assistance.people import Terms
from harness.judge.evidence import (
    Call,
    Logged,
    calls,
    capture_control,
    journey_controls,
    observe,
    trace_controls,
)
from harness.judge.model import Control, Observed, ScenarioResult
from harness.judge.verdict import judge
from harness.lab.controls import FORWARDING, RULES
from harness.lab.ruleset import ruleset
from harness.protocol import incident, pcapng
from harness.protocol.incident_ticket import Candidate
from harness.protocol.packet import Flags
from harness.protocol.pcapng import Frame
from harness.report.results_file import write_results
from harness.runner import bundle
from harness.runner.evidence import CAPTURE, CONNECTIONS, KERNEL
from harness.runner.programs import OFFER_CONTROL
from harness.runner.record import documented_answer, predicted_answer
from harness.runner.scenario import Scenario
from harness.topology.plan import plan
from harness.words import Method, Role

ID = "file/nat+direct"
INVITATION = "invitation.MsRcIncident"

EXPERT, ROUTER, WAN, PRIVATE = "85.200.20.2", "85.200.20.1", "80.100.10.2", "192.168.1.100"
RDP = 3389
PORTS = {PRIVATE: 50001, WAN: 50002}

# The SYN to the private address, and to the WAN's.
_SEQUENCES = {PRIVATE: 1000, WAN: 2000}
_ETHERNET = bytes(12) + b"\x08\x00"
_BEGAN = 1_772_366_400 * 10**9


def ip(source: str, to: str, protocol: int, body: bytes) -> bytes:
    """Return an IPv4 packet."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    return header + IPv4Address(source).packed + IPv4Address(to).packed + body


def syn(to: str) -> bytes:
    """Return the expert's SYN to one of the two addresses."""
    fields = (PORTS[to], RDP, _SEQUENCES[to], 0, 0x50, Flags.SYN, 64240, 0, 0)
    return ip(EXPERT, to, 6, struct.pack("!HHIIBBHHH", *fields))


def no_route() -> bytes:
    """Return what the core router answers to the SYN to the private address."""
    return ip(ROUTER, EXPERT, 1, struct.pack("!BBHI", 3, 0, 0, 0) + syn(PRIVATE))


LOGGED = (
    Logged("expert", "sent", syn(PRIVATE)),
    Logged("internet", "ended no route", syn(PRIVATE)),
    Logged("internet", "sent", no_route()),
    Logged("expert", "sent", syn(WAN)),
    Logged("novice.nat", "ended unsolicited packet on wan", syn(WAN)),
)

_CAPTURED = (
    ("expert/eth0", True, syn(PRIVATE)),
    ("internet/to-expert", False, syn(PRIVATE)),
    ("internet/to-expert", True, no_route()),
    ("expert/eth0", False, no_route()),
    ("expert/eth0", True, syn(WAN)),
    ("internet/to-expert", False, syn(WAN)),
    ("internet/to-novice", True, syn(WAN)),
    ("novice.nat/wan", False, syn(WAN)),
)
FRAMES = tuple(
    Frame(_BEGAN + at, interface, outgoing, _ETHERNET + packet, len(_ETHERNET + packet))
    for at, (interface, outgoing, packet) in enumerate(_CAPTURED)
)


def _transcript() -> list[dict[str, Any]]:
    """Return what the two people were asked and did."""
    addresses = [PRIVATE, WAN]
    ends = {PRIVATE: "unreachable", WAN: "timeout"}
    shared = {"port": RDP, "via_proxy": False}
    attempts = [
        {
            **shared,
            "address": address,
            "local_port": PORTS[address],
            "started": 10.0 + at,
            "seconds": 0.5,
            "end": ends[address],
            "detail": "it did not connect",
            "session": None,
            "proven": None,
        }
        for at, address in enumerate(addresses)
    ]
    steps = {
        "novice": [("search", {"offered": None}), ("invite", {"port": RDP}), ("close", {})],
        "expert": [("search", {"offered": None}), ("dial", {"attempts": attempts}), ("close", {})],
    }
    lines: list[dict[str, Any]] = []
    for node, asked in steps.items():
        for number, (command, facts) in enumerate(asked, start=1):
            lines.append({"asked": command, "id": number, "facts": {}, "node": node})
            lines.append({"answered": number, "facts": facts, "node": node})
    lines += [
        {
            **shared,
            "event": "dialling",
            "address": address,
            "local_port": PORTS[address],
            "node": "expert",
        }
        for address in addresses
    ]
    return [{**line, "t": float(at)} for at, line in enumerate(lines)]


def _controls(made_calls: Sequence[Call], observed: Observed) -> tuple[Control, ...]:
    names = [
        *((name, node) for node in ("novice.nat", "internet") for name in (FORWARDING, RULES)),
        *((OFFER_CONTROL, role.value) for role in Role),
    ]
    made = [Control(name=name, node=node, passed=True, detail="") for name, node in names]
    interfaces = sorted({frame.interface for frame in FRAMES})
    made += [*trace_controls(observed), capture_control(FRAMES, interfaces, lost=0)]
    made += journey_controls(made_calls, observed, FRAMES, dict.fromkeys(Role))
    return tuple(made)


def capture(frames: Iterable[Frame] = FRAMES) -> bytes:
    """Return a capture as a file."""
    stream = BytesIO()
    pcapng.write(stream, [], frames)
    return stream.getvalue()


def lines_of(objects: Iterable[object]) -> bytes:
    """Return one JSON object a line."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


def write_bundle(folder: Path) -> Path:
    """Write a results folder with the one bundle; return the bundle's path."""
    scenario = Scenario(Method.FILE, topology("nat+direct"), Terms(password="secret"))
    transcript = _transcript()
    sightings = [seen for each in LOGGED if (seen := each.sighting()) is not None]
    made = calls(transcript)
    observed = observe(made, sightings, dict.fromkeys(Role))
    controls = _controls(made, observed)
    documented = documented_answer(scenario)
    verdict, why = judge(documented, observed, controls)
    result = ScenarioResult(
        id=scenario.id,
        method=scenario.method,
        novice=scenario.novice,
        expert=scenario.expert,
        documented=documented,
        predicted=predicted_answer(scenario),
        observed=observed,
        controls=controls,
        verdict=verdict,
        why=why,
        seconds=0.1,
        timing=None,
        bundle=f"scenarios/{scenario.id}",
    )
    candidates = [Candidate(PRIVATE, RDP), Candidate(WAN, RDP)]
    invitation = incident.compose(username="novice", candidates=candidates, now=0, minutes=60)
    sent = {
        bundle.TRANSCRIPT: lines_of(transcript),
        KERNEL: lines_of(each.line() for each in LOGGED),
        CAPTURE: capture(),
        CONNECTIONS: b"",
        INVITATION: incident.write(invitation),
        **{
            f"rules/{node.name}.nft": ruleset(node).encode()
            for node in plan(scenario.topology).nodes
        },
    }
    path = folder / "scenarios" / scenario.id
    for name, content in bundle.pack(scenario, result, {}, sent).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    write_results(results(result), folder / "results.json")
    return path


def change(path: Path, old: str, new: str) -> None:
    """Replace a text that is in a file, wherever it is there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit(path: Path, change_it: Callable[[Any], None]) -> None:
    """Change what a JSON file says."""
    content = json.loads(path.read_bytes())
    change_it(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def mend(path: Path) -> None:
    """Mend a bundle's checksums, as a careful alterer does."""
    files = [each for each in sorted(path.rglob("*")) if each.is_file()]
    sums = {
        str(each.relative_to(path)): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in files
        if each.name != bundle.VERDICT
    }

    def put(sealed: Any) -> None:
        sealed["sha256"] = sums

    edit(path / bundle.VERDICT, put)


def keep_controls(path: Path, kept: Callable[[dict[str, Any]], bool]) -> None:
    """Take controls out of both files that have them."""

    def lists(content: Any) -> None:
        controls = content if isinstance(content, list) else content["result"]["controls"]
        controls[:] = [control for control in controls if kept(control)]

    for name in ("controls.json", "verdict.json"):
        edit(path / name, lists)
