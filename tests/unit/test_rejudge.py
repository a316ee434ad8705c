"""A bundle is judged again by its files alone, and one that was altered is invalid."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from bundles import (
    FRAMES,
    INVITATION,
    LOGGED,
    PORTS,
    PRIVATE,
    WAN,
    capture,
    change,
    edit,
    lines_of,
    mend,
    syn,
    write_bundle,
)
from rich.console import Console

from harness.errors import DefinitionError
from harness.judge.model import ScenarioResult
from harness.report.rejudged import print_rejudged
from harness.runner.programs import OFFER_CONTROL
from harness.runner.rejudge import bundles, rejudge
from harness.words import Answer, Verdict

GIB = 1 << 30

Alter = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a bundle in a results folder."""
    return write_bundle(tmp_path / "results")


def judged(path: Path) -> ScenarioResult:
    """Judge the one bundle of a folder again."""
    (found,) = bundles(path)
    return rejudge(found).now


def judge_command(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the command where memory is short."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GIB, GIB))

    return subprocess.run(
        [sys.executable, "-m", "harness", "judge", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
        preexec_fn=limit,
    )


def results_of(path: Path) -> Path:
    """Return the results folder that a bundle is in."""
    return path.parents[2]


# What was not altered


def test_a_bundle_comes_to_the_verdict_that_its_run_came_to(path: Path) -> None:
    (found,) = bundles(path)
    both = rejudge(found)
    assert both.now == both.before
    assert both.now.verdict is Verdict.AGREES
    assert both.now.observed is not None
    assert both.now.observed.answer is Answer.NO


def test_a_results_folder_is_judged_by_its_bundles(path: Path) -> None:
    done = judge_command(results_of(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 of 1 as the run judged them: 1 agrees\n"


def test_a_bundle_without_capture_is_judged_by_the_kernels_log(path: Path) -> None:
    """A run may keep none; then it has no control of it either."""
    (path / "capture.pcapng").unlink()
    keep_controls(path, lambda control: control["name"] != "the capture is whole")
    mend(path)
    assert judged(path).verdict is Verdict.AGREES


def test_a_verdict_that_was_rewritten_is_said_to_be_another(path: Path) -> None:
    edit(path / "verdict.json", lambda sealed: sealed["result"].update(verdict="differs"))
    done = judge_command(path)
    assert done.returncode == 0
    assert "the run said differs, its bundle says agrees" in done.stdout
    assert "0 of 1 as the run judged them: 1 agrees" in done.stdout


def test_a_scenario_that_was_not_observed_stays_an_error(path: Path) -> None:
    def lose(sealed: Any) -> None:
        sealed["result"].update(observed=None, verdict="error", why="its lab did not start")

    edit(path / "verdict.json", lose)
    result = judged(path)
    assert (result.verdict, result.why) == (Verdict.ERROR, "its lab did not start")


# What was altered carelessly


def files(path: Path) -> list[str]:
    return [str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()]


def test_a_change_of_any_file_makes_the_bundle_invalid(path: Path) -> None:
    for name in set(files(path)) - {"verdict.json", "definition.json"}:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content + b"\n")
        assert_altered(path, name, "is not what the run wrote")
        (path / name).unlink()
        assert_altered(path, name, "No such file")
        (path / name).write_bytes(content)
    assert judged(path).verdict is Verdict.AGREES


def assert_altered(path: Path, name: str, how: str) -> None:
    result = judged(path)
    assert result.verdict is Verdict.INVALID
    assert f"the bundle was altered: {name}" in result.why
    assert how in result.why


# What was altered carefully: the checksums are right again


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


def edited(name: str, change_it: Callable[[Any], None]) -> Alter:
    return lambda path: edit(path / name, change_it)


def keep_controls(path: Path, kept: Callable[[dict[str, Any]], bool]) -> None:
    """Take controls out of both files that have them."""

    def lists(content: Any) -> None:
        controls = content if isinstance(content, list) else content["result"]["controls"]
        controls[:] = [control for control in controls if kept(control)]

    for name in ("controls.json", "verdict.json"):
        edit(path / name, lists)


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


def take_the_capture(path: Path) -> None:
    (path / "capture.pcapng").unlink()


def take_one_attempt(path: Path) -> None:
    """Take every line about an attempt out of transcript and kernel log alike."""

    def drop(line: Any) -> Any:
        attempts = line.get("facts", {}).get("attempts", [])
        attempts[:] = [each for each in attempts if each["address"] != WAN]
        return line

    lines = [json.loads(line) for line in (path / "transcript.jsonl").read_bytes().splitlines()]
    kept = [drop(line) for line in lines if line.get("address") != WAN]
    (path / "transcript.jsonl").write_bytes(lines_of(kept))
    kernel = [each for each in LOGGED if each.packet != syn(WAN)]
    (path / "kernel.jsonl").write_bytes(lines_of(each.line() for each in kernel))


def take_every_attempt(path: Path) -> None:
    """Leave nothing dialled, as if nobody had had an address."""
    lines = [json.loads(line) for line in (path / "transcript.jsonl").read_bytes().splitlines()]
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
    "the capture gone": (take_the_capture, "the control without it"),
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
        lambda path: (path / "rules" / "novice.nat.nft").unlink(),
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
    "the invitation gone": (lambda path: (path / INVITATION).unlink(), "which was dialled"),
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


# Results folders


def test_a_scenario_without_its_bundle_is_said_to_be_invalid(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    found = {each.path.name: rejudge(each).now for each in bundles(results_of(path))}
    assert "it has no bundle" in found["nat+direct"].why
    assert "results.json does not have this scenario" in found["elsewhere"].why
    assert {each.verdict for each in found.values()} == {Verdict.INVALID}


def test_results_that_say_another_verdict_than_the_bundle_are_not_believed(path: Path) -> None:
    def differ(content: Any) -> None:
        content["scenarios"][0]["verdict"] = "differs"
        content["summary"] = {"differs": 1}

    edit(results_of(path) / "results.json", differ)
    done = judge_command(results_of(path))
    assert done.returncode == 3
    assert "the run said differs, its bundle says invalid" in done.stdout
    words = " ".join(done.stdout.split())
    assert "results.json has another result of it than its bundle's verdict.json" in words


def test_a_bundle_that_the_results_do_not_have_is_not_believed(path: Path) -> None:
    def forget(content: Any) -> None:
        content["scenarios"] = []
        content["summary"] = {}

    edit(results_of(path) / "results.json", forget)
    result = judged(results_of(path))
    assert result.verdict is Verdict.INVALID
    assert "results.json does not have this scenario" in result.why


def test_results_whose_summary_does_not_add_up_are_refused(path: Path) -> None:
    edit(results_of(path) / "results.json", lambda content: content["summary"].update(differs=1))
    with pytest.raises(DefinitionError, match="its summary does not count its scenarios"):
        list(bundles(results_of(path)))


def test_an_interrupted_run_is_judged_by_the_bundles_it_wrote(path: Path) -> None:
    (results_of(path) / "results.json").unlink()
    assert judged(results_of(path)).verdict is Verdict.AGREES


def test_a_results_file_whose_scenario_leads_out_of_the_folder_reads_nothing_there(
    path: Path,
) -> None:
    """The bundle outside is good, and is not taken."""
    outside = results_of(path).parent / "nat+direct"
    path.rename(outside)
    folder = results_of(path)

    def lead_out(content: Any) -> None:
        content["scenarios"][0]["id"] = "../../nat+direct"

    edit(folder / "results.json", lead_out)
    result = judged(folder)
    assert result.verdict is Verdict.INVALID
    assert result.why == "it has no bundle"


# What is no bundle


def refused(path: Path) -> str:
    """Judge what is no bundle; return what was said in the one line."""
    done = judge_command(path)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.endswith("\n")
    (line,) = done.stderr.splitlines()
    assert line.isprintable()
    return line


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def link(file: Path) -> None:
    moved = file.rename(file.with_name("moved"))
    file.symlink_to(moved)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def huge(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(2 * GIB)


def deep(file: Path) -> None:
    file.write_bytes(b"[" * 200_000)


def numbers(file: Path) -> None:
    file.write_bytes(b'{"result": ' + b"9" * 200_000 + b"}")


def list_of_nothing(file: Path) -> None:
    file.write_bytes(b"[]")


def bytes_alone(file: Path) -> None:
    file.write_bytes(bytes(range(256)))


def escapes(file: Path) -> None:
    file.write_bytes(b'{"\\u001b[2J\\u202e": 1}')


def nothing(file: Path) -> None:
    file.write_bytes(b"")


SPOILERS = [fifo, link, folder, huge, deep, numbers, list_of_nothing, bytes_alone, escapes, nothing]


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize("name", ["verdict.json", "definition.json"])
def test_a_bundle_that_cannot_be_told_what_it_was_is_refused_in_one_line(
    path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(path / name)
    with pytest.raises(DefinitionError, match=name) as refusal:
        judged(path)
    assert str(refusal.value).isprintable()


def test_in_a_results_folder_it_is_one_invalid_scenario(path: Path) -> None:
    fifo(path / "verdict.json")
    result = judged(results_of(path))
    assert result.verdict is Verdict.INVALID
    assert "no plain file" in result.why


@pytest.mark.parametrize("spoil", [fifo, huge, deep, escapes])
def test_spoilt_results_are_refused_in_one_line(path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(results_of(path) / "results.json")
    assert "results.json" in refused(results_of(path))


def test_what_is_no_bundle_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "neither a bundle" in refused(tmp_path)
    assert "neither a bundle" in refused(tmp_path / "missing")
    assert "neither a bundle" in refused(tmp_path / "file")
    assert "neither a bundle" in refused(tmp_path / "\x1b[2J")
    assert "too long" in refused(tmp_path / ("x" * 300))


# What is a bundle, and damaged or made up


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize(
    "name",
    ["transcript.jsonl", "kernel.jsonl", "controls.json", "capture.pcapng", INVITATION],
)
def test_a_damaged_bundle_is_invalid(path: Path, name: str, spoil: Callable[[Path], None]) -> None:
    spoil(path / name)
    if spoil not in (fifo, link, folder, huge):
        mend(path)
    result = judged(path)
    assert result.verdict is Verdict.INVALID
    assert result.why.isprintable()


LINES = [
    '{"node": ["novice"]}',
    '{"node": "novice", "answered": 1}',
    '{"node": "novice", "asked": "dial"}',
    '{"node": "novice", "asked": "dial", "id": 1e999}',
    '{"node": "nobody", "event": "accepted"}',
    '{"node": "\\u001b[2J", "asked": "search", "id": 1, "facts": null}',
    '{"node": "expert", "answered": 2, "facts": {"attempts": {}}}',
    '{"node": "expert", "answered": 2, "facts": {"attempts": [{"address": "\\u001b[2J"}]}}',
    '"' + "a" * 1000 + '"',
    "9" * 5000,
    "NaN",
    "[" * 5000,
    '{"node": "\\ud800"}',
    '{"node": "expert", "prefix": "sent", "packet": "00"}',
    '{"node": "expert", "prefix": "sent", "packet": "4"}',
    '{"node": "\\u001b[2J", "prefix": "sent", "packet": ""}',
    '{"node": "expert", "prefix": 7, "packet": ""}',
]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
@pytest.mark.parametrize("name", ["transcript.jsonl", "kernel.jsonl"])
def test_a_made_up_line_does_no_harm(path: Path, name: str, line: str) -> None:
    with (path / name).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    mend(path)
    assert "\x1b" not in judge_in_process(path)
    assert judged(path).verdict in (Verdict.INVALID, Verdict.AGREES)


def judge_in_process(path: Path) -> str:
    """Judge a bundle and return what is printed of it."""
    (found,) = bundles(path)
    both = rejudge(found)
    stream = StringIO()
    print_rejudged(Console(file=stream, width=80), [(both.before, both.now)])
    assert all(len(line) <= 80 for line in stream.getvalue().splitlines())
    return stream.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "rules/../../secret",
        ".hidden",
        "",
        "a\u0000b",
        "x" * 5000,
        "\u001b[2J",
    ],
)
def test_a_name_that_is_no_bundles_is_not_opened(path: Path, name: str) -> None:
    edit(path / "verdict.json", lambda sealed: sealed["sha256"].update({name: "0" * 64}))
    result = judged(path)
    assert result.verdict is Verdict.INVALID
    assert "it is not in the bundle" in result.why
    assert result.why.isprintable()
    assert len(result.why) < 200


def test_a_folder_of_the_bundle_that_leads_elsewhere_is_not_entered(path: Path) -> None:
    moved = (path / "rules").rename(path.parent / "rules")
    (path / "rules").symlink_to(moved)
    assert "it is not in the bundle" in judged(path).why


def million_lines(path: Path) -> None:
    line = b'{"node":"services","event":"ready","t":1}\n'
    (path / "transcript.jsonl").write_bytes(line * 300_000)


def million_frames(path: Path) -> None:
    short = [FRAMES[0]] * 60_000
    (path / "capture.pcapng").write_bytes(capture(short))


def gigabytes(path: Path) -> None:
    huge(path / "capture.pcapng")


@pytest.mark.parametrize("flood", [million_lines, million_frames, gigabytes])
def test_a_flood_is_refused_before_it_fills_the_memory(
    path: Path, flood: Callable[[Path], None]
) -> None:
    flood(path)
    if flood is not gigabytes:
        mend(path)
    done = judge_command(path)
    assert (done.returncode, done.stderr) == (3, "")
    words = " ".join(done.stdout.split())
    assert "has more than" in words or "larger than what a run writes" in words


# Where it runs


def test_neither_docker_nor_libnftables_is_needed(path: Path) -> None:
    script = """
import ctypes, sys
sys.modules["docker"] = None
class NoLibrary(ctypes.CDLL):
    def __init__(self, name, *args, **kwargs):
        assert name is None or "nft" not in str(name), name
        super().__init__(name, *args, **kwargs)
ctypes.CDLL = NoLibrary
from harness.cli import main
sys.argv = ["ra-harness", "judge", sys.argv[1]]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_said_fits_80_columns(path: Path) -> None:
    alter, _ = CAREFUL["a rule"]
    alter(path)
    mend(path)
    assert "does not have the rules" in " ".join(judge_in_process(path).split())


def test_the_private_address_is_dialled_too() -> None:
    """Or the bundle that all of this is tried on would be a poor one."""
    assert set(PORTS) == {PRIVATE, WAN}
