"""Where nobody uses it, the plugin does nothing and costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from plugin_runs import run_test

pytest_plugins = ["pytester"]

# Written at the very end of the inner run.
IMPORTED = """
import json, sys
from pathlib import Path

def pytest_unconfigure():
    Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
"""

ALONE = "import json, sys, pytest\nbefore = set(sys.modules)\nimport harness.plugin\n"
NEW = "print(json.dumps(sorted(set(sys.modules) - before)))"


def test_a_run_that_does_not_use_it_imports_nothing_of_the_harness(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(IMPORTED)
    ended = run_test(pytester, "def test_it(): assert 1 == 1", "--fixtures-per-test")
    assert ended.ret == 0
    ended = run_test(pytester, "def test_it(): assert [1] != [2]")
    ended.assert_outcomes(passed=1)
    modules = json.loads((pytester.path / "modules.json").read_text(encoding="utf-8"))
    ours = {name for name in modules if name.partition(".")[0] == "harness"}
    assert ours == {"harness", "harness.plugin"}


def test_the_plugin_s_module_brings_no_other_with_it() -> None:
    """So what it costs pytest at its start is one small file: about 2 ms."""
    shown = subprocess.run(
        [sys.executable, "-c", ALONE + NEW], capture_output=True, text=True, check=True
    )
    assert json.loads(shown.stdout) == ["harness", "harness.plugin"]


def test_a_project_s_own_markers_and_fixtures_of_these_names_are_left_alone(
    pytester: pytest.Pytester,
) -> None:
    source = """
@pytest.fixture
def lab():
    return "my own"

@pytest.mark.topology("anything", other=1)
@pytest.mark.method("one", "two")
@pytest.mark.runtime(3, 4)
def test_it(lab):
    assert lab == "my own"
"""
    run_test(pytester, source, "--strict-markers").assert_outcomes(passed=1)


def test_markers_and_options_are_listed_with_what_they_do(pytester: pytest.Pytester) -> None:
    shown = run_test(pytester, "", "--markers")
    shown.stdout.fnmatch_lines(
        ["@pytest.mark.topology(*", "@pytest.mark.method(*", "@pytest.mark.runtime(*"]
    )
    shown = run_test(pytester, "", "--help")
    shown.stdout.fnmatch_lines(["*--ra-runtime=*", "*--ra-topologies=DIR*", "*--ra-out=DIR*"])


def test_several_methods_and_runtimes_make_a_test_each(pytester: pytest.Pytester) -> None:
    source = """
@pytest.mark.method("messenger", "email", "file")
@pytest.mark.runtime("namespaces", "docker")
def test_it(scenario):
    pass

@pytest.mark.method("file")
def test_one(scenario):
    pass
"""
    ended = run_test(pytester, source, "--collect-only", "-q")
    collected = {line.partition("::")[2] for line in ended.outlines if "::" in line}
    assert collected == {
        "test_one",
        *(
            f"test_it[{method}-{runtime}]"
            for method in ("messenger", "email", "file")
            for runtime in ("namespaces", "docker")
        ),
    }
