"""`make engine`, with engines that are sockets of the test and programs that write down calls."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest
from docker import ContextAPI

from harness import engine
from harness.bootstrap import Administrator, SetupError
from harness.engine import Answer, EngineError

ROOT_USER = Administrator(root=True, terminal=False)

DOCKERD_DIES = "echo 'failed to start daemon: no right to mount'; exit 1"
APT_OFFERS_DOCKER = "printf 'docker.io:\\n  Candidate: 1.0\\n'"


class Handler(BaseHTTPRequestHandler):
    """Answers as an engine does when asked for its version."""

    def do_GET(self) -> None:
        body = json.dumps({"Version": "99.1", "ApiVersion": "1.41"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nobody reads it."""

    def address_string(self) -> str:
        return "local"


@contextmanager
def answering(path: Path) -> Iterator[None]:
    with ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class Machine:
    """A machine with a socket of its own for the engine, and only fakes on PATH."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "docker.sock"
        self.address = f"unix://{self.socket}"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.log = folder / "calls.log"
        self.log.touch()
        for real in ("env", "sh", "setsid"):
            path = shutil.which(real)
            assert path
            (self.programs / real).symlink_to(path)

    def fake(self, name: str, script: str = "") -> None:
        program = self.programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{script}\n')
        program.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.split()[0] == name]

    def starts_an_engine(self) -> str:
        """What a fake does to be an engine: run this module, which listens until it is killed."""
        return f'exec {sys.executable} "{__file__}" "{self.socket}"'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(machine.programs))
    monkeypatch.setenv("DOCKER_HOST", machine.address)
    monkeypatch.setattr(engine, "_LOCAL_ADDRESSES", (machine.address,))
    monkeypatch.setattr(engine, "_SYSTEM_PATH", str(machine.programs))
    monkeypatch.setattr(engine, "_SYSTEMD", tmp_path / "no-systemd")
    monkeypatch.setattr(engine, "_LOG", tmp_path / "dockerd.log")
    return machine


@pytest.fixture
def children(tmp_path: Path) -> Iterator[None]:
    """End the engines that the test started."""
    yield
    pid = tmp_path / "docker.sock.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), 9)


def bring() -> str:
    line = engine.bring(ROOT_USER)
    assert "\n" not in line
    return line


def refused() -> str:
    with pytest.raises(EngineError) as error:
        engine.bring(ROOT_USER)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- It answers -----------------------------------------------------------------------------------


def test_an_engine_that_answers_is_named_with_version_and_address(machine: Machine) -> None:
    with answering(machine.socket):
        assert bring() == f"Docker 99.1 answers at {machine.address}"
    assert machine.log.read_text() == ""


def test_the_context_of_dockers_command_says_where_to_ask(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    context = {"base_url": machine.address}
    monkeypatch.setattr(ContextAPI, "kwargs_from_context", lambda **_: dict(context))
    with answering(machine.socket):
        assert bring() == f"Docker 99.1 answers at {machine.address}"


def test_without_host_and_context_it_is_the_usual_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert engine.address() == "unix:///var/run/docker.sock"


# --- It does not, and cannot be made to -----------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("unix:///no/such/socket", "No such file or directory"),
        ("bogus://x", "Invalid bind address protocol: bogus://x"),
    ],
)
def test_an_engine_elsewhere_is_nothing_to_start(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, host: str, why: str
) -> None:
    machine.fake("dockerd")
    monkeypatch.setenv("DOCKER_HOST", host)
    assert f"no Docker engine answers at {host} ({why}): start it, or unset" in refused()
    assert machine.calls("dockerd") == []


def test_a_socket_that_is_closed_to_the_user_is_no_reason_to_start_another(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may open every socket, so the refusal itself is made up here."""
    machine.fake("dockerd")
    machine.socket.touch()
    monkeypatch.setattr(engine, "ask", lambda: Answer("", "Permission denied", denied=True))
    monkeypatch.setattr(Path, "group", lambda _: "docker")
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    line = refused()
    assert line.startswith(f"user ann may not use the Docker engine at {machine.address}: ")
    assert "usermod -aG docker ann" in line
    assert machine.calls("dockerd") == []


def test_the_kernels_refusal_of_a_socket_is_known_as_one() -> None:
    inner = PermissionError(13, "Permission denied")
    outer = RuntimeError("wrapped")
    outer.__cause__ = inner
    assert list(engine._causes(outer)) == [outer, inner]
    assert engine._reason([outer, inner]) == "Permission denied"


