"""What the files of a bundle say against each other: whoever alters one forgets another.

Checksums tell of an alteration only until somebody mends them. A run writes the same facts several
times over: the transcript has what the people did, the kernels' log and the capture have the
packets that they did it by, the definition has what the rules must be. Here they are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from harness.assistance.people import Order
from harness.judge.evidence import CAPTURE_CONTROL, Call, Line
from harness.judge.journey import Event, Sighting
from harness.judge.model import Observed
from harness.lab.controls import FORWARDING, RULED
from harness.lab.controls import RULES as RULES_CONTROL
from harness.lab.ruleset import ruleset
from harness.protocol import incident
from harness.protocol.packet import Packet, Segment, parse
from harness.protocol.pcapng import Frame
from harness.runner.evidence import INVITATIONS, RULES
from harness.runner.programs import OFFER_CONTROL
from harness.runner.shown import Evidence
from harness.topology.plan import LabPlan
from harness.words import Method, Role

_ETHERNET = 14

# What of a rule nft lists as it was given, whatever its version: the rest it orders and abbreviates
# as it likes.
_RULE_WORDS = re.compile(
    r'"[^"]*"|\b(?:accept|drop|reject|dnat|masquerade|fully-random|jump|policy)\b|\bdport \d+'
)

# Who dials, and by whose invitation.
_PAIRS = ((Role.EXPERT, Role.NOVICE), (Role.NOVICE, Role.EXPERT))
_PEOPLE = frozenset(role.value for role in Role)

Endpoint = tuple[str, int]


def contradictions(shown: Evidence, planned: Mapping[str, Any]) -> Iterator[str]:
    """Yield, in one line each, what cannot all be true; ``planned`` is what the nodes must be.

    Raises:
        ValueError: a rule listing or an invitation is none.
    """
    lab = shown.lab
    yield from _defined(shown, planned)
    yield from _controls(shown, lab)
    yield from _rules(shown, lab)
    yield from _commands(shown)
    yield from _dials(shown)
    yield from _tickets(shown)
    yield from _syns(shown, lab)
    yield from _observed(shown)


def _defined(shown: Evidence, planned: Mapping[str, Any]) -> Iterator[str]:
    """The result is of the scenario that is defined."""
    scenario, result = shown.scenario, shown.result
    told = (result.id, result.method, result.novice, result.expert)
    if told != (scenario.id, scenario.method, scenario.novice, scenario.expert):
        yield f"verdict.json is of {result.id}, definition.json of {scenario.id}"
    if shown.nodes != planned:
        yield "definition.json: its nodes are not those of its topology"


def _controls(shown: Evidence, lab: LabPlan) -> Iterator[str]:
    """Every control that a run makes is there, and says what can still be seen."""
    if tuple(shown.controls) != shown.result.controls:
        yield "controls.json and verdict.json have different controls"
    made = {(control.name, control.node): control for control in shown.controls}
    wanted = [
        (name, node.name)
        for node in lab.own
        if node.part in RULED or node.device is not None
        for name in (FORWARDING, RULES_CONTROL)
    ]
    for name, node in wanted:
        if (name, node) not in made:
            yield f"controls.json: {name!r} is missing for {node}"
    for role, site in shown.sites.items():
        offer = made.get((OFFER_CONTROL, role.value))
        found = _reply(shown.transcript, role, "search").get("offered") is not None
        if offer is None or offer.passed != (site.offers_mapping in (None, found)):
            yield f"controls.json: {OFFER_CONTROL!r} at the {role} is not as the transcript has it"
    whole = [control for control in shown.controls if control.name == CAPTURE_CONTROL]
    if bool(whole) != (shown.frames is not None):
        yield "capture.pcapng is there without its control, or the control without it"
    for control in whole:
        frames = len(shown.frames or ())
        if not control.detail.startswith(f"{frames} frames "):
            yield f"capture.pcapng has {frames} frames, and the run had {control.detail}"


def _rules(shown: Evidence, lab: LabPlan) -> Iterator[str]:
    """Each node had the rules of its definition, and its kernel logged by no others."""
    known = {node.name for node in lab.own}
    prefixes: dict[str, set[str]] = {}
    for node in lab.own:
        name = f"{RULES}/{node.name}.nft"
        listing = shown.files.get(name, b"").decode()
        words = Counter(_RULE_WORDS.findall(listing))
        if words != Counter(_RULE_WORDS.findall(ruleset(node))):
            yield f"{name} does not have the rules that definition.json makes"
        prefixes[node.name] = {word.strip('"') for word in words}
    for logged in shown.logged:
        if logged.node not in known:
            yield f"kernel.jsonl: there is no node {logged.node}"
        elif logged.prefix not in prefixes[logged.node]:
            yield f"kernel.jsonl: {logged.node} has no rule that logs {logged.prefix!r}"


def _commands(shown: Evidence) -> Iterator[str]:
    """Commands are numbered in each program, and every one was answered."""
    for role in Role:
        asked = [line["id"] for line in _said(shown.transcript, role, "asked")]
        answered = [line["answered"] for line in _said(shown.transcript, role, "answered")]
        if sorted(asked) != list(range(1, len(asked) + 1)) or not asked:
            yield f"transcript.jsonl: commands to the {role} are missing"
        elif sorted(answered) != sorted(asked):
            yield f"transcript.jsonl: answers of the {role} are missing"


def _dials(shown: Evidence) -> Iterator[str]:
    """Whoever must dial by the method did, and told of each attempt when it began."""
    dialled = {role: _count(shown.transcript, role, "dial") for role in Role}
    wanted = {Role.EXPERT: 1, Role.NOVICE: 0}
    if shown.scenario.method is Method.MESSENGER:
        wanted = dict.fromkeys(Role, 1)
        order = shown.scenario.terms.order
        if order is not Order.BOTH and any(call.dialled.proven is not None for call in shown.made):
            # The first to dial succeeded, or the second did when the first had failed.
            second = Role.NOVICE if order is Order.EXPERT_FIRST else Role.EXPERT
            wanted[second] = int(any(call.dialler is second for call in shown.made))
    if dialled != wanted:
        yield "transcript.jsonl: not everybody dialled, or somebody twice, for this method"
    began = Counter(
        (line["node"], line["address"], line["port"], line["local_port"], line["via_proxy"])
        for line in shown.transcript
        if line.get("event") == "dialling"
    )
    ended = Counter(
        (call.dialler.value, *_endpoint(call), call.dialled.local_port, call.dialled.via_proxy)
        for call in shown.made
    )
    if began != ended:
        yield "transcript.jsonl: attempts that began are not those that ended"


def _tickets(shown: Evidence) -> Iterator[str]:
    """The addresses dialled are those of the other's invitation; all of them, for a "No"."""
    for dialler, inviter in _PAIRS:
        dialled = {_endpoint(call) for call in shown.made if call.dialler is dialler}
        addresses = _candidates(shown, inviter)
        if stray := dialled - addresses:
            yield f"{INVITATIONS[inviter]} does not name {_word(min(stray))}, which was dialled"
        proven = any(call.dialled.proven is not None for call in shown.made)
        if dialled and not proven and (left := addresses - dialled):
            yield f"{INVITATIONS[inviter]} names {_word(min(left))}, which was not dialled"


