"""The images as the engine builds them.

What builds and removes is tried on a copy of the clone whose images are small and its own, so that
it never touches the images that others use.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.bootstrap import Administrator
from harness.runtime.docker import base, images
from harness.runtime.docker.images import CLONE_LABEL, IMAGE_LABEL, Role, tag
from harness.runtime.docker.images_context import ROOT, pins, project_version
from harness.runtime.docker.ownership import OWNER_LABEL, Owner

# On an engine that has none of them, the first test builds all images.
pytestmark = pytest.mark.timeout(900)

THIS_USER = Administrator(root=os.geteuid() == 0, terminal=False)
DEADLINE = 60.0

SMALL_BASE = """\
ARG DEBIAN=debian:bookworm-slim
FROM ${DEBIAN}
ARG OWNER
LABEL dev.ra-harness.owner="${OWNER}"
CMD ["true"]
"""
SMALL_CHILD = """\
ARG PARENT
FROM ${PARENT}
ARG OWNER
LABEL dev.ra-harness.owner="${OWNER}"
"""
HANGS = SMALL_CHILD + "RUN touch /begun\nRUN tail -f /dev/null\n"
FAILS = SMALL_CHILD + "RUN echo 'E: this cannot work' >&2; echo more; exit 100\n"

ENSURE = """
import sys, docker
from harness.runtime.docker.images import Role, ensure
ensure(docker.from_env(), [Role(sys.argv[1])], lambda line: print(line, flush=True))
"""
ENSURE_AND_STAY = ENSURE + "print('there', flush=True); sys.stdin.read()\n"
REMOVE = """
import json, docker
from harness.runtime.docker.images import remove_all
print(json.dumps(remove_all(docker.from_env())))
"""


SAY_OWNER = """
from harness.runtime.docker.ownership import Owner
print(Owner.current().text())
"""


@pytest.fixture(scope="session")
def built(engine: DockerClient) -> DockerClient:
    """The engine, with every image of this clone."""
    images.ensure(engine, list(Role), print)
    # The copies of the clone begin with it, and none of them shall have to make it.
    base.provide(engine, THIS_USER, images._labels("debian"), print)
    return engine


class Clone:
    """A copy of the clone, with images of its own that are built in a second."""

    def __init__(self, root: Path, engine: DockerClient) -> None:
        self.root = root
        self.engine = engine
        ignored = shutil.ignore_patterns("__pycache__")
        for folder in ("harness", "images", ".ci"):
            shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        self.dockerfile(Role.BASE, f"{SMALL_BASE}LABEL test={uuid.uuid4()}\n")
        for role in (Role.GATEWAY, Role.PROXY):
            self.dockerfile(role, SMALL_CHILD)

    def dockerfile(self, role: Role, text: str) -> None:
        (self.root / "images" / role / "Dockerfile").write_text(text)

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=self.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *arguments: str) -> str:
        with self.start(script, *arguments) as process:
            output, errors = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, errors
            return output

    def ensure(self, role: Role) -> list[str]:
        return self.run(ENSURE, role).splitlines()

    def remove_all(self) -> list[str]:
        removed: list[str] = json.loads(self.run(REMOVE))
        return removed

    @property
    def label(self) -> str:
        script = "from harness.runtime.docker import images; print(images._clone())"
        return f"{CLONE_LABEL}={self.run(script).strip()}"

    def images(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.engine.api.images(filters={"label": [self.label]})
        return found

    def names(self) -> list[str]:
        return [name for image in self.images() for name in image["RepoTags"] or ()]


@pytest.fixture
def clone(built: DockerClient, tmp_path: Path) -> Iterator[Clone]:
    copy = Clone(tmp_path / "clone", built)
    yield copy
    copy.remove_all()
    assert copy.images() == []


def inside(engine: DockerClient, role: Role, *command: str, **options: object) -> str:
    """Run a command in an image in place of its own program; return what it wrote."""
    output: bytes = engine.containers.run(
        tag(role),
        entrypoint=list(command[:1]),
        command=list(command[1:]),
        network_mode="none",
        read_only=True,
        remove=True,
        stderr=True,
        **options,
    )
    return output.decode()


def programs(engine: DockerClient, role: Role, *names: str) -> set[str]:
    """Return those of the programs that an image has."""
    script = 'for name; do command -v "$name" > /dev/null && echo "$name"; done; true'
    return set(inside(engine, role, "sh", "-c", script, "sh", *names).split())


def wait_until(condition: Any) -> None:
    Retrying(
        retry=retry_if_result(lambda reached: not reached),
        stop=stop_after_delay(DEADLINE),
        wait=wait_fixed(0.05),
    )(condition)


# --- What is in them ------------------------------------------------------------------------------

DAEMONS = {"nft", "ip", "ss", "miniupnpd", "tinyproxy", "microsocks"}


@pytest.mark.parametrize(
    ("role", "has"),
    [
        (Role.BASE, set()),
        (Role.ENDPOINT, set()),
        (Role.SERVICES, set()),
        (Role.GATEWAY, {"nft", "ip", "ss"}),
        (Role.GATEWAY_UPNP, {"nft", "ip", "ss", "miniupnpd"}),
        (Role.PROXY, {"ip", "ss", "tinyproxy", "microsocks"}),
        (Role.INTERNET, {"nft", "ip", "ss"}),
        (Role.BOX, DAEMONS),
    ],
)
def test_an_image_has_the_daemons_of_its_role_and_no_other(
    built: DockerClient, role: Role, has: set[str]
) -> None:
    assert programs(built, role, *DAEMONS) == has


@pytest.mark.parametrize("role", list(Role))
def test_no_image_has_a_compiler_a_package_index_client_or_a_way_to_download(
    built: DockerClient, role: Role
) -> None:
    unwanted = ("cc", "gcc", "g++", "make", "pip", "pip3", "perldoc", "curl", "wget", "sudo")
    assert programs(built, role, *unwanted) == set()
    search = "import importlib.util; print(importlib.util.find_spec('pip'))"
    assert inside(built, role, "python3", "-c", search) == "None\n"


@pytest.mark.parametrize("role", list(Role))
def test_no_image_keeps_what_apt_downloaded(built: DockerClient, role: Role) -> None:
    script = "find /var/lib/apt/lists /var/cache/apt -type f -size +0"
    assert inside(built, role, "sh", "-c", script) == ""


@pytest.mark.parametrize("role", list(Role))
def test_the_first_process_starts_without_debians_own_python_packages(
    built: DockerClient, role: Role
) -> None:
    program = "import harness.nodes.init as init; print(init.__cached__)"
    where = inside(built, role, "python3", "-S", "-c", program).strip()
    assert where == "/opt/ra-harness/harness/nodes/__pycache__/init.cpython-311.pyc"


@pytest.mark.parametrize(
    ("role", "modules"),
    [(Role.ENDPOINT, "novice expert stranger"), (Role.SERVICES, "reflector relay mail")],
)
def test_node_programs_load_from_bytecode_on_a_read_only_root(
    built: DockerClient, role: Role, modules: str
) -> None:
    names = [f"harness.nodes.{name}" for name in modules.split()]
    program = (
        f"import sys, os, {', '.join(names)}\n"
        "for module in list(sys.modules.values()):\n"
        "    cached = getattr(module, '__cached__', None)\n"
        "    if cached and not os.path.exists(cached): print(module.__name__)"
    )
    assert inside(built, role, "python3", "-S", "-c", program) == ""


def test_an_endpoint_lacks_what_only_the_mail_server_needs(built: DockerClient) -> None:
    search = "import importlib.util; print(importlib.util.find_spec('twisted'))"
    assert inside(built, Role.ENDPOINT, "python3", "-S", "-c", search) == "None\n"


@pytest.mark.parametrize("role", [Role.SERVICES, Role.BOX])
def test_python_packages_have_the_pinned_versions(built: DockerClient, role: Role) -> None:
    program = (
        "import sys; from importlib.metadata import version\n"
        "for pin in sys.argv[1:]: assert version(pin.split('==')[0]) == pin.split('==')[1], pin"
    )
    assert inside(built, role, "python3", "-c", program, *pins(role, ROOT)) == ""


def test_images_arguments_are_modules_that_the_first_process_can_import(
    built: DockerClient,
) -> None:
    for role in (Role.ENDPOINT, Role.SERVICES):
        config = built.images.get(tag(role)).attrs["Config"]
        assert config["Entrypoint"] == ["python3", "-S", "-m", "harness.nodes.init"]
        for module in config["Cmd"]:
            assert (ROOT / "harness" / "nodes" / f"{module}.py").exists()


def test_the_box_shows_its_help_without_any_right(built: DockerClient) -> None:
    output = built.containers.run(
        tag(Role.BOX), ["--help"], network_mode="none", cap_drop=["ALL"], remove=True
    )
    assert b"Run the connection scenarios" in output


def test_the_box_runs_scenarios_in_namespaces(built: DockerClient) -> None:
    """With the rights that its README names and no network."""
    output = built.containers.run(
        tag(Role.BOX),
        ["run", "--novice", "upnp-nat", "--expert", "nat", "--out", "/tmp/results"],
        network_mode="none",
        cap_add=["SYS_ADMIN", "NET_ADMIN"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        remove=True,
        stderr=True,
    )
    assert b"3 of 3 as predicted" in output


# --- Their labels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_an_image_says_what_it_is_and_where_it_is_from(built: DockerClient, role: Role) -> None:
    labels = built.images.get(tag(role)).labels
    assert labels[IMAGE_LABEL] == role
    assert labels["org.opencontainers.image.title"] == f"ra-harness {role}"
    assert labels["org.opencontainers.image.version"] == project_version(ROOT)
    assert labels["org.opencontainers.image.revision"] == tag(role).partition(":")[2]
    assert len(labels[CLONE_LABEL]) == 16
    Owner.read(labels[OWNER_LABEL])


@pytest.mark.parametrize("role", list(Role))
def test_a_dockerfile_names_the_owner_before_anything_that_can_be_interrupted(role: Role) -> None:
    lines = (ROOT / "images" / role / "Dockerfile").read_text().splitlines()
    steps = [line.split()[0] for line in lines if line and line[0].isupper()]
    assert steps[:4] == ["ARG", "FROM", "ARG", "LABEL"]
    assert 'LABEL dev.ra-harness.owner="${OWNER}" \\' in lines


# --- Building and removing ------------------------------------------------------------------------


def test_what_is_missing_is_built_once_parents_first(clone: Clone) -> None:
    lines = clone.ensure(Role.GATEWAY)
    assert [line.split(":")[0] for line in lines] == [
        "Built the image ra-harness/base",
        "Built the image ra-harness/gateway",
    ]
    assert clone.ensure(Role.GATEWAY) == []
    assert sorted(name.split(":")[0] for name in clone.names()) == [
        "ra-harness/base",
        "ra-harness/gateway",
    ]


def test_a_changed_input_builds_a_new_image_beside_the_old(clone: Clone) -> None:
    clone.ensure(Role.GATEWAY)
    clone.dockerfile(Role.GATEWAY, SMALL_CHILD + "LABEL more=yes\n")
    (line,) = clone.ensure(Role.GATEWAY)
    assert line.startswith("Built the image ra-harness/gateway:")
    assert len(clone.names()) == 3


def test_two_builds_at_once_in_one_clone_do_the_work_once(clone: Clone) -> None:
    with clone.start(ENSURE, Role.GATEWAY) as one, clone.start(ENSURE, Role.GATEWAY) as other:
        said = one.communicate(timeout=DEADLINE)[0] + other.communicate(timeout=DEADLINE)[0]
        assert (one.returncode, other.returncode) == (0, 0)
    assert len(said.splitlines()) == 2


def test_removing_takes_this_clones_images_and_no_others(clone: Clone) -> None:
    clone.ensure(Role.GATEWAY)
    removed = clone.remove_all()
    assert [name.split(":")[0] for name in removed] == ["ra-harness/gateway", "ra-harness/base"]
    assert clone.images() == []
    for role in Role:
        assert clone.engine.images.get(tag(role))


def test_removing_leaves_an_image_that_a_container_uses(clone: Clone) -> None:
    clone.ensure(Role.GATEWAY)
    (name,) = [name for name in clone.names() if "gateway" in name]
    container = clone.engine.containers.create(name, network_mode="none")
    try:
        assert name not in clone.remove_all()
        assert name in clone.names()
    finally:
        container.remove()
    assert name in clone.remove_all()


def test_the_debian_made_here_stays_while_any_clones_image_is_built_on_it(clone: Clone) -> None:
    if base.provide(clone.engine, THIS_USER, {}, print) != base.OWN:
        pytest.skip(f"the engine has {base.PUBLISHED}, so none was made: docker rmi it for this")
    clone.ensure(Role.GATEWAY)
    own = set(clone.names())
    found = clone.engine.api.images(filters={"label": [IMAGE_LABEL]})
    every = {name for image in found for name in image["RepoTags"] or ()}
    assert not images._debian_is_of_no_use(clone.engine, every - own)
    assert images._debian_is_of_no_use(clone.engine, every)


@pytest.mark.parametrize("there_before", [False, True])
def test_removing_leaves_the_images_of_a_process_that_still_runs(
    clone: Clone, there_before: bool
) -> None:
    if there_before:
        clone.ensure(Role.GATEWAY)
    with clone.start(ENSURE_AND_STAY, Role.GATEWAY) as builder:
        assert builder.stdout
        while builder.stdout.readline() not in {"there\n", ""}:
            pass
        assert builder.poll() is None
        assert clone.remove_all() == []
        builder.communicate("", timeout=DEADLINE)
    assert len(clone.remove_all()) == 2


def test_a_build_that_fails_says_why_in_one_line_and_where_the_rest_is(clone: Clone) -> None:
    clone.dockerfile(Role.PROXY, FAILS)
    with clone.start(ENSURE, Role.PROXY) as process:
        _, errors = process.communicate(timeout=DEADLINE)
    last = errors.splitlines()[-1]
    said, _, log = last.partition(" (all it said: ")
    assert said == "harness.errors.MachineError: image proxy cannot be built: E: this cannot work"
    path = Path(log.removesuffix(")"))
    assert "more" in path.read_text()
    path.unlink()


@pytest.mark.parametrize("cleaner", ["remove_all", "ensure"])
def test_a_build_that_was_killed_leaves_nothing_behind(clone: Clone, cleaner: str) -> None:
    clone.ensure(Role.BASE)
    clone.dockerfile(Role.PROXY, HANGS)
    mine = {"label": [clone.label]}
    api = clone.engine.api
    with clone.start(ENSURE, Role.PROXY) as builder:
        wait_until(lambda: api.containers(filters=mine))
        (container,) = api.containers(filters=mine)
        assert Owner.read(container["Labels"][OWNER_LABEL]).pid == builder.pid
        builder.kill()
    # The engine notices by itself that nobody waits for the build any more.
    wait_until(lambda: not api.containers(all=True, filters=mine))
    assert [image for image in clone.images() if not image["RepoTags"][0].startswith("ra-")]
    if cleaner == "remove_all":
        clone.remove_all()
        assert clone.images() == []
    else:
        clone.ensure(Role.GATEWAY)
        assert sorted(name.split(":")[0] for name in clone.names()) == [
            "ra-harness/base",
            "ra-harness/gateway",
        ]


def test_what_a_build_left_when_the_engine_itself_died_is_removed_too(clone: Clone) -> None:
    """The engine ends a build's container when its caller is gone, but not when it dies itself."""
    owner = clone.run(SAY_OWNER).strip()
    assert Owner.read(owner).is_dead()
    clone.ensure(Role.BASE)
    (name,) = clone.names()
    api = clone.engine.api
    step = api.create_container(name)["Id"]
    half_built = api.commit(step, changes=[f'LABEL {OWNER_LABEL}="{owner}"'])["Id"]
    api.remove_container(step)
    left = api.create_container(half_built)["Id"]
    clone.ensure(Role.PROXY)
    assert left not in [each["Id"] for each in api.containers(all=True)]
    assert half_built not in [each["Id"] for each in clone.images()]


def test_somebodys_own_container_of_an_image_is_left_alone(clone: Clone) -> None:
    """It inherits the image's labels, with an owner that has ended."""
    clone.ensure(Role.GATEWAY)
    (name,) = [name for name in clone.names() if "gateway" in name]
    container = clone.engine.containers.create(name, network_mode="none")
    try:
        assert Owner.read(container.labels[OWNER_LABEL]).is_dead()
        clone.remove_all()
        clone.ensure(Role.PROXY)
        container.reload()
    finally:
        container.remove()
