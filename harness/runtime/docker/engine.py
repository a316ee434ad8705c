"""The Docker engine: whether one answers, and whether its containers can be wired from here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import docker
from docker import DockerClient
from docker.errors import DockerException

from harness.errors import MachineError

BOXED = "what works there: make kb RUNTIME=boxed"
"""What to do where containers cannot be wired."""

_USUAL = "unix:///var/run/docker.sock"
_LOCAL = "unix://"
_TIMEOUT = 60

# Root of a user namespace has no power over the engine's containers.
_UID_MAP = Path("/proc/self/uid_map")
_ALL_USERS = ["0", "0", str(2**32 - 1)]


def connect() -> DockerClient:
    """Connect to the engine that Docker's own command would ask: ``DOCKER_HOST``, or the context.

    Raises:
        MachineError: none answers.
    """
    try:
        if os.environ.get("DOCKER_HOST"):
            client = docker.from_env(timeout=_TIMEOUT)
        else:
            client = DockerClient(**docker.ContextAPI.kwargs_from_context(), timeout=_TIMEOUT)
        client.ping()
    except (DockerException, OSError) as error:
        raise MachineError(_no_answer(error)) from error
    return client


def check_wireable(client: DockerClient) -> None:
    """Check that this process may reach into the engine's containers to wire them.

    What the engine says of itself is looked at here. That a container's processes are this
    machine's is seen when the first one is made.

    Raises:
        MachineError: it may not; the text names what works instead.
    """
    where = address()
    if not where.startswith(_LOCAL):
        raise MachineError(f"{where} is an engine on another machine: no wire reaches it; {BOXED}")
    info: dict[str, Any] = client.info()
    if any("rootless" in option for option in info.get("SecurityOptions") or ()):
        raise MachineError(f"the engine at {where} is rootless: no wire reaches it; {BOXED}")
    if "Docker Desktop" in str(info.get("OperatingSystem")):
        raise MachineError(f"Docker Desktop runs containers in a machine of its own; {BOXED}")
    if os.geteuid() != 0 or _UID_MAP.read_text(encoding="ascii").split() != _ALL_USERS:
        raise MachineError(f"wiring containers needs root: run as root (sudo make ...); {BOXED}")


def address() -> str:
    """Return the address of the engine that :func:`connect` asks."""
    named = os.environ.get("DOCKER_HOST") or docker.ContextAPI.kwargs_from_context().get("base_url")
    return str(named or _USUAL).removeprefix("http+")


def _no_answer(error: Exception) -> str:
    where = address()
    remedy = "start one (make engine)"
    if os.environ.get("DOCKER_HOST"):
        remedy = "start it, or unset DOCKER_HOST"
    path = Path(where.removeprefix(_LOCAL))
    if where.startswith(_LOCAL) and path.exists() and not os.access(path, os.W_OK):
        return f"this user may not use the Docker engine at {where}: run as root or join its group"
    return f"no Docker engine answers at {where} ({_reason(error)}): {remedy}"


def _reason(error: BaseException) -> str:
    """Return the system's own words where there are any: the library wraps them many times."""
    said, cause = str(error), error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    return " ".join(said.split())
