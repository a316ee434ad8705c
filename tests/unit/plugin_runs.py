"""Inner runs of pytest with the plugin."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

DEADLINE = 100

# Where the plugin is installed pytest loads it by itself, and refuses to load it twice.
_INSTALLED = any(each.value == "harness.plugin" for each in entry_points(group="pytest11"))
ARGUMENTS = () if _INSTALLED else ("-p", "harness.plugin")


def run(pytester: pytest.Pytester, *arguments: str, ci: bool = False) -> pytest.RunResult:
    """Run pytest in a process of its own on what was made in its folder; not as in CI."""
    with pytest.MonkeyPatch.context() as patch:
        if ci:
            patch.setenv("CI", "true")
        else:
            patch.delenv("CI", raising=False)
        return pytester.runpytest_subprocess(*ARGUMENTS, *arguments, timeout=DEADLINE)


def run_test(
    pytester: pytest.Pytester, source: str, *arguments: str, ci: bool = False
) -> pytest.RunResult:
    """Run one test file."""
    pytester.makepyfile(test_it=f"import pytest\n\n{source}")
    return run(pytester, *arguments, ci=ci)
