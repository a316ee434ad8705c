"""The pytest plugin: fixtures ``lab``, ``scenario`` and ``invite`` (docs/pytest.md).

pytest loads this module in every run, so it imports nothing of the harness: what a test needs is
imported when the first test asks for one of the fixtures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.plugin.desk import Desk
    from harness.plugin.steps import Invitation, Lab, Outcome

_DESK = pytest.StashKey["Desk"]()

RUNTIMES = ("namespaces", "docker")
"""What a lab's nodes may be made of here; the first where nobody says."""

_MARKERS = (
    'topology(novice="direct", expert="direct", file=None, proxy_client=()): what lab, scenario '
    "and invite build: chains of devices, host outward, or a TOML file beside the test",
    "method(name, ...): how the invitation travels: messenger, email or file; several make a test "
    "each",
    "runtime(name, ...): what the lab's nodes are made of: namespaces or docker; several make a "
    "test each",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all of which begin with ``--ra-``."""
    group = parser.getgroup("ra-harness", "Remote Assistance labs")
    group.addoption(
        "--ra-runtime",
        choices=RUNTIMES,
        default=RUNTIMES[0],
        help="What a lab's nodes are made of where a test does not say (default: %(default)s).",
    )
    group.addoption(
        "--ra-topologies",
        type=Path,
        metavar="DIR",
        help="Folder with devices/*.toml and internet.toml instead of the harness's own.",
    )
    group.addoption(
        "--ra-out",
        type=Path,
        metavar="DIR",
        help="Keep every test's evidence in this folder (default: pytest's temporary folder).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each method and each runtime, where a marker names several."""
    for fixture, marker in (("_ra_method", "method"), ("_ra_runtime", "runtime")):
        mark = metafunc.definition.get_closest_marker(marker)
        if fixture in metafunc.fixturenames and mark is not None and len(mark.args) > 1:
            metafunc.parametrize(fixture, mark.args, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed test's report what the packets did, and where the evidence is."""
    report = yield
    desk = item.stash.get(_DESK, None)
    if desk is not None:
        report.sections.extend(desk.sections(report))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say why an answer is not the one that a test asserts."""
    steps = sys.modules.get("harness.plugin.steps")
    if steps is None or not isinstance(left, steps.Said):
        return None
    return [f"{left!r} {op} {right!r}", left.why]


@pytest.fixture
def lab(_ra_desk: Desk) -> Callable[..., Lab]:
    """Build a lab: ``lab("nat", "direct")``, or ``lab()`` where a marker names the topology."""
    return _ra_desk.lab


@pytest.fixture
def scenario(_ra_desk: Desk) -> Callable[..., Outcome]:
    """Run one method end to end in a new lab: ``scenario("nat", "direct", method="file")``."""
    return _ra_desk.scenario


@pytest.fixture
def invite(_ra_desk: Desk) -> Callable[..., Invitation]:
    """Make an invitation in a new lab, to be carried and dialled step by step."""
    return _ra_desk.invite


@pytest.fixture
def _ra_method(request: pytest.FixtureRequest) -> str | None:
    """The method that the test's marker names."""
    method: str | None = _named(request, "method")
    return method


@pytest.fixture
def _ra_runtime(request: pytest.FixtureRequest) -> str:
    """The runtime that the test's marker names, else the option's."""
    runtime: str = request.config.getoption("--ra-runtime")
    return _named(request, "runtime") or runtime


@pytest.fixture
def _ra_desk(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _ra_method: str | None,
    _ra_runtime: str,
) -> Iterator[Desk]:
    """What one test asks for and gets; its labs end with it."""
    from harness.plugin.asked import Defaults  # noqa: PLC0415
    from harness.plugin.desk import Desk  # noqa: PLC0415

    desk = Desk(request.node, Defaults.of(request, _ra_method, _ra_runtime), tmp_path_factory)
    request.node.stash[_DESK] = desk
    yield desk
    desk.close()


def _named(request: pytest.FixtureRequest, marker: str) -> Any:
    """Return what a marker names: of several the one that this test was made for."""
    if hasattr(request, "param"):
        return request.param
    mark = request.node.get_closest_marker(marker)
    if mark is None:
        return None
    if len(mark.args) != 1 or mark.kwargs:
        pytest.fail(f"@pytest.mark.{marker} takes names: it has {_shown(mark)}", pytrace=False)
    return mark.args[0]


def _shown(mark: pytest.Mark) -> str:
    words = [*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())]
    return ", ".join(words) or "none"
