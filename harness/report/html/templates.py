"""The templates, and what every page that is made of them has."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.wording import plain


def rendered(template: str, **facts: object) -> str:
    """Return a page's text: the template with these facts, every word of them escaped.

    What is markup already says so by its type, :class:`markupsafe.Markup`.
    """
    return _environment().get_template(template).render(facts)


def own(name: str) -> Markup:
    """Return the text of a file that lies beside the templates."""
    return Markup(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(str(__package__), ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment
