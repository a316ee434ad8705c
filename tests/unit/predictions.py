"""Topologies to predict, in a word, and ways to look at what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from definitions import project

from harness.prediction import Options, Prediction, Reach
from harness.topology.model import Topology
from harness.words import Answer, Method, Role

YES, NO = Answer.YES, Answer.NO
MESSENGER, EMAIL, FILE = Method.MESSENGER, Method.EMAIL, Method.FILE
NOVICE, EXPERT = Role.NOVICE, Role.EXPERT

WAN = "80.100.10.2"
"""The address of the novice's outermost device; the expert's is 85.200.20.2."""

RDP = Options(expert_port=3389)
CLIENT: Mapping[str, object] = {"proxy_client": True}


def chains_of(pair: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the two chains of ``NOVICE+EXPERT``."""
    novice, expert = (
        tuple(side.split(",")) if side != "direct" else () for side in pair.split("+")
    )
    return novice, expert


def topology(
    pair: str,
    novice: Mapping[str, object] | None = None,
    expert: Mapping[str, object] | None = None,
) -> Topology:
    """Resolve ``NOVICE+EXPERT`` as a scenario's id has it, with facts of the two sites changed."""
    resolved = project().from_chains(*chains_of(pair))
    changed = {
        "novice": resolved.novice.model_copy(update=novice or {}),
        "expert": resolved.expert.model_copy(update=expert or {}),
    }
    return resolved.model_copy(update=changed)


def from_toml(folder: Path, text: str) -> Topology:
    """Resolve what a user could write."""
    file = folder / "topology.toml"
    file.write_text(text, encoding="utf-8")
    return project().from_file(file)


def reach(prediction: Prediction, dialler: Role, address: str) -> Reach:
    """Return what became of one address."""
    (found,) = (
        each
        for each in prediction.reaches
        if (each.dialler, each.address) == (dialler, IPv4Address(address))
    )
    return found


def telling(prediction: Prediction) -> Reach:
    """Return the reach whose sentence is the prediction's own."""
    return next(each for each in prediction.reaches if each.why == prediction.why)
