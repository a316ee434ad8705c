"""A topologies folder with a device of each kind, for tests of how the loader reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import DefinitionError
from harness.topology.load import Library
from harness.topology.model import Device, Topology

BOX = "devices/box.toml"
FIREWALL = "devices/wall.toml"
HOST_FIREWALL = "devices/shield.toml"
PROXY = "devices/gate.toml"
INTERNET = "internet.toml"
ONE = "one.toml"


DEVICE = """
title = "A box"
source = "a test"
[lan]
address = "10.1.1.1/24"
host = "10.1.1.2"
[nat]
unsolicited = "drop"
forward = [{ port = 80, to_port = 8080 }]
[upnp]
http_port = 5000
"""
WALL = """
title = "A firewall"
source = "a test"
[firewall]
unsolicited = "drop"
"""
SHIELD = """
title = "A firewall on the host"
source = "a test"
[host_firewall]
unsolicited = "drop"
opened_by_remote_assistance = true
"""
GATE = """
title = "A proxy"
source = "a test"
[lan]
address = "10.4.4.1/24"
host = "10.4.4.2"
[proxy]
protocol = "http"
port = 8080
"""
NET = """
[novice]
router = "21.0.0.1/24"
site = "21.0.0.2"
routed = "24.0.0.0/23"
[expert]
router = "22.0.0.1/24"
site = "22.0.0.2"
routed = "25.0.0.0/16"
[services]
router = "23.0.0.1/24"
site = "23.0.0.10"
"""


BEHIND_BOX = '[novice]\nchain = ["box"]\n'


Changes = tuple[str, str]


class Folder:
    """A topologies folder with a device of each kind beside the project's own.

    ``box`` is a NAT, ``wall`` a firewall, ``shield`` one on the host and ``gate`` a proxy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(BOX, DEVICE)
        self.write(FIREWALL, WALL)
        self.write(HOST_FIREWALL, SHIELD)
        self.write(PROXY, GATE)
        self.write(INTERNET, NET)
        self.write(ONE, BEHIND_BOX)

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(data)

    def change(self, name: str, *changes: Changes) -> None:
        """Replace text that is in the file."""
        text = (self.path / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is not in {name} once"
            text = text.replace(old, new)
        self.write(name, text)

    def device(self, name: str = "box") -> Device:
        return Library(self.path).devices[name]

    def topology(self, content: str | None = None) -> Topology:
        """Load ``one.toml``, with this content where one is given."""
        if content is not None:
            self.write(ONE, content)
        return Library(self.path).from_file(self.path / ONE)

    def refusal(self, name: str, load: Callable[[], object] | None = None) -> str:
        """Return what loading says about a file, after the file's path."""
        with pytest.raises(DefinitionError) as caught:
            (load or self.topology)()
        text = str(caught.value)
        assert text.startswith(f"{self.path / name}: ")
        assert len(text.splitlines()) == 1
        return text.removeprefix(f"{self.path / name}: ")

    def topology_refusal(self, content: str) -> str:
        """Return what loading says about ``one.toml`` with this content."""
        return self.refusal(ONE, lambda: self.topology(content))
