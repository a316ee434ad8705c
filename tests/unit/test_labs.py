"""A lab is known by a private file, and only as long as the command that holds it lives."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.runner import labs
from harness.runner.labs import Address, LabEntry, NodeEntry, NoSuchLab
from harness.runtime.docker.ownership import Owner

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the session, which is this user's alone."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder


def lab(name: str, *nodes: str, owner: Owner | None = None, minutes: int = 0) -> LabEntry:
    made = Owner.current() if owner is None else owner
    address = Address.model_validate({"interface": "eth0", "address": "192.168.1.100/24"})
    return LabEntry(
        id=name,
        topology="nat+nat",
        since=BEGIN + timedelta(minutes=minutes),
        owner=made.text(),
        user=None,
        world=0,
        mounts=0,
        nodes=tuple(
            NodeEntry(name=node, what="a host", addresses=(address,), disk="/run", network=0)
            for node in nodes
        ),
    )


def dead() -> Owner:
    """Return the owner that a process was which has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(Owner.current(), pid=process.pid)


def test_a_registered_lab_is_up_until_the_context_is_left(home: Path) -> None:
    entry = lab("aaaa", "novice")
    with labs.registered(entry):
        assert labs.standing() == [entry]
        assert labs.is_up(entry)
        (file,) = home.rglob("*.json")
        assert file.parent.stat().st_mode & 0o777 == 0o700
    assert labs.standing() == []
    assert not file.exists()


def test_labs_come_oldest_first() -> None:
    with labs.registered(lab("bbbb", minutes=1)), labs.registered(lab("cccc")):
        assert [each.id for each in labs.standing()] == ["cccc", "bbbb"]


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(dead, id="no such process"),
        pytest.param(
            lambda: replace(Owner.current(), started=Owner.current().started - 1),
            id="number reused",
        ),
        pytest.param(lambda: replace(Owner.current(), boot="another"), id="machine started anew"),
    ],
)
def test_the_file_of_a_dead_command_is_removed(home: Path, owner: object) -> None:
    assert callable(owner)
    with labs.registered(lab("dddd", owner=owner())):
        assert labs.standing() == []
        assert list(home.rglob("*.json")) == []


def test_a_lab_that_cannot_be_known_to_be_dead_is_kept() -> None:
    """Its command is in another container that shares the folder."""
    far = replace(Owner.current(), pid_namespace=1, pid=1 << 22)
    with labs.registered(lab("eeee", owner=far)):
        assert [each.id for each in labs.standing()] == ["eeee"]


@pytest.mark.parametrize("content", ["", "{}", '{"id": "x"}', "not JSON", "\x00"])
def test_a_file_that_is_no_lab_s_is_left_alone(home: Path, content: str) -> None:
    with labs.registered(lab("ffff")):
        (folder,) = (each for each in home.iterdir() if each.is_dir())
        other = folder / "other.json"
        other.write_text(content, encoding="utf-8")
        assert [each.id for each in labs.standing()] == ["ffff"]
        assert other.exists()


def test_without_a_session_the_temporary_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with labs.registered(lab("abab")):
        (file,) = tmp_path.rglob("*.json")
        assert file.parent == tmp_path / f"ra-harness-{os.geteuid()}"


def test_what_was_made_without_a_session_is_found_with_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with labs.registered(lab("acac")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
        assert [each.id for each in labs.standing()] == ["acac"]


def test_a_folder_that_others_may_use_is_refused(tmp_path: Path, home: Path) -> None:
    """Whoever may write there could name any process as a lab's."""
    home.chmod(0o755)
    theirs = tmp_path / f"ra-harness-{os.geteuid()}"
    theirs.mkdir(mode=0o755)
    with pytest.raises(MachineError, match=str(theirs)), labs.registered(lab("adad")):
        pass


def test_a_link_is_no_private_folder(tmp_path: Path, home: Path) -> None:
    home.chmod(0o755)
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / f"ra-harness-{os.geteuid()}").symlink_to(tmp_path / "real")
    with pytest.raises(MachineError, match="not this user's alone"), labs.registered(lab("aeae")):
        pass


def test_no_lab_at_all_is_said_with_the_remedy() -> None:
    with pytest.raises(NoSuchLab, match="ra-harness up"):
        labs.choose(None)


def test_a_node_that_one_lab_has_is_found_among_several() -> None:
    first, second = lab("aaaa", "novice", "novice.nat"), lab("bbbb", "novice")
    assert labs.find_node([first, second], "novice.nat")[0] is first
    with pytest.raises(NoSuchLab, match=r"aaaa \(nat\+nat\), bbbb"):
        labs.find_node([first, second], "novice")
    with pytest.raises(NoSuchLab, match=r"there are: novice, novice\.nat$"):
        labs.find_node([first, second], "expert")


def test_a_lab_that_ends_before_it_is_entered_is_said_to_have_ended() -> None:
    entry = lab("afaf", "novice", owner=dead())
    with pytest.raises(NoSuchLab, match=r"lab afaf \(nat\+nat\) has ended"):
        labs.run_in_node(entry, entry.nodes[0], ["true"])
