"""Makes the nodes of one lab around real routers: what stays, stays, the rest is new."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.gear import stage
from harness.gear.stage import ETH0, Stage
from harness.runtime.namespaces import NamespaceNode, Namespaces
from harness.runtime.netns import NetNs
from harness.runtime.node import Part
from harness.topology.model import Topology
from harness.topology.plan import INTERNET


class GearMaker(Namespaces):
    """Nodes of this process, but for the internet and the hosts behind routers: those stay."""

    def __init__(self, folder: Path, stands: Stage, topology: Topology) -> None:
        """``folder`` does not exist yet; the nodes' disks will be in it."""
        super().__init__(folder)
        self._kept: dict[str, tuple[NetNs, list[str]]] = {
            INTERNET: (stands.internet, [dock.wan for dock in stands.docks.values()])
        }
        for role, site in topology.sites.items():
            if site.gear is not None:
                self._kept[role.value] = (stands.docks[site.gear.name].host, [ETH0])

    def make(self, parts: Mapping[str, Part]) -> Mapping[str, NamespaceNode]:
        """Make the nodes that are new, and clear those that stay."""
        nodes = {name: self._node(name) for name in parts}
        self._nodes += nodes.values()
        return nodes

    def _node(self, name: str) -> NamespaceNode:
        if name not in self._kept:
            return NamespaceNode(self._folder / name)
        namespace, interfaces = self._kept[name]
        stage.sweep(namespace, interfaces)
        return NamespaceNode(self._folder / name, namespace)
