"""The images that containers are made from: built when missing, removed when asked.

An image's name follows from all that goes into it, so one that is there is the right one. Every
image says on labels what it is, which clone it was built from and by which process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import requests
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound

from harness import bootstrap
from harness.bootstrap import Administrator
from harness.errors import MachineError
from harness.runtime.docker import base
from harness.runtime.docker.images_context import (
    RECIPES,
    ROOT,
    Role,
    project_version,
    revision,
    tag,
    write_context,
)
from harness.runtime.docker.ownership import OWNER_LABEL, RUN_LABEL, Owner, is_orphan

__all__ = ["CLONE_LABEL", "IMAGE_LABEL", "Role", "ensure", "remove_all", "tag"]

IMAGE_LABEL = "dev.ra-harness.image"
"""Label that names an image's role."""

CLONE_LABEL = "dev.ra-harness.clone"
"""Label that tells clones apart: 16 hexadecimal digits of the SHA-256 of the clone's path."""

BUILD_PATIENCE = 300
"""Seconds that a build may stay silent."""

_LOCKED = ROOT / "images"
_CLONE_DIGITS = 16
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_CONFLICT = 409


def ensure(client: DockerClient, roles: Collection[Role], say: Callable[[str], None]) -> None:
    """Build the images that the engine lacks; ``say`` gets one line for each.

    For as long as this process lives :func:`remove_all` leaves this clone's images alone.

    Raises:
        MachineError: one cannot be built, or the engine fails.
    """
    _keep()
    with _engine_errors():
        if not _missing(client, roles):
            return
        # Two builds in one clone would do the same work twice.
        with bootstrap.one_at_a_time(ROOT):
            _remove_leavings(client)
            for role in _missing(client, roles):
                _build(client, role, say)


def remove_all(client: DockerClient) -> list[str]:
    """Remove the images of this clone, and what interrupted builds left; return their names.

    It leaves what a container uses, and everything while another process of this clone uses its
    images. The Debian that was made here goes when no image of any clone is built on it.

    Raises:
        MachineError: the engine fails.
    """
    with _engine_errors(), _in_nobody_s_use() as free:
        if not free:
            return _remove_leavings(client)
        ours = client.api.images(filters={"label": [f"{CLONE_LABEL}={_clone()}"]})
        names = [
            name
            for image in sorted(ours, key=_height, reverse=True)
            for name in _names(image)
            if name != base.OWN
        ]
        if _debian_is_of_no_use(client, names):
            names.append(base.OWN)
        removed = [name for name in names if _remove(client, name)]
        return removed + _remove_leavings(client)


@cache
def _keep() -> None:
    """Lock this clone's images, with all others who use them, until this process ends."""
    _lock(os.open(_LOCKED, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)


@contextmanager
def _in_nobody_s_use() -> Iterator[bool]:
    """Keep everybody from using this clone's images; False where somebody does already."""
    folder = os.open(_LOCKED, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(folder)


def _lock(folder: int, how: int) -> bool:
    try:
        fcntl.flock(folder, how)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems lock no folder: then nobody else does so either.
        return True
    return True


def _missing(client: DockerClient, roles: Collection[Role]) -> list[Role]:
    """Return the roles to build, parents first: an image that is there needs no parent."""
    images = client.api.images(filters={"label": [IMAGE_LABEL]})
    there = {name for image in images for name in _names(image)}
    needed: set[Role] = set()
    for role in roles:
        step: Role | None = role
        while step is not None and tag(step) not in there:
            needed.add(step)
            step = RECIPES[step].parent
    return [role for role in Role if role in needed]


# --- Building -------------------------------------------------------------------------------------


def _build(client: DockerClient, role: Role, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    arguments = {"OWNER": Owner.current().text()}
    parent = RECIPES[role].parent
    if parent is None:
        administrator = Administrator(root=os.geteuid() == 0, terminal=sys.stdin.isatty())
        arguments["DEBIAN"] = base.provide(client, administrator, _labels("debian"), say)
    else:
        arguments["PARENT"] = tag(parent)
    labels = {
        **_labels(role),
        "org.opencontainers.image.version": project_version(ROOT),
        "org.opencontainers.image.revision": revision(role, ROOT),
    }
    with tempfile.TemporaryFile() as context:
        write_context(role, client.version()["Arch"], context, ROOT)
        context.seek(0)
        steps = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag(role),
            buildargs=arguments,
            labels=labels,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILD_PATIENCE,
        )
        _follow(role, steps)
    say(f"Built the image {tag(role)} in {time.monotonic() - began:.1f} s")


def _labels(role: str) -> dict[str, str]:
    return {
        IMAGE_LABEL: role,
        CLONE_LABEL: _clone(),
        OWNER_LABEL: Owner.current().text(),
    }


def _clone() -> str:
    return hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:_CLONE_DIGITS]


def _follow(role: Role, steps: Iterator[Mapping[str, Any]]) -> None:
    """Read a build to its end."""
    said = ""
    for step in steps:
        said += _COLOUR.sub("", step.get("stream", ""))
        if "error" not in step:
            continue
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"ra-harness-{role}-", suffix=".log", delete=False
        ) as log:
            log.write(f"{said}\n{step['error']}\n")
        # The engine's own error repeats the command; what the command said is worth more.
        what = bootstrap.complaint(said) if "returned a non-zero code" in step["error"] else ""
        raise MachineError(
            f"image {role} cannot be built: {what or ' '.join(step['error'].split())}"
            f" (all it said: {log.name})"
        )


