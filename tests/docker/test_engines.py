"""Where containers cannot be wired the run says so in one line, and names what works there."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from containers_of import COMMAND, Ended, harness
from docker import DockerClient

BOXED = "make kb RUNTIME=boxed"


def _run(tmp_path: Path, host: str) -> Ended:
    environment = {**os.environ, "DOCKER_HOST": host}
    arguments = ("run", "--runtime", "docker", "--out", tmp_path / "out")
    ended = harness(*arguments, environment=environment)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1, ended.err
    return ended


def test_no_engine_is_told_of_with_the_way_to_one(tmp_path: Path) -> None:
    ended = _run(tmp_path, f"unix://{tmp_path}/none.sock")
    assert f"no Docker engine answers at unix://{tmp_path}/none.sock" in ended.err


def test_an_ordinary_user_s_root_cannot_wire(wireable: DockerClient, tmp_path: Path) -> None:
    command = ["unshare", "--user", "--map-root-user", *COMMAND, "run", "--runtime", "docker"]
    ended = subprocess.run(
        [*command, "--out", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "wiring containers needs root" in line
    assert BOXED in line


class _Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Speaks as much of the engine's protocol as is asked before anything is made."""

    info: dict[str, Any]


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Engine)
        content: object = "OK"
        if self.path.endswith("/version"):
            content = {"ApiVersion": "1.41", "Version": "20.10"}
        elif self.path.endswith("/info"):
            content = self.server.info
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


@contextmanager
def _engine(folder: Path, **info: object) -> Iterator[str]:
    """An engine of another kind than this machine can run, for what it says of itself."""
    path = folder / "engine.sock"
    with _Engine(str(path), _Answers) as server:
        server.info = info
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, "is rootless"),
        ({"OperatingSystem": "Docker Desktop"}, "Docker Desktop runs containers in a machine"),
    ],
)
def test_what_an_engine_says_of_itself_is_enough_to_refuse_it(
    tmp_path: Path, info: dict[str, object], said: str
) -> None:
    with _engine(tmp_path, **info) as host:
        ended = _run(tmp_path, host)
    assert said in ended.err
    assert BOXED in ended.err


def test_an_engine_in_another_pid_namespace_is_found_out_by_its_first_container(
    wireable: DockerClient, tmp_path: Path
) -> None:
    """So it is with an engine in a machine of its own, whose socket looks like any other."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", *COMMAND, "run"]
    ended = subprocess.run(
        [*command, "--runtime", "docker", "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    line = ended.stderr.splitlines()[-1]
    assert "containers cannot be wired here" in line
    assert BOXED in line
    assert sys.executable not in line
