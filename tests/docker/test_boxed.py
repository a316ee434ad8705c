"""The boxed runtime: the same outcomes from any engine, near or far, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from containers_of import COMMAND, containers_of, harness, heed_ctrl_c, results, until
from docker import DockerClient
from not_run import not_run

from harness.errors import MachineError, RunError
from harness.judge.model import Results, ScenarioResult
from harness.report.progress import PlainProgress
from harness.runner import boxed
from harness.runner.results_folder import ResultsFolder
from harness.runtime.docker import box, images
from harness.runtime.docker.images import Role, tag
from harness.runtime.docker.ownership import OWNER_LABEL, RUN_LABEL, Owner
from harness.topology.load import default_folder
from harness.words import Answer, Verdict

pytestmark = pytest.mark.timeout(400)  # the first may have to build the image

BOXED = ("--runtime", "boxed")
SHORT = ("--method", "file", "--novice", "nat")

_CHUNK = 1 << 16


@pytest.fixture(autouse=True)
def _image(engine: DockerClient) -> None:
    images.ensure(engine, [Role.BOX], print)


def _seen(result: ScenarioResult) -> dict[str, object]:
    """Return what may not differ between runtimes.

    That is all but times, chosen ports, and the order in which two come who dial at once.
    """
    assert result.observed is not None, result.why
    return {
        "id": result.id,
        "answer": result.observed.answer,
        "attempts": {
            (each.dialler, each.address, each.end, each.ended_at)
            for each in result.observed.attempts
        },
        "controls": sorted((each.name, each.node, each.passed) for each in result.controls),
        "predicted": result.predicted,
        "verdict": result.verdict,
    }


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _one_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("ra-harness: ")
    return line.removeprefix("ra-harness: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--method", "file", "--novice", "upnp-nat"),
        ("run", "--novice", "nat"),
        ("run", "--method", "email", "--novice", "xp-ics", "--expert", "firewall"),
        ("run", "--method", "file", "--expert", "socks-proxy", "--proxy-client", "expert"),
        ("matrix", "--devices", "direct,nat", "--method", "file"),
    ],
    ids=" ".join,
)
def test_a_box_observes_what_the_namespaces_runtime_observes(
    engine: DockerClient, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    there, here = tmp_path / "boxed", tmp_path / "namespaces"
    inside = harness(*arguments, *BOXED, "--out", there)
    outside = harness(*arguments, "--out", here)
    assert inside.status == outside.status == 0, inside.err
    assert [_seen(each) for each in results(there).scenarios] == [
        _seen(each) for each in results(here).scenarios
    ]
    assert _files(there) == _files(here)


def test_results_name_the_runtime_the_run_and_where_it_was(
    engine: DockerClient, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    ended = harness("run", *BOXED, *SHORT, "--jobs", "2", "--out", folder)
    found = results(folder)
    assert ended.status == 0
    assert (found.run.runtime, found.run.jobs) == ("boxed", 2)
    assert found.run.host["kernel"] == engine.info()["KernelVersion"]
    assert found.scenarios[0].verdict is Verdict.AGREES
    assert found.summary.agrees == 1
    assert str(folder / "results.json") in ended.out
    assert "1/1 agrees" in ended.err


def test_definitions_of_one_s_own_are_those_that_run(engine: DockerClient, tmp_path: Path) -> None:
    """Without its daemon's mapping, the device the article counts on lets nobody in."""
    device = (default_folder() / "devices" / "upnp-nat.toml").read_text(encoding="utf-8")
    own = tmp_path / "own"
    (own / "devices").mkdir(parents=True)
    (own / "internet.toml").write_bytes((default_folder() / "internet.toml").read_bytes())
    (own / "devices" / "mine.toml").write_text(device.partition("[upnp]")[0], encoding="utf-8")
    file = tmp_path / "file.toml"
    file.write_text('[novice]\nchain = ["mine"]\n\n[expert]\nchain = []\n', encoding="utf-8")
    for chosen in (("--novice", "mine"), ("--topology", file)):
        out = tmp_path / "out"
        arguments = ("--topologies", own, "--method", "file", "--out", out)
        ended = harness("run", *BOXED, *chosen, *arguments)
        assert ended.status == 0, ended.err
        (found,) = results(out).scenarios
        assert found.novice == ("mine",)
        assert found.observed is not None
        assert found.observed.answer is Answer.NO


