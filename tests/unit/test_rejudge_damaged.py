"""What is no bundle is refused in one line, and one that is damaged or made up does no harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import FRAMES, INVITATION, capture, edit, mend, write_bundle
from rejudging import GIB, judge_command, judge_in_process, judged, results_of

from harness.errors import DefinitionError
from harness.words import Verdict


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a bundle in a results folder."""
    return write_bundle(tmp_path / "results")


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
