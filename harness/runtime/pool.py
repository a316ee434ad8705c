"""Runs jobs, each in a process of its own, a few at a time, each with a deadline.

A job's process ends with everything that it made: its namespaces are held by its descriptors, its
children die with it. So a deadline is a SIGKILL, a failure of one job is no other's, and there is
nothing to clean up. The pool is made to be a pid namespace's first process: it reaps orphans too.

Messages go to the harness as JSON, one datagram each, on one SOCK_SEQPACKET socket that all jobs
share: datagrams of several writers do not mix. What may be too large for one is a file in memory,
whose descriptor goes with the message.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from harness.runtime.syscalls import die_with_parent

Message = dict[str, Any]


class Send(Protocol):
    """Sends a message, and with it the content of a file if one is given."""

    def __call__(self, message: Message, content: bytes | None = None) -> None:
        """Send it; :func:`receive` is the other end."""


MAX_MESSAGE = 1 << 20
"""No message is larger; the harness receives into a buffer of this size."""


@dataclass(frozen=True)
class Job:
    """A name, and what to do in a process of its own; ``run`` sends messages as it goes.

    After ``deadline`` seconds it is killed.
    """

    name: str
    run: Callable[[Send], None]
    deadline: float


@dataclass(frozen=True)
class _Running:
    job: Job
    deadline: float


def channel() -> tuple[socket.socket, socket.socket]:
    """Make the socket pair that messages go through: the harness's end, and the pool's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_MESSAGE)
    return ours, theirs


def receive(sock: socket.socket) -> tuple[Message, bytes] | None:
    """Receive a message and the content that came with it, if any; None when nobody sends more."""
    data, descriptors, _, _ = socket.recv_fds(sock, MAX_MESSAGE, 1)
    if not data:
        return None
    content = b""
    for descriptor in descriptors:
        with open(descriptor, "rb") as file:  # noqa: PTH123 - it has no path
            file.seek(0)
            content = file.read()
    message: Message = json.loads(data)
    return message, content


def send_on(sock: socket.socket) -> Send:
    """Return a function that sends a message on the pool's end of the channel."""
    return partial(_send, sock)


def serve(
    jobs: Iterable[Job],
    workers: int,
    sock: socket.socket,
    meanwhile: Callable[[], None],
) -> None:
    """Run every job, ``workers`` at a time.

    Sends ``{"job": name, "began": t}`` and ``{"job": name, "ended": status, "t": t, "cpu": s}`` for
    each, where t is CLOCK_MONOTONIC, s CPU seconds with those of its children, and status its exit
    status, negative for the signal that ended it. ``meanwhile`` is called once when the first jobs
    are under way.
    """
    # What is there now stays: the collector need not touch, and so copy, the shared pages.
    gc.collect()
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    queue, running = deque(jobs), dict[int, _Running]()
    send = send_on(sock)
    while queue or running:
        while queue and len(running) < workers:
            job = queue.popleft()
            send({"job": job.name, "began": time.monotonic()})
            running[_fork(job, sock)] = _Running(job, time.monotonic() + job.deadline)
        meanwhile()
        meanwhile = _nothing
        next_deadline = min(each.deadline for each in running.values())
        signal.sigtimedwait([signal.SIGCHLD], max(0.0, next_deadline - time.monotonic()))
        for pid, each in running.items():
            if time.monotonic() >= each.deadline:
                os.kill(pid, signal.SIGKILL)
        _reap(running, send)


def _nothing() -> None:
    pass


def _fork(job: Job, sock: socket.socket) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        die_with_parent()
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            job.run(_sender(sock, job.name))
            status = 0
    except BaseException:  # noqa: BLE001 - nothing of the pool's code may run in the child
        _send(sock, {"job": job.name, "failed": traceback.format_exc()})
    finally:
        sys.stderr.flush()
        os._exit(status)


def _reap(running: dict[int, _Running], send: Send) -> None:
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if (ended := running.pop(pid, None)) is not None:
            send(
                {
                    "job": ended.job.name,
                    "ended": os.waitstatus_to_exitcode(status),
                    "t": time.monotonic(),
                    "cpu": usage.ru_utime + usage.ru_stime,
                }
            )


def _sender(sock: socket.socket, job: str) -> Send:
    def send(message: Message, content: bytes | None = None) -> None:
        _send(sock, {"job": job, **message}, content)

    return send


def _send(sock: socket.socket, message: Message, content: bytes | None = None) -> None:
    data = json.dumps(message).encode()
    if content is None:
        sock.send(data)
        return
    with open(os.memfd_create("content"), "wb") as file:  # noqa: PTH123 - it has no path
        file.write(content)
        file.flush()
        socket.send_fds(sock, [data], [file.fileno()])
