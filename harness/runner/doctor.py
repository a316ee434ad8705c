"""What would stop each runtime on this machine, and gear; tried for real, with the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.errors import MachineError
from harness.lab import machine
from harness.runner.gear import check_programs
from harness.runtime.nics.examine import examined
from harness.runtime.world import sealed
from harness.topology.load import Library, default_folder


@dataclass(frozen=True)
class Finding:
    """What can be run, a runtime or ``gear``, and what stops it; None where nothing does."""

    what: str
    trouble: str | None


def examine() -> Iterator[Finding]:
    """Try what each runtime needs, the one that needs least first, and what real routers do."""
    checks: dict[str, Callable[[], None]] = {
        "namespaces": _try_namespaces,
        "docker": _try_docker,
        "boxed": _try_boxed,
        "gear": _try_gear,
    }
    for what, check in checks.items():
        try:
            check()
        except MachineError as error:
            yield Finding(what, str(error))
        else:
            yield Finding(what, None)


def _try_namespaces() -> None:
    library = Library(default_folder())
    machine.check_programs([library.from_chains((name,), ()) for name in library.devices])
    with sealed(machine.probe, lambda _: None):
        pass


def _try_docker() -> None:
    # The engine's library takes 0.2 s to import.
    from harness.runtime.docker import engine  # noqa: PLC0415

    client = engine.connect()
    engine.check_wireable(client)
    client.close()
    with sealed(machine.probe, lambda _: None):
        pass


def _try_boxed() -> None:
    from harness.runtime.docker import engine  # noqa: PLC0415

    engine.connect().close()


def _try_gear() -> None:
    check_programs(Library(default_folder()))
    # Of no NIC: whether this process may take any.
    examined((), move=False)
    _try_namespaces()
