"""What a test asks for, by its markers and by itself, checked before anything is started."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.plugin import RUNTIMES
from harness.plugin.errors import Misuse
from harness.words import DIRECT, Method, Role

BY_HAND = "@by-hand"
"""Ends the id of what a test played step by step: the article says nothing of it."""


@dataclass(frozen=True)
class Asked:
    """An errand: what is to be played, on what, and where its evidence goes.

    ``do`` is the fixture's name or, for the journeys of the bundle in ``folder``, ``draw``.
    Chains are as on the command line; ``file``, ``topologies`` and ``folder`` are absolute paths,
    the first two empty where there is none. It travels to the helper as JSON.
    """

    do: str
    folder: str = ""
    runtime: str = ""
    method: str = ""
    novice: str = ""
    expert: str = ""
    proxy_client: tuple[str, ...] = ()
    file: str = ""
    topologies: str = ""


@dataclass(frozen=True)
class Wanted:
    """A topology as a test names it: two chains, or a file."""

    novice: str | None = None
    expert: str | None = None
    file: str | Path | None = None
    proxy_client: str | Collection[str] = ()

    @property
    def says_something(self) -> bool:
        """Whether it names anything at all."""
        return self != Wanted()

    def check(self, where: str) -> Wanted:
        """Return it if it can be meant.

        Raises:
            Misuse: it cannot; ``where`` begins the text.
        """
        if self.file is not None and (self.novice, self.expert, self.clients) != (None, None, ()):
            raise Misuse(f"{where}: file says it all: leave novice, expert, proxy_client out")
        for name, chain in (("novice", self.novice), ("expert", self.expert)):
            if chain is not None and not isinstance(chain, str):
                raise Misuse(
                    f'{where}: {name} is a chain like "icf,nat" or "direct", not {chain!r}'
                )
        if not isinstance(self.file, (str, Path, type(None))):
            raise Misuse(f"{where}: file is a path, not {self.file!r}")
        for role in self.clients:
            one_of(role, tuple(Role), f"{where}: proxy_client")
        return self

    @property
    def clients(self) -> tuple[str, ...]:
        """Whose connection goes through the site's proxy."""
        if isinstance(self.proxy_client, str):
            return (self.proxy_client,)
        return tuple(self.proxy_client)


@dataclass(frozen=True)
class Defaults:
    """What holds for a test where its calls say nothing else: its markers and the options.

    ``beside`` is the folder that the test is in: a topology file is named relative to it.
    """

    topology: pytest.Mark | None
    method: str | None
    runtime: str
    topologies: Path | None
    beside: Path

    @classmethod
    def of(cls, request: pytest.FixtureRequest, method: str | None, runtime: str) -> Defaults:
        """Read a test's markers and the run's options."""
        topologies: Path | None = request.config.getoption("--ra-topologies")
        return cls(
            topology=request.node.get_closest_marker("topology"),
            method=method,
            runtime=runtime,
            topologies=None
            if topologies is None
            else request.config.invocation_params.dir / topologies,
            beside=request.path.parent,
        )

    def errand(self, do: str, said: Wanted, method: str | None) -> Asked:
        """Return what a call comes to, yet without a folder; what it says outranks the markers.

        Raises:
            Misuse: it cannot be meant, or nothing names a topology.
        """
        topology = said.check(f"{do}()") if said.says_something else self._marked(do)
        file = "" if topology.file is None else str(self.beside / topology.file)
        return Asked(
            do=do,
            runtime=one_of(self.runtime, RUNTIMES, "@pytest.mark.runtime"),
            method=one_of(method or self.method, tuple(Method), f"{do}(): method"),
            novice=topology.novice or DIRECT,
            expert=topology.expert or DIRECT,
            proxy_client=topology.clients,
            file=file,
            topologies="" if self.topologies is None else str(self.topologies),
        )

    def _marked(self, do: str) -> Wanted:
        if self.topology is None:
            raise Misuse(
                f'{do}() names no topology: say {do}("nat", "direct"), or mark the test with '
                '@pytest.mark.topology(novice="nat", expert="direct")'
            )
        try:
            wanted = Wanted(*self.topology.args, **self.topology.kwargs)
        except TypeError as error:
            reason = str(error).removeprefix("Wanted.__init__() ")
            raise Misuse(f"@pytest.mark.topology {reason}") from error
        if not wanted.says_something:
            raise Misuse("@pytest.mark.topology names neither novice, expert nor file")
        return wanted.check("@pytest.mark.topology")


def one_of(value: object, known: Collection[str], where: str) -> str:
    """Return a name that is known.

    Raises:
        Misuse: it is not.
    """
    for name in known:
        if value == name:
            return str(name)
    said = "nothing is named" if value is None else f"{value!r} is none"
    raise Misuse(f"{where}: {said}; there are: {', '.join(known)}")
