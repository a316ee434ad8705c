"""What runs side by side, and what tests need that make containers: an engine that they may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient
from not_run import not_run
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from harness.errors import MachineError
from harness.runtime.docker import engine as engines

# The first look at all that the engine has, the others share runs against routers.
_TOGETHER = ("tests/docker/", "tests/gear/test_gear_")


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Keeps a file's tests on one worker, and those that belong together."""

    def _split_scope(self, nodeid: str) -> str:
        together = (each for each in _TOGETHER if nodeid.startswith(each))
        return next(together, nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Say what may run side by side (a hook of pytest-xdist)."""
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """The engine that answers; without one the test is not run, and in CI that is a failure."""
    try:
        client = engines.connect()
    except MachineError as error:
        not_run(error)
    yield client
    client.close()


@pytest.fixture(scope="session")
def wireable(engine: DockerClient) -> DockerClient:
    """The engine, where this user may wire its containers."""
    try:
        engines.check_wireable(engine)
    except MachineError as error:
        not_run(error)
    return engine
