"""What an image is made of, the name that follows from it, and the build context with all of it.

Each role has a folder under ``images/`` with a Dockerfile, and where Python packages belong into
the image a ``requirements.txt``: every package, dependencies too, for which ``.ci/constraints.txt``
has the version. The host's pip fetches them as wheels, so that a build needs no package index and
all runtimes have the same versions. The list is whole because pip would judge a dependency's
conditions by the host's Python, not by the image's.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO

from harness import bootstrap
from harness.errors import MachineError

ROOT = Path(__file__).resolve().parents[3]
"""The clone; an installation without it has no images to build."""

_PACKAGES_FOLDER = "opt"
_REVISION_DIGITS = 12
_IMAGE_PYTHON = "3.11"  # Debian bookworm's

# The engine's word for its architecture, and the one in the names of wheels.
_WHEEL_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
# bookworm's glibc is 2.36; pip takes these tags by the letter.
_WHEEL_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")

# Not for an image: tests, scripts, and the file that names the folder the project was built in.
_LEFT_OUT = re.compile(r"(^|/)(bin|tests?|__pycache__)/|\.dist-info/(direct_url\.json|REQUESTED)$")


class Role(StrEnum):
    """What an image is for; parents come before what is built on them."""

    BASE = "base"
    ENDPOINT = "endpoint"
    GATEWAY = "gateway"
    GATEWAY_UPNP = "gateway-upnp"
    PROXY = "proxy"
    INTERNET = "internet"
    SERVICES = "services"
    BOX = "box"


@dataclass(frozen=True)
class Recipe:
    """What goes into an image beside its Dockerfile and its Python packages.

    ``files`` are copied as they are; ``project`` is what the harness's own wheel is built from,
    where the image has it. Both are glob patterns in the clone.
    """

    parent: Role | None
    files: tuple[str, ...] = ()
    project: tuple[str, ...] = ()


_NODE_PROGRAMS = (
    "harness/__init__.py",
    "harness/errors.py",
    "harness/words.py",
    "harness/nodes/**/*",
    "harness/protocol/**/*",
)

RECIPES = {
    Role.BASE: Recipe(
        None, ("harness/__init__.py", "harness/nodes/__init__.py", "harness/nodes/init.py")
    ),
    Role.ENDPOINT: Recipe(Role.BASE, _NODE_PROGRAMS),
    Role.GATEWAY: Recipe(Role.BASE),
    Role.GATEWAY_UPNP: Recipe(Role.GATEWAY),
    Role.PROXY: Recipe(Role.BASE),
    Role.INTERNET: Recipe(Role.GATEWAY),
    Role.SERVICES: Recipe(Role.BASE, _NODE_PROGRAMS),
    Role.BOX: Recipe(
        Role.BASE,
        project=("harness/**/*", "topologies/**/*", "pyproject.toml", "README.md", "LICENSE"),
    ),
}


@cache
def tag(role: Role) -> str:
    """Return the image's name as the clone is now: ``ra-harness/ROLE:REVISION``.

    Raises:
        MachineError: this is an installation without a clone.
    """
    return f"ra-harness/{role}:{revision(role, ROOT)}"


def revision(role: Role, root: Path) -> str:
    """Return 12 hexadecimal digits that change with anything that goes into the image.

    Raises:
        MachineError: the folder ``images`` is not there.
    """
    recipe = RECIPES[role]
    digest = hashlib.sha256()
    inputs = [
        ("parent", revision(recipe.parent, root).encode() if recipe.parent else b""),
        ("version", project_version(root).encode()),
        ("pins", "\n".join(pins(role, root)).encode()),
        ("Dockerfile", _dockerfile(role, root)),
    ]
    inputs += [(name, path.read_bytes()) for name, path in _files(recipe.files, root)]
    inputs += [(name, path.read_bytes()) for name, path in _files(recipe.project, root)]
    for name, content in inputs:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_REVISION_DIGITS]


def project_version(root: Path) -> str:
    """Return the version that the clone's pyproject.toml states."""
    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    version: str = content["project"]["version"]
    return version


def pins(role: Role, root: Path) -> tuple[str, ...]:
    """Return the Python packages of an image, each as ``NAME==VERSION``.

    Raises:
        MachineError: one has no version in ``.ci/constraints.txt``.
    """
    listed = root / "images" / role / "requirements.txt"
    if not listed.exists():
        return ()
    constraints = (root / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    versions = {_canonical(line.partition("==")[0]): line for line in constraints.splitlines()}
    found = []
    for name in listed.read_text(encoding="utf-8").split():
        if _canonical(name) not in versions:
            raise MachineError(f"{listed}: {name} has no version in .ci/constraints.txt: add one")
        found.append(versions[_canonical(name)])
    return tuple(found)


def write_context(role: Role, architecture: str, target: IO[bytes], root: Path) -> None:
    """Write the build context, a tar archive that is the same for the same inputs.

    It has the Dockerfile, and under ``opt`` what the image has under ``/opt/ra-harness``.
    ``architecture`` is the engine's own: ``amd64`` or ``arm64``.

    Raises:
        MachineError: pip cannot bring a package.
    """
    recipe = RECIPES[role]
    members = {"Dockerfile": _dockerfile(role, root)}
    for name, path in _files(recipe.files, root):
        members[f"{_PACKAGES_FOLDER}/{name}"] = path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="ra-harness-") as scratch:
        folder = Path(scratch)
        wanted = list(pins(role, root)) + ([str(root)] if recipe.project else [])
        if wanted:
            _fetch(role, wanted, architecture, folder)
        for name, path in _files(("**/*",), folder):
            if not _LEFT_OUT.search(name):
                members[f"{_PACKAGES_FOLDER}/{name}"] = path.read_bytes()
    _write_tar(members, target)


def _dockerfile(role: Role, root: Path) -> bytes:
    path = root / "images" / role / "Dockerfile"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MachineError(
            f"{path} is missing: images are built from a clone, not from an installed package"
        ) from None


def _files(patterns: tuple[str, ...], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file once with its name in the folder, in the order of names."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(found):
        if "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix(), path


def _canonical(name: str) -> str:
    """Return the one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _fetch(role: Role, wanted: list[str], architecture: str, folder: Path) -> None:
    machine = _WHEEL_ARCHITECTURES.get(architecture)
    if machine is None:
        known = " and ".join(_WHEEL_ARCHITECTURES)
        raise MachineError(
            f"the Docker engine runs on {architecture}, images are made for {known}: use one such"
        )
    platforms = [f"--platform={each}_{machine}" for each in _WHEEL_PLATFORMS]
    pip = [sys.executable, "-I", "-m", "pip", "install", "--no-input", "--no-compile", "--no-deps"]
    python = [f"--python-version={_IMAGE_PYTHON}", "--implementation=cp", "--only-binary=:all:"]
    outcome = bootstrap.run(
        [*pip, *python, *platforms, f"--target={folder}", *wanted],
        PIP_USER="0",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    if outcome.status:
        what = bootstrap.complaint(outcome.output)
        raise MachineError(f"pip cannot bring the Python packages of image {role}: {what}")


def _write_tar(members: dict[str, bytes], target: IO[bytes]) -> None:
    # Every folder is named: the engine would make an unnamed one with mode 0600.
    folders = {parent.as_posix() for name in members for parent in Path(name).parents} - {"."}
    folders.add(_PACKAGES_FOLDER)
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in sorted(folders):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, BytesIO(content))
