"""A machine that cannot run a runtime: the test is skipped, and where CI is set it fails."""

from __future__ import annotations

import pytest
from plugin_runs import run_test

pytest_plugins = ["pytester"]

NO_ENGINE = "unix:///nowhere/docker.sock"
WHY = "no Docker engine answers at unix:///nowhere/docker.sock (No such file or directory)"
REMEDY = "start it, or unset DOCKER_HOST"

MARKED = """
@pytest.mark.runtime("docker")
def test_it({fixture}):
    {fixture}("nat", "direct", method="file")
"""
PLAIN = """
def test_it({fixture}):
    {fixture}("nat", "direct", method="file")
"""
FIXTURES = ("scenario", "lab", "invite")


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_it_is_skipped_with_the_reason_and_the_remedy(
    pytester: pytest.Pytester, fixture: str
) -> None:
    ended = run_test(pytester, MARKED.format(fixture=fixture), "-rs")
    ended.assert_outcomes(skipped=1)
    (line,) = (line for line in ended.outlines if line.startswith("SKIPPED"))
    assert WHY in line
    assert REMEDY in line
    assert "test_it.py:" in line, "the test's own line is named, not the plugin's"


@pytest.mark.parametrize("fixture", FIXTURES)
def test_it_is_a_failure_where_ci_is_set(pytester: pytest.Pytester, fixture: str) -> None:
    ended = run_test(pytester, MARKED.format(fixture=fixture), ci=True)
    ended.assert_outcomes(failed=1)
    ended.stdout.fnmatch_lines([f"*{WHY}*"])


def test_the_option_chooses_where_no_marker_does(pytester: pytest.Pytester) -> None:
    ended = run_test(pytester, PLAIN.format(fixture="lab"), "--ra-runtime=docker")
    ended.assert_outcomes(skipped=1)


def test_the_marker_outranks_the_option(pytester: pytest.Pytester) -> None:
    ended = run_test(pytester, MARKED.format(fixture="lab"), "--ra-runtime=namespaces")
    ended.assert_outcomes(skipped=1)
