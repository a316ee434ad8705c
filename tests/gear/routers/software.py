"""The software of the routers, fetched and unpacked beside the system, never installed.

Some of these packages start services when they are installed, and some conflict with what the
harness itself needs. A router sees its own unpacked packages over the system's files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from harness.errors import MachineError

# Debian has these folders under /usr; older packages still bring them beside it.
_MERGED = ("bin", "sbin", "lib", "lib64")

# A line of apt-get's simulation: "Inst NAME [old version] (VERSION Debian:12 [amd64])".
_PLANNED = re.compile(r"^Inst (?P<name>\S+) (?:\[\S+\] )?\((?P<version>\S+) ", re.MULTILINE)

# While these are as they were so is apt's plan, which takes it 2 s to make: what is installed, and
# what there is.
_STATE = (Path("/var/lib/dpkg/status"), Path("/var/lib/apt/lists"))

_FETCH_SECONDS = 300


@cache
def layer(*packages: str) -> Path:
    """Return a folder with the packages' files and those of all that they need.

    What the system has installed already is not in it. The folder is made once and kept in the
    user's cache.

    Raises:
        MachineError: apt does not know a package, or cannot fetch it.
    """
    with _locked(_cache()) as folder:
        known = folder / f"{_digest(*packages, *map(_changed, _STATE))}.known"
        if known.exists():
            return folder / known.read_text(encoding="ascii")
        planned = _plan(packages)
        done = folder / _digest(*planned)
        if not done.exists():
            part = folder / "part"
            shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
            _unpack(planned, part)
            (part / "root").rename(done)
            shutil.rmtree(part)
        known.write_text(done.name, encoding="ascii")
        return done


def _digest(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _changed(path: Path) -> str:
    return str(path.stat().st_mtime_ns) if path.exists() else "none"


def _plan(packages: Sequence[str]) -> list[str]:
    """Return the packages that the system lacks, as NAME=VERSION."""
    said = _run(
        ["apt-get", "--simulate", "--no-install-recommends", "install", *packages], Path("/")
    )
    return sorted(f"{found['name']}={found['version']}" for found in _PLANNED.finditer(said))


def _unpack(planned: Sequence[str], part: Path) -> None:
    root, archives = part / "root", part / "archives"
    root.mkdir(parents=True)
    archives.mkdir()
    if planned:
        _run(["apt-get", "download", *planned], archives)
    for archive in archives.iterdir():
        _run(["dpkg", "--extract", str(archive), str(root)], archives)
    for name in _MERGED:
        if (root / name).is_dir():
            shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(root / name)


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise MachineError(
            f"{command[0]} is needed to fetch a router's software: {error}"
        ) from error
    if ended.returncode != 0:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("E:")]
        why = lines[0] if lines else f"status {ended.returncode}"
        raise MachineError(
            f"`{' '.join(command)}` failed: {why} (run apt-get update, or add a source that has it)"
        )
    return ended.stdout


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ra-harness" / "gear"


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Keep two test runs from unpacking at once; yields the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)
