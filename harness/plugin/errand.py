"""Errands as pytest's process sees them: sent to the helper, heard of, ended without remains."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import harness
from harness.plugin.asked import Asked
from harness.plugin.errors import Broken, Misuse, Refused, Unfit
from harness.runtime.pool import MAX_MESSAGE, channel, receive

END_DEADLINE = 10.0
"""Seconds that an interrupted errand has to take down what it made; it takes about 0.1."""

_NO_WORD = "the harness ended without a word: its errors are on standard error"

Facts = dict[str, Any]


class Helper:
    """The process that errands are forked from (:mod:`harness.plugin.helper`)."""

    def __init__(self) -> None:
        """Start it; what is asked of it waits until it is ready."""
        self._sock, theirs = channel()
        # The harness that this process has imported, wherever that is.
        root = Path(harness.__file__).parents[1]
        # A session of its own: Ctrl-C reaches pytest alone, which then ends what is under way.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.plugin.helper", str(theirs.fileno())],
            cwd=root,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()

    @property
    def lives(self) -> bool:
        """Whether it can be asked for something."""
        return self._process.poll() is None

    def send(self, asked: Asked) -> Errand:
        """Have an errand begun.

        Raises:
            Broken: the helper has died.
        """
        ours, theirs = channel()
        with theirs:
            try:
                data = json.dumps(asdict(asked)).encode()
                socket.send_fds(self._sock, [data], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise Broken(f"the harness's helper has ended: {error.strerror}") from error
        return Errand(ours)

    def close(self) -> None:
        """End it."""
        self._sock.close()
        try:
            self._process.wait(END_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Errand:
    """One errand that is under way."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over our end of its socket."""
        self._sock = sock
        self._process: int | None = None
        self.over = False

    def tell(self, **command: object) -> None:
        """Tell it something; an errand that has ended is noticed by :meth:`hear`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.send(json.dumps(command).encode())

    def hear(self, deadline: float | None) -> tuple[Facts, bytes]:
        """Return the next that it says, and the content that came with it.

        Raises:
            Misuse: what was asked for cannot be.
            Unfit: this machine cannot run it.
            Broken: the harness failed, or nothing was heard for ``deadline`` seconds. Then, and
                where anything else is raised (Ctrl-C), the errand is ended and all it made is gone.
            Refused: the step that it was told cannot be done.
        """
        try:
            said, content = self._receive(deadline)
        except TimeoutError as error:
            self.cancel()
            raise Broken(f"nothing was heard from the lab for {deadline:g} s") from error
        except BaseException:
            self.cancel()
            raise
        if "refused" in said:
            raise Refused(said["refused"])
        if "did" in said or "began" in said:
            return said, content
        self.close()
        if "wrong" in said:
            raise Misuse(said["wrong"])
        if "machine" in said:
            raise Unfit(said["machine"])
        if "failed" in said:
            raise Broken(said["failed"])
        return said, content

    def cancel(self) -> None:
        """End it, and return when all that it made is gone."""
        self._sock.settimeout(END_DEADLINE)
        # Where nobody says which process it is there is none, and nothing was made.
        with suppress(TimeoutError, ConnectionResetError, Broken):
            process = self._meet()
            for number in (signal.SIGINT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(process, number)
                if self._ends():
                    break
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self.over = True
        self._sock.close()
        if self._process is not None:
            os.close(self._process)
            self._process = None

    def _receive(self, deadline: float | None) -> tuple[Facts, bytes]:
        self._sock.settimeout(deadline)
        self._meet()
        received = receive(self._sock)
        if received is None:
            raise Broken(_NO_WORD)
        return received

    def _meet(self) -> int:
        """Return a descriptor of its process, which comes before everything that it says."""
        if self._process is None:
            _, descriptors, _, _ = socket.recv_fds(self._sock, MAX_MESSAGE, 1)
            if not descriptors:
                raise Broken(_NO_WORD)
            self._process = descriptors[0]
        return self._process

    def _ends(self) -> bool:
        """Wait until every process that has the other end is gone; say whether that was so."""
        try:
            while self._sock.recv(MAX_MESSAGE):
                pass
        except TimeoutError:
            return False
        except ConnectionResetError:
            pass
        return True
