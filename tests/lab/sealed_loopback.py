"""A network namespace with a loopback interface and nothing else, for services with fixed ports.

Root and an ordinary user make it alike, by a user namespace of its own. Programs are started in
it, and sockets are opened in it: a socket stays in the namespace it was opened in, whoever uses
it. Run as a program, this is the namespace's first process, which opens the sockets and hands them
over; it ends with the stream that it is asked through, and everything else with it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds that anything here may take before the test fails."""

_READY = b"."


class Namespace:
    """The namespace, for as long as the context lasts."""

    def __enter__(self) -> Namespace:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(PATIENCE)
        command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, __file__]
        with theirs:
            self._first = subprocess.Popen(command, stdin=theirs.fileno())
        assert self._channel.recv(1) == _READY, "no namespaces here; see above for the reason"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()
        self._first.wait(PATIENCE)

    def connect(self, port: int) -> socket.socket:
        """Connect to a port of the namespace."""
        self._channel.send(b"?")
        _, (descriptor,), _, _ = socket.recv_fds(self._channel, 1, 1)
        sock = socket.socket(fileno=descriptor)
        sock.settimeout(PATIENCE)
        sock.connect((HOST, port))
        return sock

    @contextmanager
    def program(self, name: str, disk: Path) -> Iterator[Program]:
        """Start a node program in the namespace; its disk is the working folder."""
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        command = ["nsenter", f"--target={self._first.pid}", "--user", "--net"]
        command += ["--preserve-credentials", sys.executable, "-m", f"harness.nodes.{name}"]
        with ours, (disk / f"{name}.log").open("wb") as log:
            with theirs:
                child = subprocess.Popen(
                    command,
                    cwd=disk,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=log,
                )
            with child:
                try:
                    yield Program(child, ours)
                finally:
                    child.kill()


class Program:
    """A running node program, spoken to one command at a time."""

    def __init__(self, child: subprocess.Popen[bytes], stream: socket.socket) -> None:
        self._child = child
        self._stream = stream
        self._received = b""
        self._asked = 0
        self.events: list[dict[str, Any]] = []

    def write(self, message: dict[str, Any]) -> None:
        self._stream.sendall(json.dumps(message).encode() + b"\n")

    def ask(self, do: str, **facts: object) -> dict[str, Any]:
        """Give a command and return the reply's facts, ``error`` among them where it is refused."""
        self._asked += 1
        self.write({"id": self._asked, "do": do, **facts})
        while True:
            message = self._read()
            if message.pop("id", None) == self._asked:
                return message
            self.events.append(message)

    def hear(self, event: str, **facts: object) -> dict[str, Any]:
        """Wait for an event with these facts to come."""
        while True:
            message = self._read()
            self.events.append(message)
            if message.get("event") == event and facts.items() <= message.items():
                return message

    def close(self) -> int:
        """Close the program's stream; return its exit status."""
        self._stream.shutdown(socket.SHUT_WR)
        return self._child.wait(PATIENCE)

    def _read(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            data = self._stream.recv(1 << 16)
            assert data, "the program ended"
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


def main() -> None:
    """Set the loopback interface up, say so, and hand out a socket each time it is asked for."""
    from pyroute2 import IPRoute  # noqa: PLC0415 - the tests themselves do not need it

    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
    channel = socket.socket(fileno=os.dup(0))
    channel.send(_READY)
    while channel.recv(1):
        with socket.socket() as sock:
            socket.send_fds(channel, [_READY], [sock.fileno()])


if __name__ == "__main__":
    main()