# --- Removing -------------------------------------------------------------------------------------


def _height(image: Mapping[str, Any]) -> int:
    """How far an image is from the ground: what is built on another is removed before it."""
    roles = [str(role) for role in Role]
    role = image["Labels"].get(IMAGE_LABEL)
    return roles.index(role) if role in roles else -1


def _debian_is_of_no_use(client: DockerClient, going: Collection[str]) -> bool:
    """Say whether our own Debian is there, and will carry no image when these have gone."""
    try:
        debian = client.api.inspect_image(base.OWN)
    except ImageNotFound:
        return False
    if _in_other_hands(debian["Config"]["Labels"] or {}):
        return False
    every = client.api.images(filters={"label": [IMAGE_LABEL]})
    staying = {name for image in every for name in _names(image)} - {base.OWN, *going}
    ground = debian["RootFS"]["Layers"]
    return all(
        client.api.inspect_image(name)["RootFS"]["Layers"][: len(ground)] != ground
        for name in staying
    )


def _in_other_hands(labels: Mapping[str, str]) -> bool:
    """Say whether a process of this machine that lives and is not this one built the image."""
    try:
        owner = Owner.read(labels.get(OWNER_LABEL, ""))
    except ValueError:
        return False
    here = Owner.current()
    near = (owner.host, owner.pid_namespace) == (here.host, here.pid_namespace)
    return near and owner != here and not owner.is_dead()


def _remove_leavings(client: DockerClient) -> list[str]:
    """Remove what builds that were interrupted have left; return its names."""
    filters = {"label": [OWNER_LABEL, IMAGE_LABEL]}
    for container in client.api.containers(all=True, filters=filters):
        # A run's own containers are the run's; one without a run's label inherited the image's.
        labels = container["Labels"]
        ours = RUN_LABEL not in labels and is_orphan(labels)
        if ours and container["State"] != "running" and _is_nameless(client, container["ImageID"]):
            client.api.remove_container(container["Id"])
    dangling = client.api.images(filters={"dangling": True, "label": [OWNER_LABEL]})
    orphans = [image["Id"] for image in dangling if is_orphan(image["Labels"])]
    return [name for name in orphans if _remove(client, name)]


def _is_nameless(client: DockerClient, image: str) -> bool:
    try:
        return not client.api.inspect_image(image)["RepoTags"]
    except ImageNotFound:
        return True


def _remove(client: DockerClient, name: str) -> bool:
    """Remove an image; False where something uses it, or another was quicker."""
    try:
        client.api.remove_image(name)
    except ImageNotFound:
        return False
    except APIError as error:
        if error.status_code == _CONFLICT:
            return False
        raise
    return True


def _names(image: Mapping[str, Any]) -> list[str]:
    # The engine lists an image without a name under this one.
    return [name for name in image["RepoTags"] or () if name != "<none>:<none>"]


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except (DockerException, requests.exceptions.RequestException) as error:
        text = getattr(error, "explanation", None) or str(error)
        raise MachineError(f"the Docker engine failed: {' '.join(str(text).split())}") from error
