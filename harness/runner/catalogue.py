"""Which scenarios a run has: the article's, or those of one topology."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable

from harness.assistance.people import Terms
from harness.errors import DefinitionError
from harness.kb import load_tables
from harness.runner.scenario import Scenario
from harness.topology.load import Library
from harness.topology.model import Topology, chain_name
from harness.words import Method

ARTICLE = "kb301529"
"""The folder of the article's own topologies."""


def article(library: Library, methods: Collection[Method]) -> list[Scenario]:
    """Return the scenarios of the article's tables that use one of the methods.

    Raises:
        DefinitionError: a topology file is wrong, or is not the one that its name says.
    """
    scenarios = []
    for table in load_tables():
        for claim in table.claims:
            topology = _article_topology(library, claim.novice, claim.expert)
            wanted = [method for method in claim.methods if method in methods]
            scenarios += of_topology(topology, wanted)
    return scenarios


def of_topology(topology: Topology, methods: Iterable[Method]) -> list[Scenario]:
    """Return one scenario for each method."""
    return [
        Scenario(
            method,
            topology,
            Terms(password=secrets.token_urlsafe(9), listens=topology.novice.listens),
        )
        for method in methods
    ]


def _article_topology(
    library: Library, novice: tuple[str, ...], expert: tuple[str, ...]
) -> Topology:
    name = f"{chain_name(novice)}+{chain_name(expert)}"
    path = library.folder / ARTICLE / f"{name}.toml"
    topology = library.from_file(path)
    if topology.name != name:
        raise DefinitionError(f"{path}: novice and expert: it defines {topology.name}, not {name}")
    return topology
