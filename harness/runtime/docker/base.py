"""The Debian that all images begin with: pulled where that works, made here where it does not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from harness import bootstrap
from harness.bootstrap import Administrator, Need, SetupError
from harness.errors import MachineError

PUBLISHED = "debian:bookworm-slim"
"""The image of Debian's own makers."""

OWN = "ra-harness/debian:bookworm"
"""The same packages, made by mmdebstrap."""

PULL_PATIENCE = 20
"""Seconds that a pull may stay silent."""

_SUITE = "bookworm"
# Debian's smallest set with apt. Without the hook, merging /usr would bring all of Perl.
_SMALL = ("--variant=apt", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
_NEEDS = (
    Need("the mmdebstrap program", ("mmdebstrap",)),
    Need("Debian's archive keys", ("debian-archive-keyring",)),
)
# What the published slim image leaves out too; the licences stay.
_SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/lintian/*",
)


def provide(
    client: DockerClient,
    administrator: Administrator,
    labels: Mapping[str, str],
    say: Callable[[str], None],
) -> str:
    """Return the name of a Debian image that the engine has, after bringing one if need be.

    ``labels`` go on an image that is made here.

    Raises:
        MachineError: it can neither be pulled nor made.
    """
    for name in (PUBLISHED, OWN):
        if _has(client, name):
            return name
    refused = _pull(client)
    if refused is None:
        return PUBLISHED
    say(f"{PUBLISHED} cannot be pulled ({refused}); making the same from Debian's packages")
    try:
        _make(client, administrator, labels)
    except SetupError as error:
        raise MachineError(
            f"{PUBLISHED} cannot be pulled ({refused}) nor made here ({error}): give the engine"
            f" the image, for example by docker load"
        ) from error
    return OWN


def _has(client: DockerClient, name: str) -> bool:
    try:
        client.api.inspect_image(name)
    except ImageNotFound:
        return False
    return True


def _pull(client: DockerClient) -> str | None:
    """Pull the published image; return what kept the engine from it."""
    repository, _, version = PUBLISHED.partition(":")
    try:
        with _patience(client, PULL_PATIENCE):
            for step in client.api.pull(repository, version, stream=True, decode=True):
                if "error" in step:
                    return _one_line(step["error"])
    except APIError as error:
        return _one_line(error.explanation or str(error))
    except requests.exceptions.RequestException:
        return f"no answer in {PULL_PATIENCE} s"
    return None if _has(client, PUBLISHED) else "the engine has not got it afterwards"


@contextmanager
def _patience(client: DockerClient, seconds: int) -> Iterator[None]:
    usual = client.api.timeout
    client.api.timeout = seconds
    try:
        yield
    finally:
        client.api.timeout = usual


def _make(client: DockerClient, administrator: Administrator, labels: Mapping[str, str]) -> None:
    if not shutil.which("apt-get"):
        raise SetupError("that takes Debian or its kin")
    if missing := bootstrap.unmet(_NEEDS):
        bootstrap.provide(missing, administrator)
    options = [f"--dpkgopt={option}" for option in _SLIM]
    architecture = f"--architectures={client.version()['Arch']}"
    with tempfile.TemporaryDirectory(prefix="ra-harness-") as scratch:
        archive = Path(scratch) / "debian.tar"
        command = ["mmdebstrap", *_SMALL, architecture, *options, _SUITE, str(archive)]
        outcome = bootstrap.run(administrator.command(*command))
        if outcome.status:
            raise SetupError(f"mmdebstrap: {bootstrap.complaint(outcome.output)}", outcome.output)
        repository, _, version = OWN.partition(":")
        changes = [f'LABEL {name}="{value}"' for name, value in labels.items()]
        client.api.import_image(str(archive), repository, version, changes=changes)
    if not _has(client, OWN):
        raise SetupError("the engine did not take what mmdebstrap made")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
