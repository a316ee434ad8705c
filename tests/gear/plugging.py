"""Routers that are made and plugged in, where their software can be had and root may do it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from not_run import not_run
from reaching import Make, Plug
from routers import GearRouter, Lie, LyingRouter
from routers.neighbours import Neighbours

from harness.errors import MachineError


@pytest.fixture(scope="module")
def root() -> None:
    """Routers are made by root only."""
    if os.geteuid() != 0:
        not_run("it makes network namespaces and moves interfaces: run pytest as root")


@pytest.fixture(scope="module")
def make() -> Make:
    """Makes a router, where its software can be had."""

    def maker(kind: Callable[..., GearRouter], *arguments: object) -> GearRouter:
        try:
            return kind(*arguments)
        except MachineError as error:
            not_run(error)

    return maker


@pytest.fixture
def lying(make: Make) -> Iterator[Plug]:
    """Plugs in a router that tells a lie, with as many hosts on its LAN as asked for."""
    with ExitStack() as plugged:

        def plug(lie: Lie, hosts: int = 1) -> Neighbours:
            return plugged.enter_context(Neighbours(make(LyingRouter, lie), hosts))

        yield plug
