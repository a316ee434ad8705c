"""Runs a body in a child of the command, beside the engine: its nodes are the engine's children.

The child dies with the command, its labs' processes die with it, and a container ends when its
lab's process does (see :mod:`harness.runtime.docker.containers`).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from harness.runtime.child import finish
from harness.runtime.pool import channel
from harness.runtime.syscalls import die_with_parent


@contextmanager
def beside(body: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """Run ``body`` in a child; yield the channel it sends on.

    When the block is left the child is killed, if it has not ended by itself.
    """
    ours, theirs = channel()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        finish(partial(_child, body, theirs, parent))
    theirs.close()
    try:
        yield ours
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()


def _child(body: Callable[[socket.socket], None], sock: socket.socket, parent: int) -> None:
    # Ctrl-C reaches the command alone, which then ends this.
    os.setsid()
    die_with_parent()
    if os.getppid() == parent:
        body(sock)
