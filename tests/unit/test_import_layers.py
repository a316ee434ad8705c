"""Imports run downward only, and the check that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sysconfig.get_path("scripts"), "lint-imports")

LAYERS = "imports only run downward"
PURE = "the pure core opens no sockets and starts no programs"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package in ``folder`` against the contracts in its pyproject.toml."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package and of its contracts."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "harness", tmp_path / "harness", ignore=ignore)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_package_keeps_its_contracts() -> None:
    done = lint_imports(PROJECT)
    assert done.returncode == 0, done.stdout
    assert f"{LAYERS} KEPT" in done.stdout
    assert f"{PURE} KEPT" in done.stdout


def test_a_copy_of_the_package_keeps_them_too(copy: Path) -> None:
    """So that what fails below fails for what was added to it."""
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("protocol/tpkt.py", "harness.runner.run", LAYERS),
        ("protocol/tpkt.py", "harness.nodes.program", LAYERS),
        ("runtime/stack.py", "harness.topology.model", LAYERS),
        ("nodes/program.py", "harness.runtime.pool", LAYERS),
        ("words.py", "harness.errors", LAYERS),
        ("topology/model.py", "socket", PURE),
        ("protocol/tpkt.py", "asyncio", PURE),
        ("judge/verdict.py", "subprocess", PURE),
        ("kb/claims.py", "pyroute2", PURE),
    ],
)
def test_an_import_that_breaks_a_contract_is_named(
    copy: Path, module: str, imported: str, contract: str
) -> None:
    with (copy / "harness" / module).open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout
    importer = "harness." + module.removesuffix(".py").replace("/", ".")
    report = " ".join(done.stdout.split())
    assert f"{importer} -> {imported}" in report


def test_a_new_package_has_to_be_given_its_layer(copy: Path) -> None:
    (copy / "harness" / "extra").mkdir()
    (copy / "harness" / "extra" / "__init__.py").touch()
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "extra" in done.stdout
