"""Which scenarios a run has: the article's, or those of one topology."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from harness.assistance.people import Terms
from harness.errors import DefinitionError
from harness.kb import load_tables, prose_scenarios
from harness.runner.scenario import Scenario
from harness.topology.load import Library
from harness.topology.model import Topology
from harness.words import Method, chain_name

ARTICLE = "kb301529"
"""The folder of the article's own topologies."""


def article(library: Library, methods: Collection[Method], terms: Terms) -> list[Scenario]:
    """Return the article's scenarios that use one of the methods: its tables', then its prose's.

    Raises:
        DefinitionError: a topology file is wrong, or is not the one that its name says.
    """
    scenarios = []
    for table in load_tables():
        for claim in table.claims:
            topology = _article_topology(library, claim.novice, claim.expert)
            wanted = [method for method in claim.methods if method in methods]
            scenarios += of_topology(topology, wanted, terms)
    known = {scenario.id for scenario in scenarios}
    for bound in prose_scenarios():
        if bound.method not in methods or bound.id in known:
            continue
        clients = bound.options.proxy_client
        topology = library.from_chains(bound.novice, bound.expert, clients)
        port = bound.options.expert_port or terms.expert_port
        scenarios += of_topology(topology, [bound.method], replace(terms, expert_port=port))
    return scenarios


def of_topology(topology: Topology, methods: Iterable[Method], terms: Terms) -> list[Scenario]:
    """Return one scenario for each method."""
    own = replace(terms, listens=topology.novice.listens)
    return [Scenario(method, topology, own) for method in methods]


def every_pair(
    library: Library,
    chains: Sequence[tuple[str, ...]],
    methods: Sequence[Method],
    terms: Terms,
) -> list[Scenario]:
    """Return every chain against every chain, by every method.

    Raises:
        DefinitionError: a chain names an unknown device, or cannot be.
    """
    return [
        scenario
        for novice in chains
        for expert in chains
        for scenario in of_topology(library.from_chains(novice, expert), methods, terms)
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
