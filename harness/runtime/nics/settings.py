"""An interface's sysctls, in the caller's network namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/proc/sys/net")
_FOLDERS = ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh")
_OWNER_WRITES = 0o200


@dataclass(frozen=True)
class Setting:
    """A sysctl by its path under /proc/sys/net, with its value."""

    path: str
    value: str


# It asks for no IPv6 address and answers no ARP: the host says nothing of its own on the link.
_SILENT = (("ipv6/conf", "disable_ipv6", "1"), ("ipv4/conf", "arp_ignore", "8"))


def settings(name: str) -> tuple[Setting, ...]:
    """Return the interface's settings that can be written, in the order of their paths."""
    return tuple(_settings(name))


def put(setting: Setting) -> None:
    """Write a setting.

    Raises:
        OSError: there is no such setting, or the kernel refuses the value.
    """
    (_ROOT / setting.path).write_text(setting.value, encoding="ascii")


def silence(name: str) -> None:
    """Keep the host's own IPv6 and its ARP answers off the interface."""
    for folder, key, value in _SILENT:
        # The folder is missing where IPv6 is off for the whole machine.
        if (_ROOT / folder / name / key).exists():
            put(Setting(f"{folder}/{name}/{key}", value))


def _settings(name: str) -> Iterator[Setting]:
    for folder in _FOLDERS:
        here = _ROOT / folder / name
        for file in sorted(here.iterdir()) if here.is_dir() else ():
            value = _value(file)
            if value is not None:
                yield Setting(str(file.relative_to(_ROOT)), value)


def _value(file: Path) -> str | None:
    if not file.stat().st_mode & _OWNER_WRITES:
        return None
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        # ipv6's stable_secret is unreadable until it is set; the network's own then holds.
        return None
