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
from containers_of import Ended, containers_of, harness, results, start, until
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
        # The novice, its gateway, the internet, the services, the expert and its gateway.
        until("a lab is up", lambda: len(_running_containers(engine, process.pid)) >= 6)
        yield process
    finally:
        process.kill()
        process.wait()


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


def test_a_run_that_is_alive_is_unharmed_by_another_s_death_and_by_a_clean_up(
    wireable: DockerClient, tmp_path: Path
) -> None:
    with _running(wireable, tmp_path / "victim", *CHAINS) as victim:
        alive = start(tmp_path / "alive", *CHAINS)
        until("the other is up", lambda: _running_containers(wireable, alive.pid))
        victim.kill()
        assert _clean(tmp_path).status == 0
        alive.communicate(timeout=100)
    assert alive.returncode == 0
    found = results(tmp_path / "alive")
    assert found.summary.error == found.summary.invalid == 0


def _clean(folder: Path) -> Ended:
    """Clean up from another clone: this one's images are not rebuilt in a second."""
    clone = folder / "clone"
    for name in ("harness", "topologies", "images", ".ci"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", clone)
    return harness("clean", environment={**os.environ, "PYTHONPATH": str(clone)})


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
            assert _clean(tmp_path).status == 0
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
