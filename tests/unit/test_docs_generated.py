"""The generated pages are current, and say of every claim, scenario and device what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pages import DOCS, REMEDY, anchors, headings, tokens

from harness.assistance.people import Terms
from harness.kb import load_contradictions, load_gaps, load_prose, load_tables
from harness.report.docs import article_page, devices_page
from harness.report.docs.__main__ import pages
from harness.runner.catalogue import article
from harness.topology.load import Library, default_folder
from harness.topology.model import Device
from harness.words import Method

LIBRARY = Library(default_folder())
GENERATED = pages()
CODE = re.compile(r"`([^`]+)`")


def generate(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.report.docs", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def behaviour(name: str) -> str:
    """Return what the page says of one of the project's devices, on one line."""
    return told(LIBRARY.devices[name])


def told(device: Device) -> str:
    return " ".join(devices_page([device]).partition(f"\n## {device.name}\n")[2].split())


def changed(name: str, **changes: dict[str, object]) -> str:
    """Return what the page says of a device of the project with some of its keys changed."""
    facts = LIBRARY.devices[name].model_dump(mode="json")
    for key, value in changes.items():
        facts[key] = {**(facts[key] or {}), **value}
    return told(Device.model_validate(facts))


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_current(name: str) -> None:
    path = DOCS / name
    current = path.exists() and path.read_text(encoding="utf-8") == GENERATED[name]
    assert current, f"docs/{name} is not what the data say: {REMEDY}"


def test_the_command_writes_what_is_not_current_and_leaves_the_rest(tmp_path: Path) -> None:
    written = generate(tmp_path)
    assert written.returncode == 0, written.stderr
    assert written.stdout.splitlines() == [f"{tmp_path / name} written" for name in GENERATED]
    for name, text in GENERATED.items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    (tmp_path / "devices.md").write_text("# Stale\n", encoding="utf-8")
    again = generate(tmp_path).stdout.splitlines()
    assert [line for line in again if line.endswith("written")] == [
        f"{tmp_path / 'devices.md'} written"
    ]


def test_the_command_says_in_one_line_where_it_cannot_write(tmp_path: Path) -> None:
    lost = generate(cwd=tmp_path)
    assert (lost.returncode, lost.stdout) == (2, "")
    assert lost.stderr == "docs: docs is no folder: run this in a clone, or name another\n"


def test_the_article_s_page_has_exactly_the_scenarios_that_a_run_has() -> None:
    """The page is made from the claims, a run by the catalogue: neither forgets what the other
    has."""
    run = {each.id for each in article(LIBRARY, list(Method), Terms(password="x"))}
    text = article_page()
    page = {name for name in CODE.findall(text) if re.match(r"(messenger|email|file)/", name)}
    claims = {claim.id for table in load_tables() for claim in table.claims}
    assert page - claims == run
    assert f" {len(run)} scenarios test them." in " ".join(text.split())


def test_the_article_s_page_has_every_claim_statement_contradiction_and_gap() -> None:
    text = " ".join(article_page().split())
    for table in load_tables():
        for claim in table.claims:
            assert f"| `{claim.id}` | {claim.statement} | {claim.answer} |" in text
    for statement in load_prose():
        assert f"#### `{statement.id}` Sentence {statement.sentence}: " in text
    assert [each for each in load_contradictions() if f"### `{each.id}` - " not in text] == []
    assert [each for each in load_gaps() if f"### `{each.id}` {each.section}: " not in text] == []


def test_the_article_s_page_says_what_a_condition_expects_of_which_scenario() -> None:
    text = " ".join(article_page().split())
    assert (
        "- Nobody opens the novice's firewall, and the expert is behind one as well. Expected "
        "**no** of `email/firewall+firewall`, `file/firewall+firewall`." in text
    )
    assert 'The article\'s answer: **depends** ("usually").' in text


