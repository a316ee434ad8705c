"""Network namespaces held by file descriptor. Every entry into one is made here.

A namespace lives as long as a descriptor or a process holds it, so nothing needs deleting: when
the lab's process ends, however it ends, the kernel frees the namespace and all that is in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from harness.runtime.syscalls import CLONE_NEWNET, setns, unshare

# The calling thread's own namespace; /proc/self would name the main thread's.
_OWN = "/proc/thread-self/ns/net"


class NetNs:
    """One network namespace."""

    def __init__(self, fd: int) -> None:
        """Take over ``fd``, an open descriptor of a namespace."""
        self.fd = fd

    @classmethod
    def of_process(cls, pid: int) -> NetNs:
        """Open the namespace that a process is in.

        Raises:
            OSError: there is no such process, or this one may not look into it.
        """
        return cls(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def create(cls) -> NetNs:
        """Make a new, empty namespace; the caller stays where it was."""
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWNET)
            fd = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
            setns(home, CLONE_NEWNET)
        finally:
            os.close(home)
        return cls(fd)

    def close(self) -> None:
        """Let go of it: the kernel frees it when nobody else holds it."""
        os.close(self.fd)

    def enter(self) -> None:
        """Move the calling thread in for good; a forked child does this before its program."""
        setns(self.fd, CLONE_NEWNET)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread in, and back out at the end.

        Sockets opened and processes started inside belong to this namespace ever after.
        """
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self.fd, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(home, CLONE_NEWNET)
        finally:
            os.close(home)
