"""Whose a container is, and when it is known to be nobody's."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace

import pytest

from harness.runtime.docker.ownership import OWNER_LABEL, Owner, is_orphan


def test_the_calling_process_is_alive_and_reads_back_as_it_was_written() -> None:
    own = Owner.current()
    assert own.pid == os.getpid()
    assert Owner.read(own.text()) == own
    assert not own.is_dead()


@pytest.mark.parametrize("text", ["", "host", "a/b/1/2", "a/b/x/2/3", "a/b/1/2/3/4", "a/b/1//3"])
def test_what_is_no_owner_is_refused_and_no_orphan(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Owner.read(text)
    assert not is_orphan({OWNER_LABEL: text})


def test_a_thing_without_an_owner_is_no_orphan() -> None:
    assert not is_orphan({})


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def _owner_of(pid: int) -> Owner:
    stat = open(f"/proc/{pid}/stat", encoding="utf-8").read()  # noqa: PTH123, SIM115
    return replace(Owner.current(), pid=pid, started=int(stat.rpartition(")")[2].split()[19]))


def test_a_killed_process_is_dead_before_anybody_has_waited_for_it() -> None:
    with _child() as child:
        owner = _owner_of(child.pid)
        assert not owner.is_dead()
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert owner.is_dead()
    assert owner.is_dead()


def test_another_process_of_the_same_number_is_not_the_owner() -> None:
    own = Owner.current()
    assert replace(own, started=own.started - 1).is_dead()


def test_a_boot_ago_everybody_is_dead() -> None:
    assert replace(Owner.current(), boot="an-earlier-boot").is_dead()


def test_of_another_host_or_pid_namespace_nothing_is_known() -> None:
    dead = replace(Owner.current(), started=0)
    assert dead.is_dead()
    assert not replace(dead, host="elsewhere", boot="another").is_dead()
    assert not replace(dead, pid_namespace=1).is_dead()
    assert not is_orphan({OWNER_LABEL: replace(dead, host="elsewhere").text()})
    assert is_orphan({OWNER_LABEL: dead.text()})
