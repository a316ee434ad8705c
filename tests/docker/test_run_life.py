"""However a run on docker ends, no container of it stays, and no other run is harmed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from containers_of import containers_of, harness, results, start, until
from docker import DockerClient

from harness.runtime.docker import images
from harness.runtime.docker.images import Role, tag
from harness.runtime.docker.images_context import ROOT
from harness.runtime.docker.ownership import OWNER_LABEL, RUN_LABEL, Owner
from harness.words import Verdict

CHAINS = ("--novice", "upnp-nat", "--expert", "nat")


def _interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


@contextmanager
def _running(
    engine: DockerClient, folder: Path, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a run and wait until a lab of it is up."""
    process = start(folder, *arguments)
    try:
        # The novice, its gateway, the internet, the services, the expert and its gateway: all have
        # an owner when the first program of them runs.
        until("a lab is up", lambda: len(_running_containers(engine, process.pid)) >= 6)
        until("a program runs in it", lambda: _programs(engine, process.pid))
        yield process
    finally:
        process.kill()
        process.wait()


def _programs(engine: DockerClient, pid: int) -> set[int]:
    """Return the processes that containers have beside their first ones."""
    inits = [engine.api.inspect_container(each) for each in _running_containers(engine, pid)]
    return {child for init in inits for child in _children(init["State"]["Pid"])}


def _running_containers(engine: DockerClient, pid: int) -> list[str]:
    return [each["Id"] for each in containers_of(engine, pid) if each["State"] == "running"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_run_s_containers_end_by_themselves(
    wireable: DockerClient, tmp_path: Path, number: signal.Signals
) -> None:
    before = _interfaces(), {each["Id"] for each in wireable.api.networks()}
    arguments = (*CHAINS, "--method", "file")  # one lab: no container of another is half made
    with _running(wireable, tmp_path / "out", *arguments) as process:
        process.send_signal(number)
        process.communicate()
        assert process.returncode != 0
        until("they are gone", lambda: not containers_of(wireable, process.pid))
    assert (_interfaces(), {each["Id"] for each in wireable.api.networks()}) == before


def test_ctrl_c_returns_when_every_container_is_gone(
    wireable: DockerClient, tmp_path: Path
) -> None:
    with _running(wireable, tmp_path / "out", *CHAINS) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert containers_of(wireable, process.pid) == []
        assert process.returncode == 130
        assert err.splitlines()[-1].startswith("ra-harness: interrupted")
        assert "Traceback" not in err


@pytest.mark.parametrize("cleaner", ["its own clone", "another clone"])
def test_a_run_that_is_alive_is_unharmed_by_another_s_death_and_by_a_clean_up(
    wireable: DockerClient, tmp_path: Path, cleaner: str
) -> None:
    cleaning = ROOT if cleaner == "its own clone" else _another_clone(tmp_path)
    with _running(wireable, tmp_path / "victim", *CHAINS) as victim:
        alive = start(tmp_path / "alive", *CHAINS)
        until("the other is up", lambda: _running_containers(wireable, alive.pid))
        victim.kill()
        # At every moment: an image that no container uses yet is the first to go.
        until(
            "it has ended, and clean-ups with it",
            lambda: harness("clean", clone=cleaning).status == 0 and alive.poll() is not None,
            within=100,
        )
    found = results(tmp_path / "alive").scenarios
    assert [each.why for each in found if each.observed is None] == []
    assert alive.returncode == 0


def _another_clone(folder: Path) -> Path:
    clone = folder / "clone"
    for name in ("harness", "topologies", "images", ".ci"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", clone)
    return clone


@contextmanager
def _left_behind(engine: DockerClient, owner: Owner) -> Iterator[str]:
    """Make what a run leaves that died between making a container and owning it."""
    images.ensure(engine, [Role.BASE], print)
    made = engine.api.create_container(
        tag(Role.BASE),
        labels={RUN_LABEL: "a-test", OWNER_LABEL: owner.text()},
        host_config=engine.api.create_host_config(
            network_mode="none", tmpfs={"/run/node": "rw"}, auto_remove=False
        ),
    )
    engine.api.start(made["Id"])
    try:
        yield made["Id"]
    finally:
        if made["Id"] in _ids(engine):
            engine.api.remove_container(made["Id"], force=True)


def _ids(engine: DockerClient) -> set[str]:
    return {each["Id"] for each in engine.api.containers(all=True)}


@pytest.mark.parametrize("way", ["the next run", "clean"])
def test_what_a_dead_run_left_is_removed_and_nothing_else(
    wireable: DockerClient, tmp_path: Path, way: str
) -> None:
    own = Owner.current()
    dead = replace(own, started=own.started - 1)
    elsewhere = replace(dead, host="elsewhere")
    with (
        _left_behind(wireable, dead) as orphan,
        _left_behind(wireable, own) as ours,
        _left_behind(wireable, elsewhere) as theirs,
    ):
        if way == "clean":
            # This one's images are not rebuilt in a second.
            assert harness("clean", clone=_another_clone(tmp_path)).status == 0
        else:
            out = tmp_path / "out"
            arguments = ("--method", "file", "--novice", "nat", "--out", out)
            assert harness("run", "--runtime", "docker", *arguments).status == 0
            assert results(out).scenarios[0].verdict is Verdict.AGREES
        left = _ids(wireable)
        assert orphan not in left
        assert {ours, theirs} <= left


def test_a_lab_whose_process_is_killed_is_an_error_and_leaves_nothing(
    wireable: DockerClient, tmp_path: Path
) -> None:
    """So a deadline ends it; such a process can end nothing by itself, kernel and engine do."""
    with _running(wireable, tmp_path / "out", "--method", "file", *CHAINS) as process:
        labs = _grandchildren(process.pid)
        assert labs
        for pid in labs:
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == 3
        assert containers_of(wireable, process.pid) == []
    (scenario,) = results(tmp_path / "out").scenarios
    assert scenario.verdict is Verdict.ERROR


def _grandchildren(pid: int) -> set[int]:
    return {grandchild for child in _children(pid) for grandchild in _children(child)}


def _children(pid: int) -> set[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return {int(child) for child in text.split()}
