"""The sealed world: namespaces of the harness's own, in which everything is built.

A child of the command makes new network, mount, pid, IPC and UTS namespaces, and a user namespace
where it is not root, so that root and an ordinary user run the same code from there on. The pid
namespace's first process dies with its parent, and everything in the world dies with that, however
it dies: the kernel removes every process, interface, rule and mount. No interface leads out.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness.errors import MachineError
from harness.runtime import syscalls
from harness.runtime.child import finish
from harness.runtime.pool import MAX_MESSAGE, channel, send_on
from harness.runtime.syscalls import die_with_parent, mount, unshare

SCRATCH = Path("/run")
"""In the world this is an empty tmpfs: runtime files live here and end with the world."""

_NAMESPACES = (
    syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
)

_READY = "ready"

# Daemons fall back to these when no system log listens; in the world nobody reads them.
_SILENCED = ("/dev/console", "/dev/log")


Probe = Callable[[], None]
Body = Callable[[socket.socket], None]


@contextmanager
def sealed(probe: Probe, body: Body) -> Iterator[socket.socket]:
    """Run ``body`` as the first process of a sealed world; yield the channel it sends on.

    ``probe`` runs before it, in the world, and raises MachineError where the machine lacks
    something. At the end of the ``with`` block the world is killed if it has not ended by itself,
    and every process of it is gone when the block is left.

    Raises:
        MachineError: the world could not be made, or the probe found something missing.
    """
    ours, theirs = channel()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _outer(probe, body, theirs)
    theirs.close()
    try:
        first = ours.recv(MAX_MESSAGE)
        said = json.loads(first)["world"] if first else "the sealed world ended without a word"
        if said != _READY:
            raise MachineError(said)
        yield ours
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        # Not before: in the world, a channel without a reader would be an error to report.
        ours.close()


def check_folder(folder: Path) -> None:
    """Refuse a folder that the world covers.

    Raises:
        MachineError: it is under :data:`SCRATCH`.
    """
    if folder.resolve().is_relative_to(SCRATCH):
        raise MachineError(
            f"{folder} is under {SCRATCH}, which the sealed world covers; put it elsewhere"
        )


def _outer(probe: Probe, body: Body, sock: socket.socket) -> None:
    """Make the namespaces, and wait for the first process in them; never returns."""
    status = 1
    try:
        os.setsid()
        parent = os.getppid()
        uid, gid = os.getuid(), os.getgid()
        flags = _NAMESPACES if uid == 0 else _NAMESPACES | syscalls.CLONE_NEWUSER
        unshare(flags)
        if uid != 0:
            _map_to_root(uid, gid)
        # Set after the user namespace is made: a change of credentials clears it.
        die_with_parent()
        if os.getppid() == parent:
            pid = os.fork()
            if pid == 0:
                finish(partial(_first_process, probe, body, sock))
            sock.close()
            # waitpid returns when the kernel has ended every process of the pid namespace.
            signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGKILL))
            _, wait_status = os.waitpid(pid, 0)
            status = min(1, abs(os.waitstatus_to_exitcode(wait_status)))
    except OSError as error:
        send_on(sock)({"world": _explain(error)})
    finally:
        os._exit(status)


def _first_process(probe: Probe, body: Body, sock: socket.socket) -> None:
    die_with_parent()
    _prepare(probe, sock)
    body(sock)


def _prepare(probe: Probe, sock: socket.socket) -> None:
    said = _READY
    try:
        _mount_all()
        probe()
    except MachineError as error:
        said = str(error)
    except OSError as error:
        said = _explain(error)
    send_on(sock)({"world": said})


def _map_to_root(uid: int, gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def _mount_all() -> None:
    mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    nothing_special = syscalls.MS_NOSUID | syscalls.MS_NODEV
    mount("proc", "/proc", "proc", nothing_special | syscalls.MS_NOEXEC)
    mount("tmpfs", str(SCRATCH), "tmpfs", nothing_special, "mode=755")
    for path in map(Path, _SILENCED):
        if path.exists() and not path.is_symlink():
            mount("/dev/null", str(path), "", syscalls.MS_BIND)


def _explain(error: OSError) -> str:
    """Say what stops the world on this machine, and the remedy."""
    if error.filename == "unshare" and error.errno in (errno.ENOSPC, errno.EPERM, errno.EINVAL):
        return (
            "neither root nor user namespaces: run as root, or allow them "
            "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)"
        )
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    denied = error.errno in (errno.EPERM, errno.EACCES)
    if denied and restricted.exists() and restricted.read_text(encoding="ascii").strip() == "1":
        return (
            "AppArmor takes away what user namespaces allow: run as root, or "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return f"the sealed world could not be made: {error.filename}: {error.strerror}"
