"""Each router that would do harm does what it is feared for."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import lying_igd
import pytest
from lying_igd import DESCRIPTION, ELSEWHERE_PORT
from reaching import RDP, Plug, get, gets_in, search, serving
from routers import HOSTILE, Lie, pages
from routers.neighbours import SERVER

pytest_plugins = ["plugging"]
pytestmark = pytest.mark.usefixtures("root")


def test_a_huge_description_is_sent_as_long_as_somebody_reads(lying: Plug) -> None:
    host, router = serving(lying(Lie.HUGE))
    answer = get(host, router, 1 << 25)
    (length,) = re.findall(rb"Content-Length: (\d+)", answer[:200])
    assert int(length) > pages.HUGE_BYTES
    assert len(answer) >= 1 << 25
    assert set(answer[-1000:]) == set(b"A")


def test_a_slow_description_comes_byte_by_byte(lying: Plug) -> None:
    host, router = serving(lying(Lie.DRIP))
    began = time.monotonic()
    head = get(host, router, 1)
    dripped = get(host, router, len(head) + 4)
    assert dripped[len(head) - 1 :].startswith(b"\n<?x")
    assert time.monotonic() - began > 3 * pages.DRIP_SECONDS


def test_an_entity_bomb_is_served(lying: Plug) -> None:
    host, router = serving(lying(Lie.ENTITIES))
    answer = get(host, router, 1 << 20)
    assert len(answer) < 5000
    assert answer.count(b"<!ENTITY") == 11
    assert b"<friendlyName>&e10;</friendlyName>" in answer


def test_a_reader_is_redirected_to_another_host(lying: Plug) -> None:
    host, router = serving(lying(Lie.REDIRECT))
    answer = get(host, router, 1 << 20)
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert f"Location: http://{SERVER}:{ELSEWHERE_PORT}/".encode() in answer


def test_ten_thousand_services_hide_one_that_works(lying: Plug) -> None:
    place = lying(Lie.MANY_SERVICES)
    host, router = serving(place)
    answer = get(host, router, 1 << 25)
    assert answer.count(b"<service>") == pages.MANY_SERVICES + 1
    assert len(_tree(answer).findall(".//{*}service")) == pages.MANY_SERVICES + 1


def test_a_name_is_no_text_at_all(lying: Plug) -> None:
    host, router = serving(lying(Lie.BINARY_NAME))
    answer = get(host, router, 1 << 20)
    assert pages.BINARY_NAME in answer
    with pytest.raises(ET.ParseError):
        _tree(answer)


def test_a_name_is_markup_and_the_gateway_works(lying: Plug) -> None:
    place = lying(Lie.MARKUP_NAME)
    host, router = serving(place)
    name = _tree(get(host, router, 1 << 20)).findtext(".//{*}friendlyName")
    assert name is not None
    assert "<script>" in name
    assert "\u009b" in name
    address = place.wan_address()
    host.map(host.igd(), RDP, RDP)
    assert gets_in(place, host, RDP, address)


def _tree(answer: bytes) -> ET.Element:
    return ET.fromstring(answer.partition(b"\r\n\r\n")[2])


def test_a_search_is_answered_with_another_host_s_location(lying: Plug) -> None:
    host, router = serving(lying(Lie.FOREIGN_LOCATION))
    (answer,) = search(host, router)
    assert f"LOCATION: http://{SERVER}:{ELSEWHERE_PORT}{DESCRIPTION}\r\n" in answer


def test_the_description_sends_control_to_another_host(lying: Plug) -> None:
    host, router = serving(lying(Lie.FOREIGN_CONTROL))
    control = f"http://{SERVER}:{ELSEWHERE_PORT}{pages.CONTROL}"
    tree = _tree(get(host, router, 1 << 20))
    assert [found.text for found in tree.findall(".//{*}controlURL")] == [control]


def test_a_search_is_answered_by_thousands(lying: Plug) -> None:
    host, router = serving(lying(Lie.FLOOD))
    answers = search(host, router)
    assert len(set(answers)) == lying_igd.FLOOD


def test_every_lie_that_would_do_harm_is_tested_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [lie for lie in HOSTILE if f"Lie.{lie.name})" not in source] == []
