"""docs/pytest.md shows the very example that is run, and names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "pytest.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "file"), [("python", "test_my_router.py"), ("toml", "two-routers.toml")]
)
def test_the_page_shows_the_example_as_it_is_run(language: str, file: str) -> None:
    """tests/lab/test_pytest_plugin.py runs it."""
    (shown,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown == (DOCS / "examples" / file).read_text(encoding="utf-8")


def test_the_test_in_five_lines_is_one_of_the_example() -> None:
    first = PAGE.index("    @pytest.mark.topology")
    block = PAGE[first : PAGE.index("\n\n", first)]
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    assert len(lines) == 5
    example = (DOCS / "examples" / "test_my_router.py").read_text(encoding="utf-8")
    assert "\n".join(lines) in example


@pytest.mark.parametrize("kind", ["Outcome", "Dial", "Lab", "Invitation"])
def test_every_member_of_what_a_call_returns_is_on_the_page(kind: str) -> None:
    from harness.plugin import steps  # noqa: PLC0415

    internal = {"step", "observed", "folder", "inviter"}
    for name in vars(getattr(steps, kind)):
        if not name.startswith("_") and name not in internal:
            assert f"`{name}" in PAGE, name
