"""The box: one container with the whole harness in it, in which a run goes on by itself.

Nothing of it needs the engine to be on this machine: definitions go in and results come out as
archives, progress comes over the connection that the container is attached by. That connection is
also what the box lives by. Its first process only waits for the end of its standard input, which
comes when the owner's connection ends, however it ends; every other process dies with the first,
and the engine removes the container.
"""

from __future__ import annotations

import io
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from docker import DockerClient
from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from harness.errors import HarnessError, MachineError, RunError
from harness.runtime.docker import engine
from harness.runtime.docker.containers import NODE_LABEL, Mark
from harness.runtime.docker.images import Role, tag

RESULTS = "/results"
"""The results folder in the box."""

DEFINITIONS = "/definitions"
"""Where the definitions that are handed in are in the box."""

CAPABILITIES: Mapping[str, int] = {
    # Namespaces, and the mounts in them; without it there is no sealed world.
    "SYS_ADMIN": 21,
    # Interfaces, addresses, routes, rules and sysctls.
    "NET_ADMIN": 12,
    # The packet sockets of a capture.
    "NET_RAW": 13,
    # SMTP listens on 25, POP3 on 110.
    "NET_BIND_SERVICE": 10,
}
"""What the box needs, each with its bit in the kernel's masks; every other one is taken away.

Docker's seccomp profile stays: it lets through what these capabilities are for. The paths that
Docker masks in /proc stay masked: the world mounts a /proc of its own.
"""

SILENCE = 120.0
"""Seconds that a box may say nothing; a scenario ends within 30, and each end is a line."""

# A line that begins with it is for the harness: the capabilities there are, the run's exit status.
# They are on the stream with the progress because two streams arrive in no certain order.
_MARK = "\x1e"
_SCRIPT = (
    "{ printf '\\036%s\\n' $(sed -n s/^CapEff://p /proc/self/status);"
    ' python3 -m harness "$@" > /dev/null;'
    " printf '\\036%s\\n' $?; } >&2 &"
    " exec cat > /dev/null"
)
_FRAME = struct.Struct(">BxxxL")
_CHUNK = 1 << 16


class Box:
    """A box that runs, attached to this process; :func:`opened` makes one."""

    def __init__(self, client: DockerClient, identity: str, connection: Any) -> None:
        """Take over a container and the connection that it is attached by."""
        self._client = client
        self._identity = identity
        # The engine's library gives a file where the connection is plain, a socket elsewhere.
        self._file = connection
        self._socket = getattr(connection, "_sock", connection)
        self._socket.settimeout(SILENCE)

    def follow(self, say: Callable[[str], None]) -> int:
        """Hand each line of the run's progress to ``say``; return the run's exit status.

        Raises:
            MachineError: the box lacks a capability.
            RunError: the box ended before the run, or the engine fell silent.
        """
        granted = False
        for line in self._lines():
            said, mark, fact = line.partition(_MARK)
            if said or not mark:
                say(said)
            if not mark:
                continue
            if granted:
                return int(fact)
            _check_capabilities(int(fact, 16))
            granted = True
        raise RunError(f"the box on the engine at {engine.address()} ended before the run in it")

    def results(self) -> IO[bytes] | None:
        """Fetch the results folder as a tar archive, None where the run has made none.

        Every name in it begins with ``results/``. It may be of any size, and lies on disk.

        Raises:
            RunError: the engine fails.
        """
        with engine_errors(RunError):
            try:
                chunks, _ = self._client.api.get_archive(self._identity, RESULTS)
            except NotFound:
                return None
            archive = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
            for chunk in chunks:
                archive.write(chunk)
        archive.seek(0)
        return archive

    def close(self) -> None:
        """Hang up: the box ends, and the engine removes it."""
        self._file.close()

    def _lines(self) -> Iterator[str]:
        waiting = b""
        while header := self._read(_FRAME.size):
            _, length = _FRAME.unpack(header)
            *lines, waiting = (waiting + self._read(length)).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")

    def _read(self, size: int) -> bytes:
        """Read that many bytes; nothing when the connection has ended."""
        data = b""
        while len(data) < size:
            try:
                more = self._socket.recv(min(size - len(data), _CHUNK))
            except TimeoutError as error:
                raise RunError(
                    f"the engine at {engine.address()} has said nothing for {SILENCE:g} s: see"
                    " whether it still runs"
                ) from error
            except OSError as error:
                raise RunError(
                    f"the connection to the engine at {engine.address()} broke: {error.strerror}"
                ) from error
            if not more:
                return b""
            data += more
        return data


@contextmanager
def opened(
    client: DockerClient, mark: Mark, arguments: Sequence[str], definitions: Mapping[str, bytes]
) -> Iterator[Box]:
    """Start a box in which ``ra-harness`` runs with the arguments; yield it.

    ``definitions`` are files by their path under :data:`DEFINITIONS`. The image must be there.

    Raises:
        MachineError: the engine cannot start it.
    """
    needs = ", ".join(CAPABILITIES)
    with engine_errors(MachineError, f"cannot start a box, which needs {needs} and no AppArmor"):
        identity = _create(client, mark, arguments)
        if definitions:
            client.api.put_archive(identity, "/", _packed(definitions))
        wanted = {"stdin": 1, "stderr": 1, "stream": 1}
        box = Box(client, identity, client.api.attach_socket(identity, params=wanted))
        client.api.start(identity)
    try:
        yield box
    finally:
        box.close()


@contextmanager
def engine_errors(kind: type[HarnessError], what: str = "failed") -> Iterator[None]:
    """Turn the engine's errors into one of ours that says what it could not do.

    Raises:
        HarnessError: of that kind.
    """
    try:
        yield
    except (DockerException, RequestException) as error:
        text = getattr(error, "explanation", None) or str(error)
        said = " ".join(str(text).split())
        raise kind(f"the Docker engine at {engine.address()} {what}: {said}") from error


def _create(client: DockerClient, mark: Mark, arguments: Sequence[str]) -> str:
    settings = client.api.create_host_config(
        auto_remove=True,
        network_mode="none",
        cap_drop=["ALL"],
        cap_add=list(CAPABILITIES),
        # Docker's AppArmor profile forbids every mount.
        security_opt=["no-new-privileges", "apparmor=unconfined"],
        log_config={"type": "none"},
    )
    made = client.api.create_container(
        tag(Role.BOX),
        entrypoint=["sh", "-c", _SCRIPT, "sh"],
        command=list(arguments),
        hostname="box",
        labels={**mark.labels, NODE_LABEL: "box"},
        host_config=settings,
        # Read to its end, and closed when the one that reads along hangs up.
        stdin_open=True,
    )
    return str(made["Id"])


def _packed(definitions: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in definitions.items():
            entry = tarfile.TarInfo(f"{DEFINITIONS.lstrip('/')}/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _check_capabilities(mask: int) -> None:
    """Refuse a box whose effective capabilities lack one.

    The engine may be kept from giving what it was asked for, and starts the container all the same.
    """
    missing = [name for name, bit in CAPABILITIES.items() if not mask >> bit & 1]
    if missing:
        raise MachineError(
            f"the engine at {engine.address()} gave the box no {', '.join(missing)}: it needs"
            f" {', '.join(CAPABILITIES)}; allow them there, or use another engine"
        )
