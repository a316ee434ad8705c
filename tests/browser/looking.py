"""What the tests of all pages look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

from selenium import webdriver
from selenium.webdriver.common.by import By

Browser = webdriver.Chrome

DESK = (1280, 900)
PHONE = (390, 844)
# A4 without its margins of 12 mm, at 96 pixels an inch.
SHEET = (703, 1032)

_AXE = resources.files("axe_core_python") / "axe.min.js"


def shown(browser: Browser, selector: str) -> int:
    """Count the elements that are displayed."""
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    return sum(each.is_displayed() for each in found)


def width(browser: Browser) -> int:
    """Return how wide the page is, in pixels."""
    return int(browser.execute_script("return document.documentElement.scrollWidth"))


def serious(browser: Browser, part: str = "html") -> list[tuple[str, str]]:
    """Return what axe finds serious or critical: its rule, and the first element's markup.

    It looks at a hundred elements a second, so of a large page ``part`` may select some.
    """
    browser.execute_script(_AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run(arguments[0]).then(arguments[1])", part)
    return [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@contextmanager
def screen(browser: Browser, size: tuple[int, int]) -> Iterator[None]:
    """Give the browser a screen of that many pixels; its window is never so small."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextmanager
def sheet(browser: Browser) -> Iterator[None]:
    """Show the page as it is printed on A4, to a reader who still prefers what they prefer."""
    dark = browser.execute_script("return matchMedia('(prefers-color-scheme:dark)').matches")
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    printed = {"media": "print", "features": features}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", printed)
    browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    try:
        with screen(browser, SHEET):
            yield
    finally:
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": False})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})


def cut(browser: Browser) -> list[str]:
    """Return which tables and drawings that are displayed reach beyond the screen's right edge."""
    script = """
        const edge = document.documentElement.clientWidth + 1;
        return [...document.querySelectorAll("table, svg")]
            .filter((each) => each.getBoundingClientRect().right > edge)
            .map((each) => each.getAttribute("class"));
    """
    return list(browser.execute_script(script))


def colour(browser: Browser, selector: str, name: str) -> str:
    """Return a colour of an element as the browser has it."""
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    return str(browser.execute_script(script, selector, name))


def lettering(browser: Browser, selector: str) -> float:
    """Return how large the letters of a drawing's first such text are on the screen, in pixels."""
    script = """
        const text = document.querySelector(arguments[0]);
        return parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a;
    """
    return float(browser.execute_script(script, selector))


def reach(browser: Browser, selector: str) -> tuple[float, float]:
    """Return how far left and right the elements reach on the screen, in pixels."""
    script = """
        const boxes = [...document.querySelectorAll(arguments[0])].map(
            (each) => each.getBoundingClientRect());
        return [Math.min(...boxes.map((b) => b.left)), Math.max(...boxes.map((b) => b.right))];
    """
    left, right = browser.execute_script(script, selector)
    return float(left), float(right)
