"""A test that asks for what cannot be is told so in one line, and nothing is built."""

from __future__ import annotations

import pytest
from plugin_runs import run_test

pytest_plugins = ["pytester"]

TOPOLOGY = "@pytest.mark.topology"


CASES = [
    ("", "scenario('nat', 'nit', method='file')", "there is no device 'nit'; there are: "),
    ("", "scenario('nat', 'nat,icf', method='file')", "icf is on the host itself"),
    ("", "scenario(method='file')", "scenario() names no topology: say scenario("),
    ("", "scenario('nat')", "scenario(): method: nothing is named; there are: messenger, "),
    ("", "scenario('nat', method='fax')", "scenario(): method: 'fax' is none; there are: "),
    ("", "scenario(['nat'], method='file')", "scenario(): novice is a chain like "),
    ("", "scenario(file='no.toml', method='file')", "no.toml: No such file or directory"),
    (
        "",
        "scenario('nat', file='no.toml', method='file')",
        "scenario(): file says it all: leave novice, expert, proxy_client out",
    ),
    (
        "",
        "scenario('http-proxy', method='file', proxy_client='me')",
        "scenario(): proxy_client: 'me' is none; there are: novice, expert",
    ),
    ("", "lab(proxy_client='expert')", "proxy_client is set, and there is no proxy"),
    ("", "lab(file=3)", "lab(): file is a path, not 3"),
    ("", "invite('nat', inviter='me')", "invite(): inviter: 'me' is none; there are: novice"),
    ("", "lab()", "lab() names no topology: say lab("),
    ("", "invite('nit')", "there is no device 'nit'"),
    (f"{TOPOLOGY}(novise='nat')", "lab()", "got an unexpected keyword argument 'novise'"),
    (f"{TOPOLOGY}()", "lab()", "@pytest.mark.topology names neither novice, expert nor file"),
    (f"{TOPOLOGY}(novice=3)", "lab()", "@pytest.mark.topology: novice is a chain like "),
    ("@pytest.mark.method()", "lab('nat')", "@pytest.mark.method takes names: it has none"),
    (
        "@pytest.mark.method(name='file')",
        "lab('nat')",
        "@pytest.mark.method takes names: it has name='file'",
    ),
    (
        "@pytest.mark.runtime('cloud')",
        "lab('nat')",
        "@pytest.mark.runtime: 'cloud' is none; there are: namespaces, docker",
    ),
]
"""Marks, a call, and what the one line has to say."""


def test_each_misuse_is_one_line_without_a_traceback(pytester: pytest.Pytester) -> None:
    """All in one inner run: nothing is built, so they take no time."""
    source = "".join(
        f"{marks}\ndef test_it_{number}({call.partition('(')[0]}):\n    {call}\n\n"
        for number, (marks, call, _) in enumerate(CASES)
    )
    shown = failures(run_test(pytester, source, "--tb=long"))
    assert len(shown) == len(CASES)
    for number, (marks, call, said) in enumerate(CASES):
        (line,) = shown[f"test_it_{number}"]
        assert said in line, f"{marks} {call}"


def failures(ended: pytest.RunResult) -> dict[str, list[str]]:
    """The lines that are shown of each test that failed, by its name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in ended.outlines:
        if line.startswith("_"):
            lines = found.setdefault(line.strip("_ ").split()[-1], [])
        elif line.startswith("="):
            lines = []
        else:
            lines.append(line)
    return found


def test_a_runtime_that_does_not_exist_is_refused_at_once(pytester: pytest.Pytester) -> None:
    ended = run_test(pytester, "def test_it(): pass", "--ra-runtime=cloud")
    assert ended.ret is pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines(["*--ra-runtime: invalid choice: 'cloud'*"])


@pytest.mark.parametrize("file", ["here.toml", "deeper/../here.toml"])
def test_a_topology_file_is_looked_for_beside_the_test(
    pytester: pytest.Pytester, file: str
) -> None:
    """The file is found, so it is what is in it that is complained of."""
    inner = pytester.mkdir("inner")
    (inner / "deeper").mkdir()
    (inner / "here.toml").write_text('[novice]\nchain = ["nit"]\n', encoding="utf-8")
    source = f"def test_it(lab):\n    lab(file={file!r})\n"
    (inner / "test_it.py").write_text(source, encoding="utf-8")
    ended = run_test(pytester, "", "inner")
    ended.stdout.fnmatch_lines(["*here.toml: novice.chain: there is no device 'nit'*"])


def test_own_definitions_take_the_place_of_the_harness_s(pytester: pytest.Pytester) -> None:
    pytester.mkdir("mine")
    source = "def test_it(lab):\n    lab('nat')\n"
    ended = run_test(pytester, source, "--ra-topologies=mine")
    ended.stdout.fnmatch_lines(["*mine/internet.toml: No such file or directory"])
