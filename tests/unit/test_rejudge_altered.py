"""A bundle that was altered with care, its checksums mended, contradicts itself and is invalid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import (
    FRAMES,
    INVITATION,
    LOGGED,
    PORTS,
    WAN,
    capture,
    change,
    edit,
    keep_controls,
    lines_of,
    mend,
    syn,
    write_bundle,
)
from rejudging import judge_in_process, judged, results_of

from harness.runner.programs import OFFER_CONTROL
from harness.words import Verdict

Alter = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a bundle in a results folder."""
    return write_bundle(tmp_path / "results")


def without(name: str, *, having: str) -> Alter:
    """Take the lines that have a text out of a file."""

    def alter(path: Path) -> None:
        lines = (path / name).read_text(encoding="utf-8").splitlines(keepends=True)
        left = [line for line in lines if having not in line]
        assert len(left) < len(lines)
        (path / name).write_text("".join(left), encoding="utf-8")

    return alter


def changed(name: str, old: str, new: str) -> Alter:
    return lambda path: change(path / name, old, new)


def removed(name: str) -> Alter:
    return lambda path: (path / name).unlink()


def edited(name: str, change_it: Callable[[Any], None]) -> Alter:
    return lambda path: edit(path / name, change_it)


def count_again(path: Path, frames: int) -> None:
    """Let the capture's control say how many frames are left."""
    for name in ("controls.json", "verdict.json"):
        change(path / name, f"{len(FRAMES)} frames", f"{frames} frames")


def captured_without(data: bytes, *, counted: bool) -> Alter:
    """Take the frames with a packet out of the capture, and its control along with them."""

    def alter(path: Path) -> None:
        left = [frame for frame in FRAMES if not frame.data.endswith(data)]
        assert len(left) < len(FRAMES)
        (path / "capture.pcapng").write_bytes(capture(left))
        if counted:
            count_again(path, len(left))

    return alter


def end_the_capture_early(path: Path) -> None:
    (path / "capture.pcapng").write_bytes(capture(FRAMES[:-1]))


def take_the_last_sighting(path: Path) -> None:
    end_the_capture_early(path)
    count_again(path, len(FRAMES) - 1)


