"""The project's Markdown pages, read as a reader's browser would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REMEDY = "run .venv/bin/python -m harness.report.docs"

# What GitHub and GitLab leave out of an anchor.
_LEFT_OUT = re.compile(r"[^\w\- ]")


def pages() -> list[Path]:
    """Return every page that readers are led to."""
    return [ROOT / "README.md", ROOT / "images" / "README.md", *sorted(DOCS.glob("*.md"))]


def tokens(path: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8"))


def headings(path: Path) -> list[str]:
    """Return the text of each heading, without its marks."""
    found = tokens(path)
    return [
        "".join(child.content for child in inline.children or ())
        for opening, inline in pairwise(found)
        if opening.type == "heading_open"
    ]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings; the second of one name ends with ``-1``."""
    found: dict[str, int] = {}
    made = set()
    for heading in headings(path):
        slug = _LEFT_OUT.sub("", heading.lower()).replace(" ", "-")
        times = found.get(slug, 0)
        found[slug] = times + 1
        made.add(f"{slug}-{times}" if times else slug)
    return made


def links(path: Path) -> Iterator[str]:
    """Yield where a page's links lead to."""
    for token in tokens(path):
        for child in token.children or ():
            if child.type == "link_open":
                yield str(child.attrs["href"])


def fences(path: Path, language: str) -> list[str]:
    """Return the content of a page's blocks of one language."""
    return [each.content for each in tokens(path) if each.type == "fence" and each.info == language]