def test_the_article_s_tables_stand_in_the_article_s_shape() -> None:
    shapes = [token for token in tokens(DOCS / "article.md") if token.type == "table_open"]
    assert len(shapes) == 2 * len(load_tables())
    assert "| **Novice and Expert** | Yes | Yes | No | Yes |" in article_page()


def test_every_device_has_its_title_source_note_and_a_link_to_its_file() -> None:
    page = " ".join(devices_page(LIBRARY.devices.values()).split())
    for device in LIBRARY.devices.values():
        assert f"## {device.name} **{device.title}**, defined in " in page
        assert f"Source: {device.source[0].upper()}{device.source[1:]}." in page
        assert device.note[1:] in page
        assert f"](../topologies/devices/{device.name}.toml)" in page
        assert f"[`{device.name}`](#{device.name})" in page
    assert set(LIBRARY.devices) <= anchors(DOCS / "devices.md")


def test_a_model_is_called_a_model_in_the_overview_and_in_its_own_part() -> None:
    page = devices_page(LIBRARY.devices.values())
    assert "| [`me-ics`](#me-ics) | Windows Me ICS (**a model**) | NAT, NAT-PMP |" in page
    assert "**This is a model.** Modelled by NAT-PMP with UPnP off;" in behaviour("me-ics")
    assert page.count("a model**") == page.count("**This is a model.**") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nat", "- Mapping: endpoint-independent (RFC 4787 4.1, RFC 5382 REQ-1):"),
        ("nat", "- Filtering: address-and-port-dependent (RFC 4787 5, RFC 5382 REQ-3):"),
        ("nat", "nobody asked for is dropped without a word (RFC 5382 REQ-4, a)."),
        ("nat", "- Port mapping: none."),
        ("nat-symmetric", "- Mapping: address-and-port-dependent"),
        ("nat-forwarded", "- TCP 3389 of its WAN address is forwarded by hand to TCP 3389"),
        ("xp-ics", "its HTTP on TCP 2869 of the LAN address."),
        ("me-ics", "- Port mapping: NAT-PMP (RFC 6886),"),
        ("me-ics", "- UPnP is off."),
        ("firewall", "Outbound: everything. Inbound: nothing."),
        ("firewall-open", "Outbound: everything. Inbound: TCP 3389."),
        ("firewall-strict", "Outbound: TCP 25, 110, 1863, 3389, 3478. Inbound: nothing."),
        ("icf", "- Remote Assistance opens its own port in it"),
        ("http-proxy", "- It connects its clients to TCP 443, 563, 25, 110, 1863, 3478."),
        ("http-proxy-open", "CONNECT (RFC 9110 9.3.6), by tinyproxy, on TCP 8080"),
        ("socks-proxy", "SOCKS 5 (RFC 1928), by microsocks, on TCP 1080"),
    ],
)
def test_a_device_s_behaviour_is_told_in_the_rfcs_words(name: str, words: str) -> None:
    assert words in behaviour(name)


def test_what_a_definition_changes_is_told_otherwise() -> None:
    nat = changed("nat", nat={"filtering": "endpoint-independent", "unsolicited": "reject"})
    assert "- Filtering: endpoint-independent" in nat
    assert "is answered by an ICMP error, port unreachable at once" in nat
    assert "address-dependent" not in nat
    icf = changed("icf", host_firewall={"opened_by_remote_assistance": False})
    assert "Remote Assistance opens" not in icf
    wall = changed("firewall", lan={"address": "10.1.0.1/24", "host": "10.1.0.2"})
    assert "LAN: its own address is 10.1.0.1/24" in wall
    assert "256 addresses" not in wall


def test_a_page_for_devices_has_kinds_together() -> None:
    names = headings(DOCS / "devices.md")[1:]
    kinds = [
        next(kind for kind in ("nat", "firewall", "host_firewall", "proxy") if getattr(each, kind))
        for each in map(LIBRARY.devices.__getitem__, names)
    ]
    assert list(dict.fromkeys(kinds)) == ["nat", "firewall", "host_firewall", "proxy"]
    assert len([1 for one, two in pairwise(kinds) if one != two]) == 3
