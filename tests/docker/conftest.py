"""What tests need that make containers: an engine, and somebody who may use it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from docker import DockerClient

from harness.errors import MachineError
from harness.runtime.docker import engine as engines

IN_CI = bool(os.environ.get("CI"))


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """The engine that answers; without one the test is not run, and in CI that is a failure."""
    try:
        client = engines.connect()
    except MachineError as error:
        _not_run(error)
    yield client
    client.close()


@pytest.fixture(scope="session")
def wireable(engine: DockerClient) -> DockerClient:
    """The engine, where this user may wire its containers."""
    try:
        engines.check_wireable(engine)
    except MachineError as error:
        _not_run(error)
    return engine


def _not_run(error: MachineError) -> None:
    if IN_CI:
        pytest.fail(f"could not be run: {error}")
    pytest.skip(f"not run: {error}")