def _syns(shown: Evidence, lab: LabPlan) -> Iterator[str]:
    """Kernels' log and capture have the same SYNs of the two people, and each is an attempt's."""
    logged = set(_logged(shown.sightings))
    captured = set(_captured(shown.frames or ()))
    addresses = {dialler.value: _candidates(shown, inviter) for dialler, inviter in _PAIRS}
    attempts = {
        (call.dialler.value, *_endpoint(call), call.dialled.local_port)
        for call in shown.made
        if not call.dialled.via_proxy
    }
    for node, packet in sorted(logged | captured, key=str):
        to = (str(packet.destination), packet.destination_port)
        if to not in addresses[node]:
            continue
        if (node, *to, packet.source_port) not in attempts:
            yield f"the {node} sent a SYN to {_word(to)} that is no attempt of the transcript"
        elif (node, packet) not in logged:
            yield f"kernel.jsonl lacks the SYN to {_word(to)} that the capture has of the {node}"
    if shown.frames is None:
        return
    for node, packet in sorted(logged - captured, key=str):
        if not _near(lab, node, packet.destination):
            to = (str(packet.destination), packet.destination_port)
            yield f"capture.pcapng lacks the SYN to {_word(to)} that {node}'s kernel logged"


def _observed(shown: Evidence) -> Iterator[str]:
    """The result is of what was seen."""
    told = shown.result.observed
    if told is None or _facts(told) != _facts(shown.observed):
        yield "verdict.json has another observation than transcript.jsonl and kernel.jsonl"


def _facts(observed: Observed) -> tuple[object, ...]:
    """Return what was observed without the words for it, which another version may choose anew."""
    attempts = [attempt.model_copy(update={"how": ""}) for attempt in observed.attempts]
    return observed.answer, observed.winner, attempts, observed.told


def _said(transcript: Sequence[Line], role: Role, kind: str) -> list[Line]:
    return [line for line in transcript if line["node"] == role.value and kind in line]


def _count(transcript: Sequence[Line], role: Role, command: str) -> int:
    return sum(line["asked"] == command for line in _said(transcript, role, "asked"))


def _reply(transcript: Sequence[Line], role: Role, command: str) -> Mapping[str, Any]:
    """Return the facts of the answer to a person's first command of that name."""
    asked = _said(transcript, role, "asked")
    number = next((line["id"] for line in asked if line["asked"] == command), None)
    for line in _said(transcript, role, "answered"):
        if line["answered"] == number:
            return dict(line["facts"])
    return {}


def _candidates(shown: Evidence, inviter: Role) -> set[Endpoint]:
    """Return the addresses of a person's invitation; none where that person made none."""
    content = shown.files.get(INVITATIONS[inviter])
    if content is None:
        return set()
    return {(each.address, each.port) for each in incident.parse(content).candidates}


def _captured(frames: Sequence[Frame]) -> Iterator[tuple[str, Segment]]:
    """Yield the SYNs that the two people's own hosts sent."""
    for frame in frames:
        if frame.outgoing and frame.node in _PEOPLE:
            yield from _syn(frame.node, parse(frame.data[_ETHERNET:]))


def _logged(sightings: Sequence[Sighting]) -> Iterator[tuple[str, Segment]]:
    """Yield the same as the kernels logged them."""
    for sighting in sightings:
        if sighting.event is Event.SENT and sighting.node in _PEOPLE:
            yield from _syn(sighting.node, sighting.packet)


def _syn(node: str, packet: Packet | None) -> Iterator[tuple[str, Segment]]:
    if isinstance(packet, Segment) and packet.opens:
        yield node, packet


def _near(lab: LabPlan, node: str, address: IPv4Address) -> bool:
    """Whether a SYN to the address may never leave: it is its own, or a neighbour's, if any."""
    return any(address in each.address.network for each in lab.node(node).stack.interfaces)


def _endpoint(call: Call) -> Endpoint:
    return call.dialled.address, call.dialled.port


def _word(to: Endpoint) -> str:
    return f"{to[0]}:{to[1]}"