def test_a_wrong_definition_is_refused_as_always_before_anything_starts(
    engine: DockerClient, tmp_path: Path
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[novice]\nchain = ["nta"]\n', encoding="utf-8")
    out = tmp_path / "out"
    ended = harness("run", *BOXED, "--topology", file, "--out", out)
    assert ended.status == 2
    assert _one_line(ended.err).startswith(f"{file}: ")
    assert not out.exists()


# However it ends


@contextmanager
def _running(
    engine: DockerClient, folder: Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start the article's run; yield it and its container when scenarios have ended in it."""
    process = subprocess.Popen(
        [*COMMAND, "run", *BOXED, "--out", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - no thread of ours runs then
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.lstrip().startswith("2/"):
                break
        (container,) = containers_of(engine, process.pid)
        yield process, container
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_run_s_box_ends_by_itself(
    engine: DockerClient, tmp_path: Path, number: signal.Signals
) -> None:
    with _running(engine, tmp_path / "out") as (process, _):
        process.send_signal(number)
        process.communicate()
        assert process.returncode == -number
        until("the box is gone", lambda: not containers_of(engine, process.pid))


def test_ctrl_c_returns_when_the_box_is_gone(engine: DockerClient, tmp_path: Path) -> None:
    with _running(engine, tmp_path / "out") as (process, _):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert containers_of(engine, process.pid) == []
        assert process.returncode == 130
        assert err.splitlines()[-1].startswith("ra-harness: interrupted")
        assert "Traceback" not in err
        assert not (tmp_path / "out" / "results.json").exists()


def test_a_box_that_somebody_removes_is_one_line_and_no_verdict(
    engine: DockerClient, tmp_path: Path
) -> None:
    with _running(engine, tmp_path / "out") as (process, container):
        engine.api.remove_container(container["Id"], force=True)
        _, err = process.communicate()
        assert process.returncode == 3
        assert "ended before the run in it" in err.splitlines()[-1]
        assert "Traceback" not in err


def test_the_next_run_removes_a_box_whose_owner_died_before_it_was_started(
    engine: DockerClient, tmp_path: Path
) -> None:
    own = Owner.current()
    left = {}
    for owner in (own, replace(own, started=own.started - 1)):
        labels = {RUN_LABEL: "a-test", OWNER_LABEL: owner.text()}
        left[owner] = engine.api.create_container(tag(Role.BOX), labels=labels)["Id"]
    try:
        assert harness("run", *BOXED, *SHORT, "--out", tmp_path / "out").status == 0
        assert [each["Id"] for each in containers_of(engine, own.pid)] == [left[own]]
    finally:
        for each in containers_of(engine, own.pid):
            engine.api.remove_container(each["Id"], force=True)


# What it may do, and what it says when it cannot


def test_a_box_has_no_network_and_only_the_capabilities_that_it_names(
    engine: DockerClient, tmp_path: Path
) -> None:
    with _running(engine, tmp_path / "out") as (_, container):
        settings = engine.api.inspect_container(container["Id"])["HostConfig"]
        assert container["Labels"][RUN_LABEL]
    assert settings["Privileged"] is False
    assert settings["NetworkMode"] == "none"
    assert settings["CapDrop"] == ["ALL"]
    assert set(settings["CapAdd"]) == set(box.CAPABILITIES)
    assert not settings["Binds"]
    assert settings["AutoRemove"] is True


@pytest.mark.parametrize("name", box.CAPABILITIES)
def test_an_engine_that_does_not_give_a_capability_is_named_with_it(
    engine: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("harness.runtime.docker.engine.connect", lambda: _Mean(engine, name))
    with pytest.raises(MachineError, match=f"gave the box no {name}: it needs SYS_ADMIN, "):
        _run_in_process(tmp_path, "run", "--method=file", "--novice=nat")


def test_what_a_run_in_a_box_refuses_is_refused_in_its_words(
    engine: DockerClient, tmp_path: Path
) -> None:
    with pytest.raises(MachineError) as caught:
        _run_in_process(tmp_path, "run", "--novice=nta")
    assert str(caught.value).startswith("topology nta+direct: novice.chain: there is no device")
    assert containers_of(engine, os.getpid()) == []


def test_an_engine_that_refuses_a_box_is_quoted_with_what_a_box_needs(
    engine: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "CAPABILITIES", {"NO_SUCH": 63})
    with pytest.raises(MachineError, match=r"which needs NO_SUCH and no AppArmor: .*CAP_NO_SUCH"):
        _run_in_process(tmp_path, "run", "--method=file", "--novice=nat")
    assert containers_of(engine, os.getpid()) == []


def test_a_box_that_ran_other_scenarios_than_asked_for_is_not_believed(
    engine: DockerClient, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="ran 1 scenarios that are not the 0 asked for"):
        _run_in_process(tmp_path, "run", "--method=file", "--novice=nat")


class _Mean:
    """The engine, and it gives no container a certain capability."""

    def __init__(self, engine: DockerClient, withheld: str) -> None:
        self.api = _MeanApi(engine.api, withheld)
        self.version = engine.version

    def close(self) -> None:
        """Leave the engine to the other tests."""


class _MeanApi:
    def __init__(self, api: Any, withheld: str) -> None:
        self._api = api
        self._withheld = withheld

    def create_host_config(self, *, cap_add: list[str], **settings: object) -> Any:
        given = [name for name in cap_add if name != self._withheld]
        return self._api.create_host_config(cap_add=given, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


def _run_in_process(folder: Path, *words: str) -> Results:
    from rich.console import Console  # noqa: PLC0415

    own = ("--runtime=namespaces", f"--out={box.RESULTS}")
    sent = boxed.Errand((*words, *own), {})
    return boxed.run(sent, [], ResultsFolder(folder / "out"), PlainProgress(Console(stderr=True)))


# An engine that is elsewhere


class Forwarder:
    """Passes TCP connections to the local engine, as a machine does that offers its own."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more, and cut what there is; may be called twice."""
        with suppress(OSError):  # it is closed
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with suppress(OSError):  # it has ended
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                caller, _ = self._listener.accept()
                self.connections.append(caller)
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._target)
                for source, sink in ((caller, engine), (engine, caller)):
                    threading.Thread(target=_pass, args=(source, sink), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # one side has reset the connection: so does the end below
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):  # the other direction was quicker
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def remote(engine: DockerClient) -> Iterator[Forwarder]:
    scheme, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    if scheme != "unix":
        not_run(f"DOCKER_HOST is {scheme}://, which is a remote engine already")
    forwarder = Forwarder(path)
    yield forwarder
    forwarder.close()


def test_an_engine_on_another_machine_runs_a_box(remote: Forwarder, tmp_path: Path) -> None:
    there = {**os.environ, "DOCKER_HOST": remote.address}
    out = tmp_path / "out"
    ended = harness("run", *BOXED, *SHORT, "--out", out, environment=there)
    assert ended.status == 0, ended.err
    assert results(out).scenarios[0].verdict is Verdict.AGREES
    assert remote.connections


def test_a_killed_run_s_box_on_another_machine_ends_by_itself(
    engine: DockerClient, remote: Forwarder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", remote.address)
    with _running(engine, tmp_path / "out") as (process, _):
        process.kill()
        process.communicate()
        until("the box is gone", lambda: not containers_of(engine, process.pid))


def test_an_engine_that_goes_away_is_one_line_and_no_verdict(
    engine: DockerClient, remote: Forwarder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", remote.address)
    with _running(engine, tmp_path / "out") as (process, _):
        remote.close()
        _, err = process.communicate()
        assert process.returncode == 3
        assert remote.address in err.splitlines()[-1]
        assert "Traceback" not in err
        until("the box is gone", lambda: not containers_of(engine, process.pid))


def test_the_docker_runtime_refuses_that_engine_and_names_this_one(
    remote: Forwarder, tmp_path: Path
) -> None:
    there = {**os.environ, "DOCKER_HOST": remote.address}
    out = tmp_path / "out"
    ended = harness("run", "--runtime", "docker", *SHORT, "--out", out, environment=there)
    assert ended.status == 2
    line = _one_line(ended.err)
    assert remote.address in line
    assert "make kb RUNTIME=boxed" in line
