"""What a wheel of the project has: all that the installed program reads beside its modules."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

PROJECT = Path(__file__).resolve().parents[2]
WRITE = """
import sys
from pathlib import Path
from factories import article, results
from harness.judge.changes import compare
from harness.report.html import write_changes, write_report
from harness.topology.load import Library, default_folder
import harness
assert Path(harness.__file__).is_relative_to(sys.argv[1]), harness.__file__
assert default_folder().is_relative_to(sys.argv[1]), default_folder()
assert Library(default_folder()).devices
run = results(*article())
write_report(run, {}, Path(sys.argv[1], "report.html"))
write_changes(compare(run, run), Path(sys.argv[1], "changes.html"))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(PROJECT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize(
    ("source", "pattern", "place"),
    [
        ("harness/report/html", "*.j2", "harness/report/html"),
        ("harness/report/html", "*.css", "harness/report/html"),
        ("harness/report/html", "*.js", "harness/report/html"),
        ("harness/kb", "*.toml", "harness/kb"),
        ("topologies", "**/*.toml", "harness/topologies"),
    ],
)
def test_the_wheel_has_every_file_that_is_read(
    unpacked: Path, source: str, pattern: str, place: str
) -> None:
    folder = PROJECT / source
    wanted = {path.relative_to(folder) for path in folder.glob(pattern)}
    assert wanted
    assert wanted == {
        path.relative_to(unpacked / place) for path in (unpacked / place).glob(pattern)
    }


def test_what_the_wheel_installs_writes_both_pages(unpacked: Path) -> None:
    path = f"import sys; sys.path[:0] = {[str(unpacked), str(PROJECT / 'tests/unit')]!r}\n"
    subprocess.run([sys.executable, "-c", path + WRITE, str(unpacked)], check=True, timeout=60)
    for name in ("report.html", "changes.html"):
        assert (unpacked / name).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