def test_where_there_is_no_apt_the_user_is_sent_to_dockers_own_page(machine: Machine) -> None:
    assert "docs.docker.com/engine/install" in refused()


# --- It is started --------------------------------------------------------------------------------


@pytest.mark.usefixtures("children")
def test_an_installed_engine_is_started_and_outlives_the_command(machine: Machine) -> None:
    machine.fake("dockerd", machine.starts_an_engine())
    line = bring()
    pid = int((machine.socket.parent / "docker.sock.pid").read_text())
    log = machine.socket.parent / "dockerd.log"
    assert line == f"Docker 99.1 answers at {machine.address} (started now: pid {pid}, log {log})"
    assert os.getsid(pid) == pid
    assert bring() == f"Docker 99.1 answers at {machine.address}"
    assert len(machine.calls("dockerd")) == 1


def test_an_engine_that_ends_at_once_is_not_waited_for(machine: Machine) -> None:
    machine.fake("dockerd", DOCKERD_DIES)
    line = refused()
    assert "ended as soon as it was started: failed to start daemon: no right to mount" in line
    assert "dockerd.log" in line


def test_an_engine_that_never_answers_is_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = machine.socket.parent / "docker.sock.pid"
    tail = shutil.which("tail", path="/usr/bin:/bin")
    machine.fake("dockerd", f'echo $$ > "{pid}"; echo loading; exec {tail} -f /dev/null')
    monkeypatch.setattr(engine, "START_DEADLINE", 1.0)
    try:
        assert "does not answer after 1 s: loading" in refused()
    finally:
        os.kill(int(pid.read_text()), 9)


@pytest.mark.usefixtures("children")
def test_systemd_starts_it_where_there_is_systemd(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd").mkdir()
    monkeypatch.setattr(engine, "_SYSTEMD", tmp_path / "systemd")
    machine.fake("dockerd")
    machine.fake("systemctl", f"( {machine.starts_an_engine()} ) > /dev/null 2>&1 &")
    assert bring().endswith("(started now by systemctl)")
    assert machine.calls("systemctl") == ["systemctl start docker"]
    assert machine.calls("dockerd") == []


def test_what_systemctl_complains_of_is_passed_on(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd").mkdir()
    monkeypatch.setattr(engine, "_SYSTEMD", tmp_path / "systemd")
    machine.fake("dockerd")
    machine.fake("systemctl", "echo 'Unit docker.service is masked.'; exit 1")
    assert "systemctl cannot start docker: Unit docker.service is masked." in refused()


# --- It is installed ------------------------------------------------------------------------------


@pytest.mark.usefixtures("children")
def test_where_none_is_installed_debians_is_without_what_it_recommends(machine: Machine) -> None:
    machine.fake("apt-cache", APT_OFFERS_DOCKER)
    body = f"#!/bin/sh\n{machine.starts_an_engine()}\n".replace("'", "'\\''")
    dockerd = machine.programs / "dockerd"
    chmod = shutil.which("chmod", path="/usr/bin:/bin")
    machine.fake("apt-get", f"printf %s '{body}' > {dockerd}; {chmod} 755 {dockerd}")
    assert "(started now: pid " in bring()
    (install,) = machine.calls("apt-get")
    assert "--no-install-recommends" in install
    assert install.endswith(" docker.io")


def test_an_engine_that_cannot_be_installed_is_said_in_one_line(machine: Machine) -> None:
    machine.fake("apt-cache")
    machine.fake("apt-get")
    with pytest.raises(SetupError, match="no package for the dockerd program"):
        engine.bring(ROOT_USER)


# --- The command ----------------------------------------------------------------------------------


def command(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.engine"],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_ends_with_0_where_an_engine_answers(tmp_path: Path) -> None:
    with answering(tmp_path / "docker.sock"):
        done = command(DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Docker 99.1 answers at unix://{tmp_path}/docker.sock\n"


def test_the_command_ends_with_2_and_one_line_where_none_does(tmp_path: Path) -> None:
    done = command(DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("engine: no Docker engine answers at unix://")


if __name__ == "__main__":
    # The fake dockerd: listens on the socket named, under another name until it does.
    path = Path(sys.argv[1])
    path.with_name(path.name + ".pid").write_text(str(os.getpid()))
    with ThreadingUnixStreamServer(f"{path}.new", Handler) as forever:
        Path(f"{path}.new").rename(path)
        forever.serve_forever()
