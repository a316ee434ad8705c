"""Looks at the engine's containers, and runs the command on the docker runtime."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import DockerClient
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.judge.model import Results
from harness.report.results_file import read_results
from harness.runtime.docker.images_context import ROOT
from harness.runtime.docker.ownership import OWNER_LABEL, RUN_LABEL, Owner

COMMAND = (sys.executable, "-m", "harness")
DEADLINE = 300


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str


def harness(
    *arguments: str | Path, clone: Path = ROOT, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a clone's command to its end."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=environment,
        cwd=clone,  # where Python looks first for the module to run
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ``ra-harness run --runtime docker``."""
    return subprocess.Popen(
        [*COMMAND, "run", "--runtime", "docker", "--out", folder, *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - no thread of ours runs then
    )


def heed_ctrl_c() -> None:
    """Heed what a shell has its background jobs ignore, this suite perhaps among them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def results(folder: Path) -> Results:
    """Read what a run wrote."""
    return read_results(folder / "results.json")


def containers_of(engine: DockerClient, pid: int) -> list[dict[str, Any]]:
    """Return the containers that a process owns."""
    every = engine.api.containers(all=True, filters={"label": RUN_LABEL})
    return [each for each in every if Owner.read(each["Labels"][OWNER_LABEL]).pid == pid]


def until(what: str, holds: Callable[[], object], within: float = 60.0) -> None:
    """Wait until something holds."""
    waiting = Retrying(
        retry=retry_if_result(lambda held: not held),
        stop=stop_after_delay(within),
        wait=wait_fixed(0.02),
        retry_error_callback=lambda _: False,
    )
    assert waiting(holds), f"not within {within:g} s: {what}"
