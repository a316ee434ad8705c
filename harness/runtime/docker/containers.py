"""Nodes that are containers, each with a network of its own that the engine knows nothing of.

A container runs :mod:`harness.nodes.init`, which starts whatever is asked for, so nothing needs
``docker exec``. It ends when its owner's connection does, and the engine removes it: a lab that is
killed leaves nothing behind but what was made and not yet started. What a container may do is in
:data:`CAPABILITIES`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from harness.errors import ScenarioError
from harness.nodes.init import DISK, FOLDER, SOCKET
from harness.runtime.docker.engine import connect
from harness.runtime.docker.images import Role, tag
from harness.runtime.docker.ownership import OWNER_LABEL, RUN_LABEL, Owner
from harness.runtime.netns import NetNs
from harness.runtime.node import Part

CAPABILITIES: Mapping[Part, tuple[str, ...]] = {
    # Its ports are above 1024, and the harness wires it from outside.
    Part.ENDPOINT: (),
    # The kernel forwards and filters. Reading the rules takes NET_ADMIN, even where nothing is
    # changed, and the controls read them.
    Part.GATEWAY: ("NET_ADMIN",),
    # miniupnpd adds and removes rules.
    Part.GATEWAY_UPNP: ("NET_ADMIN",),
    Part.PROXY: (),
    Part.INTERNET: ("NET_ADMIN",),
    # SMTP listens on 25, POP3 on 110.
    Part.SERVICES: ("NET_BIND_SERVICE",),
}
"""The capabilities of each part, and why; every other one is taken away."""

NODE_LABEL = "dev.ra-harness.node"

READY_DEADLINE = 20.0
"""Seconds a started container has to serve; it takes about 0.1, and longer on a busy machine."""

_ANSWER_DEADLINE = 10.0
_TMPFS = "rw,nosuid,nodev,noexec,size=64m,mode=755"
_MOST_PROCESSES = 256


@dataclass(frozen=True)
class Mark:
    """Whose a container is: the run, and the process that owns it."""

    run: str
    owner: Owner

    @property
    def labels(self) -> dict[str, str]:
        """The labels that say it."""
        return {RUN_LABEL: self.run, OWNER_LABEL: self.owner.text()}


class Spawned:
    """A program that init has started; see :class:`harness.runtime.node.Process`."""

    def __init__(self, line: socket.socket) -> None:
        """Take over the connection on which init says how it ended."""
        line.setblocking(False)
        self._line = line
        self._status: int | None = None
        self._said = b""

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        while self._status is None:
            try:
                data = self._line.recv(64)
            except BlockingIOError:
                return None
            self._said += data
            if self._said.endswith(b"\n"):
                self._status = int(self._said)
            elif not data:
                raise ScenarioError("a container ended while its daemon ran")
        return self._status


class ContainerNode:
    """A running container; see :class:`harness.runtime.node.Node`."""

    def __init__(self, name: str, pid: int) -> None:
        """Take over a container whose first process is ``pid``, and own it.

        Raises:
            ScenarioError: it does not serve, or its processes are not this machine's.
        """
        self.name = name
        self._folder = Path(f"/proc/{pid}/root{FOLDER}")
        try:
            self.namespace = NetNs.of_process(pid)
            # Held as long as this process lives: when it closes, the container ends.
            self._owned = self._call("own", deadline=READY_DEADLINE)
        except OSError as error:
            raise ScenarioError(
                f"the container of {name} cannot be reached as process {pid}: {error.strerror}"
            ) from error

    @property
    def disk(self) -> Path:
        """Its disk, seen through the container's first process."""
        return self._folder / DISK

    def start(self, program: str, log: str) -> socket.socket:
        """Start a node program; see :class:`harness.runtime.node.Node`."""
        return self._ask("start", program, log)

    def spawn(self, command: Sequence[str], log: str) -> Spawned:
        """Start a program from disk; see :class:`harness.runtime.node.Node`."""
        return Spawned(self._ask("spawn", log, *command))

    def end_all(self) -> int:
        """Kill every process but the first; return how many are left."""
        with self._ask("reset") as line:
            line.settimeout(_ANSWER_DEADLINE)
            answer = line.makefile("rb").readline()
        if not answer:
            raise ScenarioError(f"the container of {self.name} has ended")
        return int(answer)

    def close(self) -> None:
        """End the container; the engine removes it."""
        self._owned.close()
        self.namespace.close()

    def _ask(self, *words: str) -> socket.socket:
        try:
            return self._call(*words, deadline=_ANSWER_DEADLINE)
        except OSError as error:
            raise ScenarioError(
                f"the container of {self.name} does not answer: {error.strerror}"
            ) from error

    def _call(self, *words: str, deadline: float) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wait = Retrying(
            retry=retry_if_exception_type((FileNotFoundError, ConnectionRefusedError)),
            stop=stop_after_delay(deadline),
            wait=wait_fixed(0.002),
            reraise=True,
        )
        wait(line.connect, str(self._folder / SOCKET))
        line.sendall("\0".join(words).encode() + b"\n")
        return line


class Containers:
    """Makes the containers of one lab, side by side."""

    def __init__(self, mark: Mark) -> None:
        """``mark`` is put on each."""
        self._mark = mark
        self._nodes = ExitStack()

    def make(self, parts: Mapping[str, Part]) -> Mapping[str, ContainerNode]:
        """Start a container for each node.

        Raises:
            ScenarioError: one could not be started.
        """
        client = connect()
        with ThreadPoolExecutor(len(parts)) as threads:
            started = [
                (name, threads.submit(self._start, client.api, name, part))
                for name, part in parts.items()
            ]
        client.close()
        nodes = {}
        for name, future in started:
            node = ContainerNode(name, future.result())
            self._nodes.callback(node.close)
            nodes[name] = node
        return nodes

    def close(self) -> None:
        """End every container."""
        self._nodes.close()

    def _start(self, api: Any, name: str, part: Part) -> int:
        """Start a container and return the pid of its first process."""
        image = tag(Role(part.value))
        try:
            settings = api.create_host_config(
                auto_remove=True,
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=list(CAPABILITIES[part]),
                security_opt=["no-new-privileges"],
                read_only=True,
                tmpfs={FOLDER: _TMPFS},
                pids_limit=_MOST_PROCESSES,
                # An engine that maps root to another user would hide the node's disk from us.
                userns_mode="host",
                log_config={"type": "none"},
            )
            made = api.create_container(
                image,
                hostname=name,
                labels={**self._mark.labels, NODE_LABEL: name},
                host_config=settings,
                network_disabled=False,
            )
            api.start(made["Id"])
            return int(api.inspect_container(made["Id"])["State"]["Pid"])
        except (DockerException, RequestException) as error:
            raise ScenarioError(f"the container of {name} could not be started: {error}") from error
