"""Addresses of the files of bundles, as the page's links have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from harness.report.wording import plain


def links(bundle: str | None, files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and address of a bundle's files.

    Both come from files that anybody may have written. Quoted and behind ``./`` an address is
    a path whatever it holds, and one that leads out of the folder is left out.
    """
    if bundle is None:
        return
    for name in files:
        path = PurePosixPath(bundle) / name
        if ".." not in path.parts and not path.is_absolute():
            yield plain(name), f"./{quote(str(path), safe='/+,')}"
