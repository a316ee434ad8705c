"""Which labs of this user are up: a small file for each, as long as the command that holds it runs.

A lab's namespaces are held by descriptors of the command that brought it up, so that whoever knows
the command may enter them by way of ``/proc/PID/fd``. A file whose command is dead is removed by
whoever meets it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from ipaddress import IPv4Interface
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from harness.errors import HarnessError, MachineError
from harness.report.files import write_atomically
from harness.runtime.docker.ownership import Owner
from harness.runtime.enter import Door, run_in, shell
from harness.runtime.namespaces import SYSTEM_PATH

_NAME = "ra-harness"
_PRIVATE = 0o700
_OTHERS = 0o077


class NoSuchLab(HarnessError):
    """No lab, or no node, is what the user named: the text has those that there are."""


class _Data(BaseModel):
    """Frozen data of a lab's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Address(_Data):
    """An interface of a node and its address."""

    interface: str
    address: IPv4Interface


class NodeEntry(_Data):
    """A node: what it is in words, and its disk as seen from inside.

    ``network`` is the descriptor of its network namespace, in the command that holds the lab.
    """

    name: str
    what: str
    addresses: tuple[Address, ...]
    disk: str
    network: int


class LabEntry(_Data):
    """A lab that is up: ``topology`` is ``NOVICE+EXPERT``, ``since`` when it was.

    ``owner`` is the command that holds it (:meth:`Owner.text`). The numbers are descriptors there:
    ``user`` of the user namespace, null where the lab is root's own, ``mounts`` of the mount
    namespace and ``world`` of the pid namespace.
    """

    id: str
    topology: str
    since: datetime
    owner: str
    user: int | None
    world: int
    mounts: int
    nodes: tuple[NodeEntry, ...]

    @property
    def pid(self) -> int:
        """The process that holds the lab."""
        return Owner.read(self.owner).pid

    def node(self, name: str) -> NodeEntry | None:
        """Return the node of that name, None where there is none."""
        return next((node for node in self.nodes if node.name == name), None)

    def is_dead(self) -> bool:
        """Say whether the command that held it has ended."""
        return Owner.read(self.owner).is_dead()


@contextmanager
def registered(lab: LabEntry) -> Iterator[None]:
    """Have the lab known to this user's other commands.

    Raises:
        MachineError: there is no folder for its file.
        OutputError: the file cannot be written.
    """
    file = _own_folder() / f"{lab.id}.json"
    write_atomically(file, lab.model_dump_json().encode())
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def standing() -> list[LabEntry]:
    """Return this user's labs that are up, oldest first; remove the files of those that are not."""
    found = []
    for folder in filter(_is_private, _folders()):
        for file in folder.glob("*.json"):
            lab = _read(file)
            if lab is None:
                continue
            if lab.is_dead():
                file.unlink(missing_ok=True)
                continue
            found.append(lab)
    return sorted(found, key=lambda lab: lab.since)


def choose(wanted: str | None) -> list[LabEntry]:
    """Return the labs that are meant: that of an id, or all.

    Raises:
        NoSuchLab: there is none.
    """
    labs = standing()
    if not labs:
        raise NoSuchLab("no lab is up: bring one up with 'ra-harness up', in another terminal")
    if wanted is None:
        return labs
    chosen = [lab for lab in labs if lab.id == wanted]
    if not chosen:
        raise NoSuchLab(f"no lab {wanted} is up; up: {_listed(labs)}")
    return chosen


def find_node(labs: Sequence[LabEntry], name: str) -> tuple[LabEntry, NodeEntry]:
    """Return the one lab of these that has a node of that name, and the node.

    Raises:
        NoSuchLab: none has it, or more than one.
    """
    having = [(lab, node) for lab in labs if (node := lab.node(name)) is not None]
    if not having:
        known = ", ".join(dict.fromkeys(node.name for lab in labs for node in lab.nodes))
        raise NoSuchLab(f"no node is called {name!r}; there are: {known}")
    if len(having) > 1:
        ids = _listed([lab for lab, _ in having])
        raise NoSuchLab(f"more than one lab has a {name}: choose one with --lab: {ids}")
    return having[0]


