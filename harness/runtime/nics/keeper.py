"""The process that takes NICs and gives them back, whatever becomes of the command.

It is forked before anything is touched and lives in a session of its own, so that neither Ctrl-C
nor the terminal's end reaches it. It takes the NICs itself and so knows, at every moment, how far
it got. It gives them back when it is told to, or when the command's process has ended, however it
ended. That it learns from a pidfd and not from the end of a pipe: the sealed world is forked from
the command and would hold a pipe open.

It holds the namespaces open: a NIC of some kinds would be deleted with the namespace it is in.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from harness.errors import MachineError, RunError
from harness.runtime.child import finish
from harness.runtime.nics.facts import Facts
from harness.runtime.nics.holding import Holding, Pairs
from harness.runtime.pool import Message, channel, receive, send_on

TAKING_DEADLINE = 30.0
"""Seconds until the NICs are taken; it takes some 20 ms for each."""

GIVING_DEADLINE = 60.0
"""Seconds until the NICs are given back; IPv6 addresses may take some of it."""

# What a terminal, a shell or an init system sends to end a command and all that belongs to it.
_NOT_FOR_THE_KEEPER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_STANDARD_ERROR = 2


@contextmanager
def kept(found: Mapping[str, Facts], places: Pairs, *, move: bool) -> Iterator[None]:
    """Have the NICs taken; at the end, have them given back.

    Raises:
        MachineError: they could not be taken, and are as they were.
        RunError: something could not be given back as it was; the text names it.
    """
    ours, theirs = channel()
    names = ", ".join(found)
    # Taken while it lives: a pid could be another's by the time the keeper asks.
    command = os.pidfd_open(os.getpid())
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_THE_KEEPER)
    pid = os.fork()
    if pid == 0:
        finish(partial(_keep, found, places, move, command, theirs))
    try:
        theirs.close()
        os.close(command)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _await_taken(ours, names)
        yield
    finally:
        _release(ours, pid, names)


def _await_taken(sock: socket.socket, names: str) -> None:
    refused = _heard(sock, TAKING_DEADLINE, names)["refused"]
    if refused is not None:
        raise MachineError(refused)


def _release(sock: socket.socket, pid: int, names: str) -> None:
    with sock:
        try:
            send_on(sock)({"release": True})
        except ConnectionError as error:
            raise _ended(names) from error
        said: Message = {}
        # An interrupt may have left what was said of the taking unheard.
        while "problems" not in said:
            said = _heard(sock, GIVING_DEADLINE, names)
    os.waitpid(pid, 0)
    if said["problems"]:
        raise RunError(_not_given_back(said["problems"]))


def _heard(sock: socket.socket, deadline: float, names: str) -> Message:
    sock.settimeout(deadline)
    try:
        received = receive(sock)
    except ConnectionError as error:
        raise _ended(names) from error
    except TimeoutError as error:
        raise RunError(
            f"the process that keeps {names} says nothing for {deadline:g} s; "
            "see `ip -d link` for where they are"
        ) from error
    if received is None:
        raise _ended(names)
    return received[0]


def _ended(names: str) -> RunError:
    return RunError(
        f"the process that keeps {names} was ended before it gave them back; "
        "see `ip -d link` for how they are, and put them right by hand"
    )


def _not_given_back(problems: Sequence[str]) -> str:
    return f"not given back as it was: {'; '.join(problems)}; put it right by hand"


def _keep(
    found: Mapping[str, Facts],
    places: Pairs,
    move: bool,
    command: int,
    sock: socket.socket,
) -> None:
    namespaces = [place.namespace.fd for _, place in places]
    _withdraw({_STANDARD_ERROR, command, sock.fileno(), *namespaces})
    holding = Holding(found)
    try:
        _tell(sock, {"refused": _take(holding, places, move)})
        _await_release(command, sock)
    finally:
        problems = holding.give_back()
        if not _tell(sock, {"problems": problems}) and problems:
            sys.stderr.write(f"ra-harness: {_not_given_back(problems)}\n")


def _withdraw(needed: Collection[int]) -> None:
    """Leave the command's session, its signals and all of its descriptors but the needed ones."""
    # What the command made must not be collected here: it would close numbers that are ours now.
    gc.freeze()
    os.setsid()
    for each in _NOT_FOR_THE_KEEPER:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()):
        if number not in needed:
            with suppress(OSError):  # the listing's own is closed already
                os.close(number)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)


def _take(holding: Holding, places: Pairs, move: bool) -> str | None:
    """Take the NICs; return why not, if not."""
    try:
        if move:
            holding.move(places)
        else:
            holding.take_on(places)
    except MachineError as error:
        return str(error)
    return None


def _await_release(command: int, sock: socket.socket) -> None:
    """Wait until the command says so, or has ended."""
    poll = select.poll()
    poll.register(command, select.POLLIN)
    poll.register(sock, select.POLLIN)
    for descriptor, _ in poll.poll():
        if descriptor == sock.fileno():
            # Left unread it would undo what is said last: the socket would be reset.
            receive(sock)


def _tell(sock: socket.socket, message: Message) -> bool:
    """Tell the command; return whether it is there to be told."""
    try:
        send_on(sock)(message)
    except ConnectionError:
        return False
    return True
