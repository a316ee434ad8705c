"""Labs of the project's devices that are brought up in a sealed world and probed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeds import Deed
from worlds import in_world

from harness.judge.model import Control
from harness.lab.lab import Lab
from harness.lab.probes import probe_sites
from harness.runtime.namespaces import Namespaces
from harness.topology.load import Library, default_folder
from harness.topology.model import Firewall, Nat, Topology
from harness.topology.plan import plan


@dataclass(frozen=True)
class Probed:
    """The controls of one lab, and the seconds that they took."""

    controls: tuple[Control, ...]
    seconds: float

    @property
    def failed(self) -> set[tuple[str, str]]:
        """Node and name of each control that failed."""
        return {(each.node, each.name) for each in self.controls if not each.passed}

    def detail(self, node: str, name: str) -> str:
        (found,) = (each for each in self.controls if (each.node, each.name) == (node, name))
        return found.detail


def probe(*cases: tuple[Topology, Deed]) -> list[Probed]:
    """Bring labs up in one sealed world, one by one, do something to each and probe it."""

    def work(scratch: Path) -> object:
        return [one(scratch / str(number), *case) for number, case in enumerate(cases)]

    def one(folder: Path, topology: Topology, deed: Deed) -> object:
        with Lab(plan(topology), Namespaces(folder), lambda node, event: None) as lab:
            deed(lab)
            began = time.monotonic()
            controls = asyncio.run(probe_sites(lab.plan, lab.namespaces, lab.watch))
            seconds = time.monotonic() - began
            lab.watch.close()
            return [seconds, [each.model_dump() for each in controls]]

    return [
        Probed(tuple(Control(**each) for each in controls), seconds)
        for seconds, controls in in_world(work)
    ]


def library() -> Library:
    return Library(default_folder())


def with_nat(nat: Nat, novice: Sequence[str] = ("nat",)) -> Topology:
    """Return a topology whose ``nat`` is this one."""
    own = library()
    own.devices["nat"] = own.devices["nat"].model_copy(update={"nat": nat})
    return own.from_chains(tuple(novice), ())


def with_firewall(firewall: Firewall, novice: Sequence[str] = ("firewall",)) -> Topology:
    """Return a topology whose ``firewall`` is this one."""
    own = library()
    own.devices["firewall"] = own.devices["firewall"].model_copy(update={"firewall": firewall})
    return own.from_chains(tuple(novice), ())


def in_one_lab(work: Callable[[Lab], object], topology: Topology) -> Any:
    """Do something in a lab that is up; return what it returned."""

    def job(scratch: Path) -> object:
        with Lab(plan(topology), Namespaces(scratch), lambda node, event: None) as lab:
            result = work(lab)
            lab.watch.close()
            return result

    return in_world(job)


def run(lab: Lab) -> list[str]:
    """Probe; return what failed."""
    controls = asyncio.run(probe_sites(lab.plan, lab.namespaces, lab.watch))
    return [each.detail for each in controls if not each.passed]
