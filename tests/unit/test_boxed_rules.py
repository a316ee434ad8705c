"""The boxed runtime's own rules: what is sent, what is heard, and what is let in."""

from __future__ import annotations

import io
import socket
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from definitions import copy_of_project
from factories import observed, results, scenario

from harness.cli.main import cli
from harness.errors import DefinitionError, MachineError, RunError
from harness.judge.model import Results
from harness.runner import boxed
from harness.runner.results_folder import ResultsFolder
from harness.runtime.docker import box

STDERR = 2
ALL = sum(1 << bit for bit in box.CAPABILITIES.values())


def context_of(*words: str) -> click.Context:
    command = cli.commands[words[0]]
    return command.make_context(words[0], list(words[1:]))


# What is sent


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "--novice", "nat,upnp-nat", "--expert", "direct", "--method", "file"),
        ("run", "--method", "file", "--method", "email", "--order", "novice-first"),
        ("run", "--expert", "socks-proxy", "--proxy-client", "expert", "--proxy-client", "novice"),
        ("run", "--jobs", "7", "--expert-port", "3389"),
        ("matrix", "--devices", "direct,nat", "--method", "messenger"),
    ],
)
def test_a_box_is_given_the_same_command_with_namespaces_for_its_runtime(
    words: tuple[str, ...],
) -> None:
    outside = context_of(*words, "--runtime", "boxed", "--out", "here")
    sent = boxed.errand(outside)
    inside = context_of(*sent.arguments)
    own = {"runtime": "namespaces", "out": Path(box.RESULTS), "report": False}
    assert inside.params == {**outside.params, **own}
    assert sent.definitions == {}


def test_the_jobs_of_a_box_follow_its_own_cores_unless_they_were_given() -> None:
    assert not [word for word in boxed.errand(context_of("run")).arguments if "jobs" in word]


def test_a_word_that_looks_like_an_option_stays_a_value() -> None:
    sent = boxed.errand(context_of("run", "--novice=--out"))
    assert context_of(*sent.arguments).params["novice"] == "--out"


def test_own_definitions_go_along_and_nothing_else_of_their_folder(tmp_path: Path) -> None:
    folder = copy_of_project(tmp_path)
    (folder / "secret.txt").write_text("not a definition", encoding="ascii")
    (folder / "devices" / "notes.md").write_text("nor this", encoding="ascii")
    sent = boxed.errand(context_of("run", "--topologies", str(folder)))
    assert f"--topologies={box.DEFINITIONS}/topologies" in sent.arguments
    assert sent.definitions == {
        f"topologies/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*.toml")
    }


def test_a_topology_file_goes_along(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('title = "mine"\n', encoding="ascii")
    sent = boxed.errand(context_of("run", "--topology", str(file)))
    assert f"--topology={box.DEFINITIONS}/topology.toml" in sent.arguments
    assert sent.definitions == {"topology.toml": b'title = "mine"\n'}


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"gone\.toml: No such file"):
        boxed.errand(context_of("run", "--topology", str(tmp_path / "gone.toml")))


# What is heard


@contextmanager
def connection() -> Iterator[tuple[socket.socket, box.Box]]:
    """The engine's end of a connection, and a box attached by the other."""
    theirs, ours = socket.socketpair()
    with theirs:
        attached = box.Box(None, "identity", ours)
        try:
            yield theirs, attached
        finally:
            attached.close()


def frame(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">BxxxL", STDERR, len(data)) + data


def test_lines_are_put_together_from_frames_and_the_status_is_the_run_s() -> None:
    heard: list[str] = []
    with connection() as (engine, attached):
        engine.sendall(frame(f"\x1e{ALL:016x}\n1/2 ag"))
        engine.sendall(frame("rees\n2/2 \u00e4\nlast"))
        engine.sendall(frame(" words\x1e3\n"))
        assert attached.follow(heard.append) == 3
    assert heard == ["1/2 agrees", "2/2 \u00e4", "last words"]


@pytest.mark.parametrize("name", box.CAPABILITIES)
def test_a_box_that_lacks_a_capability_is_refused_by_its_name(name: str) -> None:
    mask = ALL & ~(1 << box.CAPABILITIES[name])
    with connection() as (engine, attached):
        engine.sendall(frame(f"\x1e{mask:x}\n"))
        with pytest.raises(MachineError, match=f"gave the box no {name}: it needs SYS_ADMIN, "):
            attached.follow(print)


def test_a_box_that_ends_before_its_run_is_an_error() -> None:
    with connection() as (engine, attached):
        engine.sendall(frame(f"\x1e{ALL:x}\n1/2 agrees\n"))
        engine.shutdown(socket.SHUT_RDWR)
        with pytest.raises(RunError, match="ended before the run"):
            attached.follow(lambda _: None)


def test_an_engine_that_falls_silent_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(box, "SILENCE", 0.05)
    with connection() as (engine, attached):
        engine.sendall(frame(f"\x1e{ALL:x}\n"))
        with pytest.raises(RunError, match=r"said nothing for 0\.05 s"):
            attached.follow(print)


# What is let in


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return packed


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def some_results() -> Results:
    return results(scenario("file", "nat", "nat", observed("no")))


def test_bundles_are_written_and_results_returned(tmp_path: Path) -> None:
    made = some_results()
    content = made.model_dump_json(by_alias=True).encode()
    packed = archive(
        (member("results", tarfile.DIRTYPE), b""),
        (member("results/results.json"), content),
        (member("results/junit.xml"), b"<not ours/>"),
        (member("results/scenarios/file/nat+nat", tarfile.DIRTYPE), b""),
        (member("results/scenarios/file/nat+nat/packets.pcapng"), b"\0\xff\r\n"),
    )
    folder = ResultsFolder(tmp_path / "out")
    assert boxed.unpack(packed, folder) == made
    files = {path.name: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert files == {".ra-harness": b"", "packets.pcapng": b"\0\xff\r\n"}


def test_a_folder_without_results_has_none(tmp_path: Path) -> None:
    packed = archive((member("results", tarfile.DIRTYPE), b""))
    assert boxed.unpack(packed, ResultsFolder(tmp_path / "out")) is None


@pytest.mark.parametrize(
    "bad",
    [
        member("results/scenarios/../../../escaped"),
        member("/results/scenarios/escaped"),
        member("escaped"),
        member("results/scenarios/a", tarfile.SYMTYPE, "/etc/passwd"),
        member("results/scenarios/a", tarfile.LNKTYPE, "results/results.json"),
        member("results/scenarios/a", tarfile.CHRTYPE),
        member("results/scenarios/a", tarfile.FIFOTYPE),
    ],
    ids=["parent", "absolute", "elsewhere", "symlink", "hard link", "device", "fifo"],
)
def test_an_archive_with_anything_but_files_of_a_results_folder_is_refused(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    folder = ResultsFolder(tmp_path / "out")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="no file of a results folder"):
        boxed.unpack(archive((bad, b"")), folder)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b'{"schema": 2}', b"\xff"])
def test_results_that_are_none_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    folder = ResultsFolder(tmp_path / "out")
    with pytest.raises(RunError, match="cannot be read") as caught:
        boxed.unpack(archive((member("results/results.json"), content)), folder)
    assert "\n" not in str(caught.value)


def test_an_archive_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    whole = archive((member("results/scenarios/a"), bytes(4096))).getvalue()
    with pytest.raises(RunError, match="cannot be read"):
        boxed.unpack(io.BytesIO(whole[:2000]), ResultsFolder(tmp_path / "out"))
