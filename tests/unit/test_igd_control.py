"""A control point calls actions as UPnP has it, and takes for an answer only what is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TypeVar

import pytest
from hostile import (
    HASTE,
    LIMITS,
    ROUTER,
    SERVICE,
    SOCKETS,
    Answer,
    Foreign,
    Igd,
    description,
    drips,
    envelope,
    fault,
    foreign_host,
    http,
    replies,
    response,
    run,
    service,
)
from loopback import HOST, Peer, served

from harness.nodes.igd.client import Exchange
from harness.nodes.igd.control import ControlPoint, fetch_description
from harness.protocol.igd.errors import IgdError, UpnpFault
from harness.protocol.igd.reply import HttpLimits
from harness.protocol.igd.soap import PortMapping

_T = TypeVar("_T")
Play = Callable[[ControlPoint], Awaitable[_T]]


def with_point(
    peer: Peer,
    play: Play[_T],
    described: bytes | None = None,
    heard: list[Exchange] | None = None,
    limits: HttpLimits = LIMITS,
) -> _T:
    """Play with the control point of a router, whose description was read before."""

    async def whole() -> _T:
        async with served(replies(http(described or description()))) as port:
            location = f"http://{HOST}:{port}/rootDesc.xml"
            found = await fetch_description(SOCKETS, location, ROUTER, LIMITS)
        async with served(peer) as port:
            location = f"http://{HOST}:{port}/rootDesc.xml"
            listening = None if heard is None else heard.append
            return await play(
                ControlPoint(SOCKETS, ROUTER, location, found, None, limits, listening)
            )

    return run(whole)


def gateway(**actions: Answer | list[Answer]) -> Igd:
    return Igd(description(), dict(actions))


async def address(point: ControlPoint) -> IPv4Address:
    return await point.external_address()


# --- what is asked


def test_a_mapping_is_asked_for_in_the_order_of_the_specification() -> None:
    igd = gateway(AddPortMapping={})

    async def play(point: ControlPoint) -> None:
        await point.add_port_mapping(3389, "TCP", 3390, IPv4Address("192.168.0.9"), 60, "a <b> & c")

    with_point(igd.peer(), play)
    (request,) = igd.asked
    assert (request.method, request.path) == ("POST", "/ctl")
    assert request.headers["soapaction"] == f'"{SERVICE}#AddPortMapping"'
    assert request.headers["content-type"] == 'text/xml; charset="utf-8"'
    assert request.body == (
        b'<?xml version="1.0"?>\r\n'
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
        b' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        b'<u:AddPortMapping xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">'
        b"<NewRemoteHost></NewRemoteHost><NewExternalPort>3389</NewExternalPort>"
        b"<NewProtocol>TCP</NewProtocol><NewInternalPort>3390</NewInternalPort>"
        b"<NewInternalClient>192.168.0.9</NewInternalClient><NewEnabled>1</NewEnabled>"
        b"<NewPortMappingDescription>a &lt;b&gt; &amp; c</NewPortMappingDescription>"
        b"<NewLeaseDuration>60</NewLeaseDuration></u:AddPortMapping></s:Body></s:Envelope>\r\n"
    )


ENTRY = {
    "NewRemoteHost": "17.1.1.1",
    "NewExternalPort": "3389",
    "NewProtocol": "TCP",
    "NewInternalPort": "3390",
    "NewInternalClient": "192.168.0.9",
    "NewEnabled": "1",
    "NewPortMappingDescription": "x\u202ey",
    "NewLeaseDuration": "60",
}
MAPPING = PortMapping("17.1.1.1", 3389, "TCP", 3390, "192.168.0.9", True, r"x\u202ey", 60)


def test_a_mapping_is_read_back_by_its_key_and_by_its_place() -> None:
    specific = {name: value for name, value in ENTRY.items() if name not in list(ENTRY)[:3]}
    igd = gateway(GetSpecificPortMappingEntry=specific, GetGenericPortMappingEntry=ENTRY)

    async def play(point: ControlPoint) -> tuple[PortMapping, PortMapping]:
        return await point.get_specific(3389, "TCP", "17.1.1.1"), await point.get_generic(7)

    assert with_point(igd.peer(), play) == (MAPPING, MAPPING)
    assert b"<NewPortMappingIndex>7</NewPortMappingIndex>" in igd.asked[1].body


def test_a_mapping_is_deleted_by_its_key() -> None:
    igd = gateway(DeletePortMapping={})

    async def play(point: ControlPoint) -> None:
        await point.delete_port_mapping(3389, "UDP", "17.1.1.1")

    with_point(igd.peer(), play)
    (body,) = igd.called("DeletePortMapping")
    assert (
        b"<NewRemoteHost>17.1.1.1</NewRemoteHost><NewExternalPort>3389</NewExternalPort>"
        b"<NewProtocol>UDP</NewProtocol></u:DeletePortMapping>"
    ) in body


def test_the_port_that_was_reserved_is_told() -> None:
    igd = gateway(AddAnyPortMapping={"NewReservedPort": "4000"})

    async def play(point: ControlPoint) -> int:
        return await point.add_any_port_mapping(3389, "TCP", 3389, "192.168.0.9", 60, "x")

    assert with_point(igd.peer(), play) == 4000


@pytest.mark.parametrize(("status", "code"), [("200 OK", 200), ("412 Precondition Failed", 412)])
def test_a_subscription_tells_its_status(status: str, code: int) -> None:
    heard: list[Exchange] = []

    async def play(point: ControlPoint) -> int:
        return await point.subscribe("http://17.1.1.1/x")

    assert with_point(replies(http(b"", status)), play, heard=heard) == code
    assert heard[0].request.startswith(b"SUBSCRIBE /evt HTTP/1.1\r\n")
    assert b"\r\nCALLBACK: <http://17.1.1.1/x>\r\nNT: upnp:event\r\nTIMEOUT: Second-300\r\n" in (
        heard[0].request
    )


def test_the_services_own_list_of_actions_is_told() -> None:
    listed = (
        b"<scpd><actionList><action><name>AddAnyPortMapping</name></action></actionList></scpd>"
    )

    async def play(point: ControlPoint) -> frozenset[str]:
        return await point.actions()

    heard: list[Exchange] = []
    assert with_point(replies(http(listed)), play, heard=heard) == {"AddAnyPortMapping"}
    assert heard[0].request.startswith(b"GET /scpd.xml HTTP/1.1\r\n")
    missing = r"^the service description: HTTP status 404$"
    with pytest.raises(IgdError, match=missing):
        with_point(replies(http(listed, "404 Not Found")), play)


def test_every_exchange_is_given_for_evidence_also_a_refused_one() -> None:
    heard: list[Exchange] = []
    with pytest.raises(UpnpFault):
        with_point(gateway(GetExternalIPAddress=501).peer(), address, heard=heard)
    (exchange,) = heard
    assert b"<u:GetExternalIPAddress " in exchange.request
    assert exchange.reply.endswith(fault(501))
    assert exchange.problem is None


# --- what is no answer


def test_a_fault_is_told_with_its_code_and_its_words() -> None:
    with pytest.raises(UpnpFault) as refused:
        with_point(replies(http(fault(718, "Conflict\x85\n" + "x" * 500), "500 No")), address)
    assert (refused.value.action, refused.value.code) == ("GetExternalIPAddress", 718)
    assert str(refused.value).startswith(
        r"GetExternalIPAddress: the router refused: 718 Conflict\x85\nxxx"
    )
    assert len(str(refused.value)) < 300


def test_a_fault_is_one_whatever_its_status_and_whatever_its_namespaces() -> None:
    bare = fault(725).replace(b"s:", b"").replace(b" xmlns=", b" y=")
    for reply in (http(fault(725)), http(bare, "500 No"), http(fault(" 725\n"), "400 Bad")):
        with pytest.raises(UpnpFault) as refused:
            with_point(replies(reply), address)
        assert refused.value.code == 725


NO_ADDRESS = "NewExternalIPAddress"
ANSWERS: dict[str, tuple[bytes, str]] = {
    "empty": (http(), "nothing where XML was due"),
    "empty error": (http(b"", "500 No"), "HTTP status 500, and nothing where XML was due"),
    "HTML": (
        http(b"<html/>", "404 No"),
        "HTTP status 404, and no SOAP envelope: the XML has 'html'",
    ),
    "unauthorized": (http(b"<html/>", "401 No"), "HTTP status 401, and no SOAP envelope: "),
    "no body": (http(b"<s:Envelope/>"), "no SOAP envelope: the XML has 'Envelope' and no Body"),
    "empty body": (http(envelope("")), "the answer holds 'nothing', not GetExternalIPAddressRe"),
    "another answer": (
        http(response("AddPortMapping", {})),
        "the answer holds 'AddPortMappingResponse', not GetExternalIPAddressResponse",
    ),
    "an answer and an error": (
        http(response("GetExternalIPAddress", {NO_ADDRESS: "17.1.1.1"}), "500 No"),
        "HTTP status 500 without a fault",
    ),
    "a fault without detail": (
        http(envelope("<s:Fault><faultstring>timed\x85out</faultstring></s:Fault>"), "500 No"),
        r"a fault without a UPnP error: 'timed\x85out'",
    ),
    "a fault without code": (
        http(fault(""), "500 No"),
        "a fault whose error code is '', no number",
    ),
    "a fault with text for a code": (
        http(fault("Conflict"), "500 No"),
        "a fault whose error code is 'Conflict', no number",
    ),
    "a fault with other digits": (
        http(fault("\u0667\u0662\u0665"), "500 No"),
        "a fault whose error code is '\u0667\u0662\u0665', no number",
    ),
    "a fault with a huge code": (
        http(fault("7" * 1000), "500 No"),
        f"a fault whose error code is '{'7' * 80}'..., no number",
    ),
    "no address": (
        http(response("GetExternalIPAddress", {})),
        "the router's external address is ''",
    ),
    "an empty address": (
        http(response("GetExternalIPAddress", {NO_ADDRESS: ""})),
        "the router's external address is ''",
    ),
    "a binary address": (
        http(response("GetExternalIPAddress", {NO_ADDRESS: "\u202e1.1.1.1"})),
        r"the router's external address is '\u202e1.1.1.1'",
    ),
    "an IPv6 address": (
        http(response("GetExternalIPAddress", {NO_ADDRESS: "::1"})),
        "the router's external address is '::1'",
    ),
    "an address twice": (
        http(
            response("GetExternalIPAddress", {NO_ADDRESS: "17.1.1.1"}).replace(
                b"</u:", b"<NewExternalIPAddress>17.2.2.2</NewExternalIPAddress></u:"
            )
        ),
        "'NewExternalIPAddress' is in the answer twice",
    ),
    "an entity bomb": (
        http(b"<!DOCTYPE a [<!ENTITY b 'x'>]>" + envelope("&b;").partition(b"?>")[2]),
        "XML with a document type, 'a'; its entities are not read",
    ),
    "a redirect": (
        http(b"", "302 Found", "Location: http://127.0.0.2/"),
        "a redirect to 'http://127.0.0.2/' (status 302), not followed",
    ),
    "a redirect to nowhere": (
        http(b"", "301 Moved"),
        "a redirect to '' (status 301), not followed",
    ),
    "too many elements": (
        http(envelope("<a/>" * 1000)),
        "XML with more than 1000 elements",
    ),
}


@pytest.mark.parametrize(("reply", "why"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_no_answer_is_named(reply: bytes, why: str) -> None:
    with pytest.raises(IgdError) as no:
        with_point(replies(reply), address)
    said = str(no.value).removeprefix("GetExternalIPAddress: ")
    assert said.startswith(why)
    assert said.isprintable()
    assert len(said) < 250


def test_a_failed_exchange_names_the_action_and_the_url() -> None:
    why = (
        r"^GetExternalIPAddress: POST 'http://127\.0\.0\.1:\d+/ctl': the reply is not complete"
        r" after 0\.4 s and \d+ bytes$"
    )
    with pytest.raises(IgdError, match=why):
        with_point(drips(b"HTTP/1.1 200 OK\r\n\r\n", b"<"), address, limits=HASTE)


@pytest.mark.parametrize("wrong", ["", "-1", "0x10", "33 89", "\u0663", "9" * 5000])
def test_a_number_that_is_none_is_named(wrong: str) -> None:
    async def play(point: ControlPoint) -> PortMapping:
        return await point.get_generic(0)

    entry = {**ENTRY, "NewExternalPort": wrong}
    with pytest.raises(IgdError, match=r"^NewExternalPort is '.{0,80}'(\.\.\.)?, no number$"):
        with_point(gateway(GetGenericPortMappingEntry=entry).peer(), play)


def test_white_space_around_a_number_is_passed_over() -> None:
    async def play(point: ControlPoint) -> PortMapping:
        return await point.get_generic(0)

    entry = {**ENTRY, "NewExternalPort": "\n3389 "}
    assert with_point(gateway(GetGenericPortMappingEntry=entry).peer(), play) == MAPPING


def test_a_long_description_is_read_back() -> None:
    async def play(point: ControlPoint) -> PortMapping:
        return await point.get_generic(0)

    entry = {**ENTRY, "NewPortMappingDescription": "x" * 100_000}
    found = with_point(gateway(GetGenericPortMappingEntry=entry).peer(), play)
    assert found == replace(MAPPING, description="x" * 100_000)


# --- what leads elsewhere


def test_a_description_that_moved_is_not_followed() -> None:
    async def play() -> Foreign:
        async with foreign_host() as foreign:
            moved = replies(http(b"", "301 Moved", f"Location: {foreign.url}"))
            async with served(moved) as port:
                with pytest.raises(IgdError, match=r"^the description: a redirect to 'http://127"):
                    await fetch_description(SOCKETS, f"http://{HOST}:{port}/", ROUTER, LIMITS)
            return foreign

    assert run(play).callers == 0


def test_a_location_on_another_host_is_not_fetched() -> None:
    async def play() -> Foreign:
        async with foreign_host() as foreign:
            with pytest.raises(
                IgdError, match=r"^LOCATION '.*is on another host than 127\.0\.0\.1"
            ):
                await fetch_description(SOCKETS, foreign.url, ROUTER, LIMITS)
            return foreign

    assert run(play).callers == 0


@pytest.mark.parametrize(
    ("what", "shape"),
    [
        ("controlURL", "{url}"),
        ("controlURL", "//{host}/ctl"),
        ("controlURL", "http://127.0.0.1@{host}/ctl"),
        ("controlURL", "\\\\{host}/ctl"),
        ("controlURL", "ht\ntp://{host}/ctl"),
        ("controlURL", "http://[::1]/ctl"),
        ("controlURL", "http://[/ctl"),
        ("controlURL", "https:/ctl"),
        ("controlURL", ""),
        ("controlURL", "/" + "x" * 2000),
        ("URLBase", "{url}"),
        ("URLBase", "junk"),
    ],
)
def test_no_url_of_the_description_leads_to_another_host(what: str, shape: str) -> None:
    igd = Igd(b"", {"GetExternalIPAddress": {NO_ADDRESS: "17.1.1.1"}})

    async def play() -> tuple[Foreign, str]:
        async with foreign_host() as foreign:
            host = foreign.url.split("/")[2]
            named = shape.replace("{url}", foreign.url).replace("{host}", host)
            if what == "URLBase":
                igd.description = description(before=f"<URLBase>{named}</URLBase>")
            else:
                igd.description = description([service(control=named)])
            async with served(igd.peer()) as port:
                location = f"http://{HOST}:{port}/rootDesc.xml"
                try:
                    found = await fetch_description(SOCKETS, location, ROUTER, LIMITS)
                    point = ControlPoint(SOCKETS, ROUTER, location, found, limits=LIMITS)
                    await point.external_address()
                except IgdError as error:
                    return foreign, str(error)
        raise AssertionError("it was asked")

    foreign, why = run(play)
    assert foreign.callers == 0
    assert [each.method for each in igd.asked] == ["GET"]
    assert what in why
    assert why.isprintable()
    assert len(why) < 250


@pytest.mark.parametrize(
    ("base", "control", "path"),
    [
        ("", "/ctl", "/ctl"),
        ("", "ctl", "/ctl"),
        ("", "http://{host}/a/ctl?x", "/a/ctl?x"),
        ("http://{host}/b/", "ctl", "/b/ctl"),
        ("http://{host}", "/ctl", "/ctl"),
    ],
)
def test_relative_urls_are_taken_from_the_base_or_the_location(
    base: str, control: str, path: str
) -> None:
    igd = Igd(b"", {"GetExternalIPAddress": {NO_ADDRESS: "17.1.1.1"}})

    async def play() -> IPv4Address:
        async with served(igd.peer()) as port:
            host = f"{HOST}:{port}"
            igd.description = description(
                [service(control=control.format(host=host))],
                before=f"<URLBase>{base.format(host=host)}</URLBase>",
            )
            location = f"http://{host}/rootDesc.xml"
            found = await fetch_description(SOCKETS, location, ROUTER, LIMITS)
            return await ControlPoint(SOCKETS, ROUTER, location, found).external_address()

    assert run(play) == IPv4Address("17.1.1.1")
    assert igd.asked[-1].path == path


def test_a_device_that_maps_no_ports_is_named() -> None:
    with pytest.raises(IgdError, match=r"^the description has no WANIPConnection and no WANPPPC"):
        with_point(replies(b""), address, description([service("urn:x")]))