def cut_the_capture(path: Path) -> None:
    content = (path / "capture.pcapng").read_bytes()
    (path / "capture.pcapng").write_bytes(content[: len(content) // 2 + 1])


def transcript(path: Path) -> list[Any]:
    return [json.loads(line) for line in (path / "transcript.jsonl").read_bytes().splitlines()]


def take_one_attempt(path: Path) -> None:
    """Take every line about an attempt out of transcript and kernel log alike."""

    def drop(line: Any) -> Any:
        attempts = line.get("facts", {}).get("attempts", [])
        attempts[:] = [each for each in attempts if each["address"] != WAN]
        return line

    kept = [drop(line) for line in transcript(path) if line.get("address") != WAN]
    (path / "transcript.jsonl").write_bytes(lines_of(kept))
    kernel = [each for each in LOGGED if each.packet != syn(WAN)]
    (path / "kernel.jsonl").write_bytes(lines_of(each.line() for each in kernel))


def take_every_attempt(path: Path) -> None:
    """Leave nothing dialled, as if nobody had had an address."""
    lines = transcript(path)
    for line in lines:
        line.get("facts", {}).pop("attempts", None)
    kept = [line for line in lines if line.get("event") != "dialling"]
    (path / "transcript.jsonl").write_bytes(lines_of(kept))


def flip_control(path: Path) -> None:
    for name in ("controls.json", "verdict.json"):
        text = (path / name).read_text(encoding="utf-8")
        (path / name).write_text(text.replace("true", "false", 1), encoding="utf-8")


def claim_a_connection(content: bytes) -> bytes:
    """Let the attempt at the WAN connect, proven, and the novice accept it."""
    text = content.replace(b'"end": "timeout"', b'"end": "connected"')
    head, _, tail = text.rpartition(b'"session": null, "proven": null')
    accepted = lines_of([{"event": "accepted", "session": "s", "t": 9.0, "node": "novice"}])
    return head + b'"session": "s", "proven": 11.2' + tail + accepted


CAREFUL: dict[str, tuple[Alter, str]] = {
    "a SYN out of the capture": (
        captured_without(syn(WAN), counted=True),
        f"capture.pcapng lacks the SYN to {WAN}:3389",
    ),
    "a SYN out of one interface's capture": (
        take_the_last_sighting,
        "said to have ended at novice.nat, but the SYN never arrived there",
    ),
    "the capture's end": (end_the_capture_early, "capture.pcapng has 7 frames"),
    "the capture cut": (cut_the_capture, "the file ends within a block"),
    "the capture gone": (removed("capture.pcapng"), "the control without it"),
    "a control's end": (
        changed("controls.json", '"passed": true', '"passed": false'),
        "controls.json and verdict.json have different controls",
    ),
    "a control's end, twice": (flip_control, "failed at"),
    "a control gone": (
        lambda path: keep_controls(path, lambda control: control["node"] != "novice.nat"),
        "is missing for novice.nat",
    ),
    "the offer's control gone": (
        lambda path: keep_controls(path, lambda control: control["name"] != OFFER_CONTROL),
        "is not as the transcript has it",
    ),
    "an offer": (
        changed("transcript.jsonl", '"offered": null', '"offered": "upnp"'),
        "is not as the transcript has it",
    ),
    "nothing in the transcript": (
        lambda path: (path / "transcript.jsonl").write_bytes(b""),
        "transcript.jsonl: commands to the novice are missing",
    ),
    "no dial": (
        without("transcript.jsonl", having='"attempts"'),
        "transcript.jsonl: answers of the expert are missing",
    ),
    "no command to dial": (
        without("transcript.jsonl", having='"asked": "dial"'),
        "transcript.jsonl: commands to the expert are missing",
    ),
    "another command than to dial": (
        changed("transcript.jsonl", '"asked": "dial"', '"asked": "wait"'),
        "not everybody dialled",
    ),
    "an attempt that only began": (
        without("transcript.jsonl", having='"dialling"'),
        "attempts that began are not those that ended",
    ),
    "one attempt, everywhere": (take_one_attempt, f"names {WAN}:3389, which was not dialled"),
    "every attempt": (take_every_attempt, "the expert sent a SYN"),
    "a made-up connection": (
        lambda path: (path / "transcript.jsonl").write_bytes(
            claim_a_connection((path / "transcript.jsonl").read_bytes())
        ),
        "verdict.json has another observation",
    ),
    "another local port": (
        changed("transcript.jsonl", str(PORTS[WAN]), "50003"),
        "that is no attempt of the transcript",
    ),
    "a SYN out of the kernel's log": (
        lambda path: (path / "kernel.jsonl").write_bytes(
            lines_of(each.line() for each in LOGGED if each != LOGGED[3])
        ),
        "kernel.jsonl lacks the SYN",
    ),
    "a drop out of the kernel's log": (
        without("kernel.jsonl", having="unsolicited"),
        "verdict.json has another observation",
    ),
    "a drop at another node": (
        changed("kernel.jsonl", '"novice.nat"', '"expert.nat"'),
        "kernel.jsonl: there is no node expert.nat",
    ),
    "a drop by a rule that was not there": (
        changed("kernel.jsonl", "unsolicited packet on wan", "the owner of the line"),
        "novice.nat has no rule that logs",
    ),
    "a rule": (
        changed("rules/novice.nat.nft", "policy drop", "policy accept"),
        "does not have the rules that definition.json makes",
    ),
    "a node's rules gone": (
        removed("rules/novice.nat.nft"),
        "rules/novice.nat.nft does not have the rules",
    ),
    "the definition's device": (
        changed("definition.json", '"unsolicited": "drop"', '"unsolicited": "reject"'),
        "rules/novice.nat.nft does not have the rules that definition.json makes",
    ),
    "the definition's nodes": (
        edited("definition.json", lambda content: content["nodes"].popitem()),
        "its nodes are not those of its topology",
    ),
    "the definition's method": (
        changed("definition.json", '"method": "file"', '"method": "email"'),
        "verdict.json is of file/nat+direct, definition.json of email/nat+direct",
    ),
    "the scenario's name": (
        changed("verdict.json", "file/nat+direct", "file/upnp-nat+direct"),
        "verdict.json is of file/upnp-nat+direct",
    ),
    "the invitation": (
        changed(INVITATION, WAN, "80.100.10.3"),
        f"does not name {WAN}:3389, which was dialled",
    ),
    "the invitation gone": (removed(INVITATION), "which was dialled"),
    "the answer": (
        edited("verdict.json", lambda sealed: sealed["result"]["observed"].update(answer="yes")),
        "verdict.json has another observation",
    ),
    "an attempt's end": (
        changed("verdict.json", '"timeout"', '"refused"'),
        "verdict.json has another observation",
    ),
    "what was observed": (
        edited("verdict.json", lambda sealed: sealed["result"].update(observed=None)),
        "verdict.json says agrees, and that nothing was seen",
    ),
}


@pytest.mark.parametrize("what", CAREFUL)
def test_a_bundle_whose_checksums_were_mended_is_held_against_itself(path: Path, what: str) -> None:
    alter, said = CAREFUL[what]
    alter(path)
    mend(path)
    result = judged(path)
    assert result.verdict is Verdict.INVALID
    assert said in result.why
    assert judged(results_of(path)).verdict is Verdict.INVALID


def test_what_is_said_fits_80_columns(path: Path) -> None:
    alter, _ = CAREFUL["a rule"]
    alter(path)
    mend(path)
    assert "does not have the rules" in " ".join(judge_in_process(path).split())
