"""Takes what tells of this machine out of what is kept: the paths of its folders."""

from __future__ import annotations

import re
import sysconfig
from functools import cache
from pathlib import Path, PurePosixPath

# A traceback has its files in quotes, and Python's errors the paths that they are about.
# A path of one part alone tells nothing, and is a mere slash in many a line of code.
_QUOTED_PATH = re.compile(r"""(?<=["'])/[^"'\n/]+/[^"'\n]*(?=["'])""")

_SAME_ANYWHERE = ("/proc", "/sys", "/dev", "/run")


def without_paths(text: str) -> str:
    """Return a traceback or an error's text without what it tells of the machine's folders.

    This package becomes ``harness/...``, other packages ``<site-packages>/...``, Python itself
    ``<python>/...``, the rest of a clone ``<clone>/...`` and the home folder ``~``. Of any other
    file in quotes the name is left. What the kernel or the sealed world has under such a path
    stays: it is the same on every machine.
    """
    text = _QUOTED_PATH.sub(lambda found: _shortened(found[0]), text)
    for folder, name in _known_folders():
        text = re.sub(rf"(?<![\w/]){re.escape(folder)}(?![\w-])", name, text)
    return text


def _shortened(path: str) -> str:
    if any(PurePosixPath(path).is_relative_to(folder) for folder in _SAME_ANYWHERE):
        return path
    for folder, name in _known_folders():
        if PurePosixPath(path).is_relative_to(folder):
            return f"{name}{path.removeprefix(folder)}"
    return f"<elsewhere>/{PurePosixPath(path).name}"


@cache
def _known_folders() -> tuple[tuple[str, str], ...]:
    """Return folders and what they are called in a bundle, the inner ones first."""
    python, package = sysconfig.get_paths(), Path(__file__).parents[1]
    names = {str(Path.home()): "~", str(package.parent): "<clone>", str(package): "harness"}
    names |= {python[key]: "<python>" for key in ("stdlib", "platstdlib")}
    names |= {python[key]: "<site-packages>" for key in ("purelib", "platlib")}
    known = (each for each in names.items() if each[0] != "/")
    return tuple(sorted(known, key=lambda each: len(each[0]), reverse=True))
