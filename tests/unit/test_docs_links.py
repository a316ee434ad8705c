"""No link of a page leads nowhere, and every page can be found."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import DOCS, ROOT, anchors, headings, links, pages

INDEX = DOCS / "README.md"
EACH = pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))


@EACH
def test_every_internal_link_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    broken = []
    for link in links(path):
        if ":" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        inside = target.resolve().is_relative_to(ROOT)
        if not (inside and target.exists()) or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@EACH
def test_a_page_begins_with_its_one_title(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert headings(path)


def test_the_index_leads_to_every_page_of_the_folder() -> None:
    wanted = {path.name for path in [*DOCS.glob("*.md"), *DOCS.glob("*.json")]} - {INDEX.name}
    missing = wanted - {link.partition("#")[0] for link in links(INDEX)}
    assert missing == set(), "give each a line in docs/README.md"


def test_the_project_s_readme_leads_to_the_index_or_to_each_page() -> None:
    assert any(link.startswith("docs/") for link in links(ROOT / "README.md"))


def test_anchors_are_made_as_the_code_hosts_make_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b/c`, d_e-f!\n\n## Two\n\n## Two\n", encoding="utf-8")
    assert anchors(page) == {"a-bc-d_e-f", "two", "two-1"}
