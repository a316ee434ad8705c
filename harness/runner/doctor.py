"""What would stop each runtime on this machine, tried for real, with the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.errors import MachineError
from harness.lab import machine
from harness.runtime.world import sealed
from harness.topology.load import Library, default_folder


@dataclass(frozen=True)
class Finding:
    """A runtime, and what stops it; None where nothing does."""

    runtime: str
    trouble: str | None


def examine() -> Iterator[Finding]:
    """Try what each runtime needs, the one that needs least first."""
    checks: dict[str, Callable[[], None]] = {
        "namespaces": _try_namespaces,
        "docker": _try_docker,
        "boxed": _try_boxed,
    }
    for runtime, check in checks.items():
        try:
            check()
        except MachineError as error:
            yield Finding(runtime, str(error))
        else:
            yield Finding(runtime, None)


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
