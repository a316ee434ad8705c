"""The boxed runtime: the same command, with namespaces for nodes, in one container of any engine.

The engine may be on another machine, rootless, or in Docker Desktop: see
:mod:`harness.runtime.docker.box`. Definitions are read and judged here before anything is started,
so only a run that makes sense is sent.
"""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

import click
from click.core import ParameterSource
from pydantic import ValidationError

from harness.errors import DefinitionError, ExitCode, MachineError, RunError
from harness.judge.model import Results
from harness.report.progress import Progress
from harness.runner.catalogue import ARTICLE
from harness.runner.results_folder import BUNDLES, RESULTS, ResultsFolder
from harness.runner.run import new_id
from harness.runner.scenario import Scenario
from harness.runtime.docker import box, cleanup, engine, images
from harness.runtime.docker.containers import Mark
from harness.runtime.docker.ownership import Owner

NAME = "boxed"

_LIBRARY = "topologies"
_TOPOLOGY = "topology.toml"

# How the command line begins the one line that says what is wrong.
_ERROR = "ra-harness: "


@dataclass(frozen=True)
class Errand:
    """What a box is sent to do: a command's arguments, and the files that they name.

    ``definitions`` has each file's content by its path under
    :data:`harness.runtime.docker.box.DEFINITIONS`.
    """

    arguments: tuple[str, ...]
    definitions: Mapping[str, bytes]


def errand(context: click.Context) -> Errand:
    """Return the command of a context as it is to be given in a box.

    What the user left to its default is left to it there too: the box may have other cores.

    Raises:
        DefinitionError: a file that the command names cannot be read any more.
    """
    # The page is written here, from the bundles that come back.
    words = [str(context.info_name), "--runtime=namespaces", f"--out={box.RESULTS}", "--no-report"]
    definitions: dict[str, bytes] = {}
    for option in context.command.params:
        name = str(option.name)
        value = context.params[name]
        if context.get_parameter_source(name) is ParameterSource.DEFAULT:
            continue
        if name in ("runtime", "out", "report"):
            continue
        if name == "topologies":
            definitions.update(_library(value))
            value = f"{box.DEFINITIONS}/{_LIBRARY}"
        elif name == "topology_file":
            definitions[_TOPOLOGY] = _content(value)
            value = f"{box.DEFINITIONS}/{_TOPOLOGY}"
        values = value if option.multiple else [value]
        words += [f"{option.opts[0]}={each}" for each in values]
    return Errand(tuple(words), definitions)


def run(
    sent: Errand, scenarios: Sequence[Scenario], folder: ResultsFolder, progress: Progress
) -> Results:
    """Run the errand in a box; write the bundles and return the results.

    ``scenarios`` are those that the errand comes to. The box is gone at the end.

    Raises:
        MachineError: the engine, or the machine that it is on, cannot run them.
        RunError: the run in the box failed, or the results folder cannot be written any more.
    """
    started = datetime.now(UTC)
    begin = time.monotonic()
    mark = Mark(new_id(started), Owner.current())
    client = engine.connect()
    with box.engine_errors(RunError):
        try:
            cleanup.remove_orphans(client)
            images.ensure(client, [images.Role.BOX], progress.say)
            with box.opened(client, mark, sent.arguments, sent.definitions) as opened:
                results = _receive(opened, folder, progress)
        finally:
            cleanup.remove_run(client, mark.run)
            client.close()
    _check_same(results, scenarios)
    took = round(time.monotonic() - begin, 3)
    facts = {"id": mark.run, "started": started, "seconds": took, "runtime": NAME}
    return results.model_copy(update={"run": results.run.model_copy(update=facts)})


def unpack(archive: IO[bytes], folder: ResultsFolder) -> Results | None:
    """Write the bundles of an archived results folder; return its results, None if it has none.

    Raises:
        RunError: it is no results folder of ours, or it cannot be written here.
    """
    results = None
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for path, content in _files(tar):
                if path == PurePosixPath(RESULTS):
                    results = Results.model_validate_json(content.read())
                elif path.parts[0] == BUNDLES:
                    _write(folder.path / path, content)
    except (tarfile.TarError, ValidationError) as error:
        said = str(error).splitlines()[0]
        raise RunError(f"the results that the box made cannot be read: {said}") from error
    return results


# --- What goes in ---------------------------------------------------------------------------------


def _library(folder: Path) -> dict[str, bytes]:
    """Read every definition of a topologies folder, and nothing else that may lie there."""
    patterns = ("internet.toml", "devices/*.toml", f"{ARTICLE}/*.toml")
    return {
        f"{_LIBRARY}/{path.relative_to(folder).as_posix()}": _content(path)
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
    }


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error


# --- What comes out -------------------------------------------------------------------------------


def _receive(opened: box.Box, folder: ResultsFolder, progress: Progress) -> Results:
    complaints: list[str] = []

    def say(line: str) -> None:
        if line.startswith(_ERROR):
            # For the end: the command line says it, as it says its own.
            complaints.append(line.removeprefix(_ERROR))
        else:
            progress.say(line)

    status = opened.follow(say)
    archive = opened.results()
    if archive is not None:
        with archive:
            results = unpack(archive, folder)
        if results is not None and not complaints:
            return results
    said = complaints[-1] if complaints else f"the run in the box ended with status {status}"
    raise MachineError(said) if status == ExitCode.USAGE else RunError(said)


def _files(tar: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Yield each file with its path in the results folder; refuse what a run never makes."""
    top = box.RESULTS.lstrip("/")
    for member in tar:
        path = PurePosixPath(member.name)
        inside = path.parts[:1] == (top,) and ".." not in path.parts
        if not inside or not (member.isreg() or member.isdir()):
            raise RunError(f"the box made {member.name!r}, which is no file of a results folder")
        content = tar.extractfile(member)
        if content is not None:
            yield path.relative_to(top), content


def _write(path: Path, content: IO[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
    except OSError as error:
        raise RunError(f"{path} could not be written: {error.strerror}") from error


def _check_same(results: Results, scenarios: Sequence[Scenario]) -> None:
    ran = [result.id for result in results.scenarios]
    asked = [scenario.id for scenario in scenarios]
    if ran != asked:
        raise RunError(
            f"the box ran {len(ran)} scenarios that are not the {len(asked)} asked for: its image"
            " is not of this clone; remove it (make clean) and run again"
        )
