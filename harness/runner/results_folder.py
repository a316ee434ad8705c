"""The results folder: what a run may write there, and what it removes of an earlier run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.errors import OutputError, RunError
from harness.judge.model import Results
from harness.report.junit import write_junit
from harness.report.markdown import write_markdown
from harness.report.results_file import write_results
from harness.report.wording import is_finding
from harness.runner.evidence import CAPTURE
from harness.runner.ladders import drawn

RESULTS = "results.json"
JUNIT = "junit.xml"
SUMMARY = "summary.md"
REPORT = "report.html"
BUNDLES = "scenarios"
CARDS = "cards"

_FILES = (RESULTS, JUNIT, SUMMARY, REPORT)

# In the bundles' folder; a folder without it is somebody else's and is not touched.
_MARK = ".ra-harness"
_PROBE = ".ra-harness-probe"
# One bundle takes about 0.1 MB.
_PROBE_BYTES = 1 << 20


class ResultsFolder:
    """A folder that is known to be writable, without anything of an earlier run."""

    def __init__(self, path: Path) -> None:
        """Make the folder ready.

        Raises:
            OutputError: it cannot be written, has no room, or holds somebody else's files where
                ours would go.
        """
        self.path = path
        try:
            self._prepare()
        except OSError as error:
            where = error.filename or path
            raise OutputError(
                f"the results folder {path} cannot be written: {where}: {error.strerror}; "
                "choose another with --out (make: OUT=)"
            ) from error

    def bundle(self, scenario_id: str) -> str:
        """Return the path of a scenario's bundle, relative to the folder."""
        return f"{BUNDLES}/{scenario_id}"

    def write_results(self, results: Results) -> None:
        """Write what the run came to, for the harness and for CI.

        Raises:
            RunError: it cannot be written, though the folder could when the run began.
        """
        try:
            write_results(results, self.path / RESULTS)
            write_junit(results, self.path / JUNIT, self._ladders(results))
            write_markdown(results, self.path / SUMMARY)
        except OutputError as error:
            raise RunError(f"the run is over, but {error}") from error

    def write(self, name: str, content: bytes) -> None:
        """Write one file of a bundle, its path relative to the folder.

        Raises:
            RunError: it cannot be written, though it could when the run began.
        """
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise RunError(f"{path} could not be written: {error.strerror}") from error

    def _ladders(self, results: Results) -> dict[str, str]:
        """Draw the attempts of what somebody has to look at, where there is a capture of them."""
        bundles = {
            result.id: self.path / result.bundle
            for result in results.scenarios
            if is_finding(result) and result.observed is not None and result.bundle is not None
        }
        return {name: drawn(path) for name, path in bundles.items() if (path / CAPTURE).exists()}

    def _prepare(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        bundles = self.path / BUNDLES
        earlier = [self.path / name for name in (BUNDLES, CARDS, *_FILES)]
        found = [path for path in earlier if path.exists()]
        if found and not (bundles / _MARK).exists():
            raise OutputError(
                f"{found[0]} is not from an earlier run; choose another folder with --out "
                "(make: OUT=)"
            )
        if found:
            shutil.rmtree(bundles)
        if (self.path / CARDS).exists():
            shutil.rmtree(self.path / CARDS)
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        probe = self.path / _PROBE
        try:
            with probe.open("wb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
        bundles.mkdir()
        (bundles / _MARK).touch()