@contextmanager
def _door(lab: LabEntry, node: NodeEntry) -> Iterator[Door]:
    """Open the namespaces of a node.

    Raises:
        NoSuchLab: the lab has ended in the meantime.
        MachineError: this process may not look into the command that holds it.
    """
    with ExitStack() as descriptors:
        try:
            opened = _open(lab, node, descriptors)
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ended(lab) from error
        except PermissionError as error:
            raise MachineError(
                f"lab {lab.id}: process {lab.pid} holds it, and is not this user's to look into"
            ) from error
        yield opened


def _open(lab: LabEntry, node: NodeEntry, descriptors: ExitStack) -> Door:
    flags = os.O_RDONLY | os.O_CLOEXEC
    process = os.open(f"/proc/{lab.pid}", flags | os.O_DIRECTORY)
    descriptors.callback(os.close, process)
    # Only now: the folder that is open stays this process's, whoever gets its number next.
    if lab.is_dead():
        raise ended(lab)

    def held(number: int) -> int:
        descriptor = os.open(f"fd/{number}", flags, dir_fd=process)
        descriptors.callback(os.close, descriptor)
        return descriptor

    user = held(lab.user) if lab.user is not None else None
    return Door(user, held(lab.world), held(lab.mounts), held(node.network))


def run_in_node(lab: LabEntry, node: NodeEntry, command: Sequence[str]) -> int:
    """Run a command in a node, or else a shell; return its exit code.

    ``RA_HARNESS_LAB``, ``RA_HARNESS_NODE`` and ``RA_HARNESS_DISK`` tell it where it is.

    Raises:
        NoSuchLab: the lab has ended in the meantime.
        MachineError: the node cannot be entered.
    """
    extra = {
        # An ordinary user's PATH lacks the folders that nft and tcpdump may be in.
        "PATH": f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}",
        "RA_HARNESS_LAB": lab.id,
        "RA_HARNESS_NODE": node.name,
        "RA_HARNESS_DISK": node.disk,
    }
    with _door(lab, node) as door:
        return run_in(door, node.name, command or shell(node.name), extra)


def ended(lab: LabEntry) -> NoSuchLab:
    """Return the error that a lab has ended."""
    return NoSuchLab(f"lab {lab.id} ({lab.topology}) has ended")


def is_up(lab: LabEntry) -> bool:
    """Say whether a lab is still among those that are up."""
    return any(each.id == lab.id for each in standing())


def _listed(labs: Sequence[LabEntry]) -> str:
    return ", ".join(f"{lab.id} ({lab.topology})" for lab in labs)


def _read(file: Path) -> LabEntry | None:
    """Read a lab's file; None for what is none, or not any more."""
    try:
        lab = LabEntry.model_validate_json(file.read_bytes())
        Owner.read(lab.owner)
    except (FileNotFoundError, ValueError):
        return None
    return lab


def _folders() -> list[Path]:
    """Return where this user's files may be, best first: of the session, and of the machine.

    A command with a session finds what one without, by cron or ssh, made.
    """
    beside = Path(tempfile.gettempdir()) / f"{_NAME}-{os.geteuid()}"
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    return [Path(session) / _NAME, beside] if session else [beside]


def _own_folder() -> Path:
    """Return the best of the folders that can be had; make it where it is missing."""
    *sessions, beside = _folders()
    place = next((each for each in sessions if _is_private(each.parent)), beside)
    try:
        place.mkdir(mode=_PRIVATE, exist_ok=True)
    except OSError as error:
        raise MachineError(f"{place}: {error.strerror}; set XDG_RUNTIME_DIR") from error
    if not _is_private(place):
        raise MachineError(
            f"{place} is not this user's alone (mode 700): remove it, or set XDG_RUNTIME_DIR"
        )
    return place


def _is_private(place: Path) -> bool:
    """Say whether a folder is this user's and nobody else may use it."""
    try:
        status = place.lstat()
    except OSError:
        return False
    is_folder = place.is_dir() and not place.is_symlink()
    return is_folder and status.st_uid == os.geteuid() and not status.st_mode & _OTHERS
