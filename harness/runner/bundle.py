"""The bundle: one scenario's evidence, from which it can be judged again (docs/results.md).

``verdict.json`` is written last. It has the result, and the SHA-256 of every other file: a bundle
that was altered afterwards is not what the run saw.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.assistance.people import Order, Terms
from harness.errors import DefinitionError
from harness.judge.model import ScenarioResult
from harness.report.results_file import first_error
from harness.report.wording import plain
from harness.runner.evidence import RULES
from harness.runner.scenario import Scenario
from harness.topology.model import Topology
from harness.topology.plan import plan
from harness.words import Method

DEFINITION = "definition.json"
CONTROLS = "controls.json"
TRANSCRIPT = "transcript.jsonl"
ENVIRONMENT = "environment.json"
VERDICT = "verdict.json"
TRACEBACK = "traceback.txt"

MAX_BYTES = 16 << 20
"""The most bytes of a bundle that are read; a run's own are a hundred times smaller."""

_MAX_TEXT = 1 << 20
_NAME = re.compile(rf"(?:{RULES}/)?[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}")
# Shown of a name that a bundle gives.
_MAX_SHOWN = 60


class Definition(BaseModel):
    """``definition.json``: what was to be run. ``nodes`` is for people, and follows from it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    method: Method
    order: Order
    expert_port: int
    patience: float
    topology: Topology
    nodes: dict[str, Any]

    @classmethod
    def of(cls, scenario: Scenario) -> Definition:
        """Write a scenario down, with every node as it was built."""
        terms = scenario.terms
        return cls(
            id=scenario.id,
            method=scenario.method,
            order=terms.order,
            expert_port=terms.expert_port,
            patience=terms.patience,
            topology=scenario.topology,
            nodes=nodes(scenario.topology),
        )

    def scenario(self) -> Scenario:
        """Return the scenario that it was written from; the password is not written down."""
        terms = Terms(
            password="",
            patience=self.patience,
            listens=self.topology.novice.listens,
            expert_port=self.expert_port,
            order=self.order,
        )
        return Scenario(self.method, self.topology, terms)


class Sealed(BaseModel):
    """``verdict.json``: the result, and the SHA-256 of each other file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    result: ScenarioResult
    sha256: dict[str, str]


def pack(
    scenario: Scenario,
    result: ScenarioResult,
    environment: Mapping[str, Any],
    seen: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Return every file of a bundle by name, the verdict last; ``seen`` is what the lab sent."""
    files = {
        DEFINITION: Definition.of(scenario).model_dump_json(indent=1).encode(),
        CONTROLS: _json([control.model_dump(mode="json") for control in result.controls]),
        ENVIRONMENT: _json(environment),
        **seen,
    }
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    sealed = Sealed(result=result, sha256=sums)
    return {**files, VERDICT: sealed.model_dump_json().encode()}


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read; ``altered`` says what is not as the run wrote it, if anything."""

    path: Path
    definition: Definition
    result: ScenarioResult
    files: Mapping[str, bytes]
    altered: str | None


def unpack(path: Path) -> Bundle:
    """Read a bundle.

    Raises:
        DefinitionError: it is no bundle, or so damaged that it cannot be told what it was.
    """
    sealed = _model(Sealed, path / VERDICT)
    definition = _model(Definition, path / DEFINITION)
    files: dict[str, bytes] = {}
    altered = None
    left = MAX_BYTES
    for name, digest in sealed.sha256.items():
        shown = plain(name)[:_MAX_SHOWN]
        try:
            content = read(_inside(path, name), left)
        except DefinitionError as error:
            altered = altered or f"{shown}: {error}"
            continue
        left -= len(content)
        if hashlib.sha256(content).hexdigest() != digest:
            altered = altered or f"{shown} is not what the run wrote"
        files[name] = content
    return Bundle(path, definition, sealed.result, files, altered)


def read(path: Path, most: int = MAX_BYTES) -> bytes:
    """Read a file that somebody else may have made: a plain one, and no more than ``most`` bytes.

    Raises:
        DefinitionError: it is something else, is larger, or cannot be read; the text is the reason.
    """
    try:
        with open(path, "rb", opener=_open_unwaited) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DefinitionError("it is no plain file")
            content = file.read(most + 1)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DefinitionError("it is no plain file") from error
        raise DefinitionError(str(error.strerror)) from error
    if len(content) > most:
        raise DefinitionError("it is larger than what a run writes")
    return content


def _open_unwaited(path: str, flags: int) -> int:
    """Open without following a symbolic link, and a pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _inside(path: Path, name: str) -> Path:
    """Return the path of a bundle's file.

    Raises:
        DefinitionError: the name leads elsewhere, by itself or by a symbolic link.
    """
    if not _NAME.fullmatch(name) or (path / RULES).is_symlink():
        raise DefinitionError("it is not in the bundle")
    return path / name


_Model = TypeVar("_Model", bound=BaseModel)


def _model(kind: type[_Model], path: Path) -> _Model:
    try:
        return kind.model_validate_json(read(path, _MAX_TEXT))
    except ValidationError as error:
        raise DefinitionError(f"{plain(str(path))}: {first_error(error)}") from error
    except DefinitionError as error:
        raise DefinitionError(f"{plain(str(path))}: {error}") from error


def nodes(topology: Topology) -> dict[str, Any]:
    """Return what is written of every node: interfaces, gateway, routes, which device it is."""
    return {
        node.name: {
            "kind": node.kind.value,
            "device": node.device.name if node.device is not None else None,
            "interfaces": {each.name: str(each.address) for each in node.stack.interfaces},
            "gateway": None if node.stack.gateway is None else str(node.stack.gateway),
            "routes": {str(route.to): str(route.via) for route in node.stack.routes},
            "forwards": node.stack.forwards,
        }
        for node in plan(topology).nodes
    }


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
