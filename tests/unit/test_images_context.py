"""What goes into an image, and that its name changes with it."""

from __future__ import annotations

import re
import shutil
import tarfile
import tomllib
from importlib.metadata import requires
from io import BytesIO
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.errors import MachineError
from harness.runtime.docker import images_context
from harness.runtime.docker.images_context import (
    RECIPES,
    ROOT,
    Role,
    pins,
    revision,
    tag,
    write_context,
)

IMAGE_ENVIRONMENT = {"python_version": "3.11", "python_full_version": "3.11.2", "extra": ""}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of all that images are made from."""
    root = tmp_path / "clone"
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("harness", "images", "topologies", ".ci"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, root)
    return root


def revisions(root: Path) -> dict[Role, str]:
    return {role: revision(role, root) for role in Role}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def needed_by(names: list[str]) -> set[str]:
    """All packages that these need in an image, themselves included."""
    found: set[str] = set()
    todo = [Requirement(name) for name in names]
    while todo:
        name = canonicalize_name(todo.pop().name)
        if name in found:
            continue
        found.add(name)
        wanted = [Requirement(line) for line in requires(name) or ()]
        todo += [
            each
            for each in wanted
            if each.marker is None or each.marker.evaluate(IMAGE_ENVIRONMENT)
        ]
    return found


def context(role: Role, root: Path, architecture: str = "amd64") -> bytes:
    target = BytesIO()
    write_context(role, architecture, target, root)
    return target.getvalue()


def members(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        return {entry.name: entry for entry in archive}


# --- The name -------------------------------------------------------------------------------------


def test_a_name_says_the_role_and_twelve_digits_of_the_revision() -> None:
    assert re.fullmatch(r"ra-harness/gateway-upnp:[0-9a-f]{12}", tag(Role.GATEWAY_UPNP))


def test_equal_clones_have_equal_revisions_wherever_they_are(clone: Path) -> None:
    assert revisions(clone) == revisions(ROOT)


def test_bytecode_is_no_input(clone: Path) -> None:
    before = revisions(clone)
    folder = clone / "harness" / "nodes" / "__pycache__"
    folder.mkdir()
    (folder / "novice.cpython-311.pyc").write_bytes(b"\0")
    assert revisions(clone) == before


ALL = set(Role)
PROGRAMS = {Role.ENDPOINT, Role.SERVICES, Role.BOX}
GATEWAYS = {Role.GATEWAY, Role.GATEWAY_UPNP, Role.INTERNET}


@pytest.mark.parametrize(
    ("file", "addition", "changed"),
    [
        ("images/base/Dockerfile", "# more\n", ALL),
        ("images/gateway/Dockerfile", "# more\n", GATEWAYS),
        ("images/proxy/Dockerfile", "# more\n", {Role.PROXY}),
        ("harness/nodes/init.py", "# more\n", ALL),
        ("harness/nodes/relay.py", "# more\n", PROGRAMS),
        ("harness/protocol/stun.py", "# more\n", PROGRAMS),
        ("harness/judge/verdict.py", "# more\n", {Role.BOX}),
        ("topologies/internet.toml", "# more\n", {Role.BOX}),
        ("README.md", "more\n", {Role.BOX}),
    ],
)
def test_a_revision_changes_with_what_goes_into_the_image_and_with_nothing_else(
    clone: Path, file: str, addition: str, changed: set[Role]
) -> None:
    before = revisions(clone)
    append(clone / file, addition)
    after = revisions(clone)
    assert {role for role in Role if before[role] != after[role]} == changed


@pytest.mark.parametrize(
    ("package", "changed"),
    [
        ("miniupnpc", set()),
        ("Twisted", {Role.SERVICES, Role.BOX}),
        ("rich", {Role.BOX}),
        ("ruff", set()),
    ],
)
def test_a_pin_changes_the_images_that_have_the_package(
    clone: Path, package: str, changed: set[Role]
) -> None:
    before = revisions(clone)
    constraints = clone / ".ci" / "constraints.txt"
    lines = constraints.read_text().splitlines()
    assert [line for line in lines if line.startswith(f"{package}==")]
    moved = [f"{line}.1" if line.startswith(f"{package}==") else line for line in lines]
    constraints.write_text("\n".join(moved) + "\n")
    after = revisions(clone)
    assert {role for role in Role if before[role] != after[role]} == changed


def test_a_new_version_of_the_project_changes_every_image(clone: Path) -> None:
    before = revisions(clone)
    project = clone / "pyproject.toml"
    project.write_text(re.sub(r'\nversion = ".*"', '\nversion = "99.1"', project.read_text()))
    after = revisions(clone)
    assert all(before[role] != after[role] for role in Role)


def test_a_file_under_another_name_is_another_input(clone: Path) -> None:
    before = revision(Role.ENDPOINT, clone)
    (clone / "harness" / "nodes" / "post.py").rename(clone / "harness" / "nodes" / "mailman.py")
    assert revision(Role.ENDPOINT, clone) != before


def test_an_installation_without_a_clone_is_told_so(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with pytest.raises(MachineError, match=r"Dockerfile is missing: images are built from a clone"):
        revision(Role.BASE, tmp_path)


def test_parents_come_before_what_is_built_on_them() -> None:
    order = list(Role)
    assert set(RECIPES) == set(order)
    for role, recipe in RECIPES.items():
        assert recipe.parent is None or order.index(recipe.parent) < order.index(role)


# --- Python packages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        (Role.SERVICES, ["twisted"]),
        (
            Role.BOX,
            tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"],
        ),
    ],
)
def test_an_image_lists_every_package_that_its_programs_need_and_no_other(
    role: Role, wanted: list[str]
) -> None:
    listed = {canonicalize_name(pin.partition("==")[0]) for pin in pins(role, ROOT)}
    assert listed == needed_by(wanted)


def test_only_these_images_have_python_packages() -> None:
    having = {role for role in Role if pins(role, ROOT)}
    assert having == {Role.SERVICES, Role.BOX}


def test_a_package_without_a_pinned_version_is_named(clone: Path) -> None:
    append(clone / "images" / "services" / "requirements.txt", "left-pad\n")
    with pytest.raises(MachineError, match=r"left-pad has no version in \.ci/"):
        pins(Role.SERVICES, clone)


# --- The context ----------------------------------------------------------------------------------


def test_a_context_holds_what_the_role_needs_and_no_more() -> None:
    files = {name for name, entry in members(context(Role.BASE, ROOT)).items() if entry.isfile()}
    assert files == {
        "Dockerfile",
        "opt/harness/__init__.py",
        "opt/harness/nodes/__init__.py",
        "opt/harness/nodes/init.py",
    }
    assert set(members(context(Role.GATEWAY, ROOT))) == {"Dockerfile", "opt"}


def test_a_context_names_its_folders_so_that_others_than_root_may_enter_them() -> None:
    found = members(context(Role.BASE, ROOT))
    assert {name for name, entry in found.items() if entry.isdir()} == {
        "opt",
        "opt/harness",
        "opt/harness/nodes",
    }
    for entry in found.values():
        assert entry.mode == (0o755 if entry.isdir() else 0o644)


def test_the_same_inputs_make_the_same_archive_whenever_they_were_written(clone: Path) -> None:
    first = context(Role.BASE, clone)
    (clone / "harness" / "nodes" / "init.py").touch()
    assert context(Role.BASE, clone) == first


def test_an_architecture_that_nobody_makes_wheels_for_is_refused() -> None:
    with pytest.raises(MachineError, match="runs on riscv64, images are made for amd64 and arm64"):
        context(Role.SERVICES, ROOT, "riscv64")


def test_what_pip_cannot_bring_is_said_in_one_line(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_NO_CACHE_DIR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(clone))
    with pytest.raises(MachineError) as refused:
        context(Role.SERVICES, clone)
    assert "\n" not in str(refused.value)
    assert "Python packages of image services: ERROR:" in str(refused.value)
    assert pins(Role.SERVICES, clone)[0] in str(refused.value)


def test_tests_scripts_and_the_name_of_the_build_folder_stay_out() -> None:
    left_out = images_context._LEFT_OUT.search
    for name in (
        "twisted/test/test_tcp.py",
        "twisted/mail/test/test_pop3.py",
        "zope/interface/tests/__init__.py",
        "bin/twistd",
        "ra_harness-0.1.0.dist-info/direct_url.json",
    ):
        assert left_out(name), name
    for name in ("testinfra/host.py", "harness/nodes/latest.py", "twisted-1.dist-info/METADATA"):
        assert not left_out(name), name
