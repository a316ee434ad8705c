"""The page of a run as tests read it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from factories import observed, results, scenario

from harness.judge.model import ScenarioResult
from harness.report.html import Evidence
from harness.report.html.page import page

HOSTILE = '</pre></svg><script>alert("1")</script><img src=x onerror=alert(1)>\u202e'

DIFFERING = scenario("file", "upnp-nat", "direct", observed("no"))


class Reader(HTMLParser):
    """The tags of a page, and the ids and addresses in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.addresses.append(value or "")


def told(*scenarios: ScenarioResult, **evidence: Evidence) -> str:
    by_id = dict.fromkeys((each.id for each in scenarios), evidence.get("each", Evidence()))
    return page(results(*scenarios), by_id)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
