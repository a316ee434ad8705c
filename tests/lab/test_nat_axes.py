"""Each NAT maps and filters as its definition says, measured by real connections through it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import cache
from ipaddress import IPv4Address
from itertools import permutations
from pathlib import Path

import pytest
from runs import own_topologies, replace_in
from worlds import in_lab

from harness.judge.journey import Event, origin
from harness.lab.lab import Lab
from harness.lab.nat_class import filtering_of, mapping_of
from harness.lab.ruleset import TABLE
from harness.lab.syns import Endpoint
from harness.runtime import nftables
from harness.topology.load import Library, default_folder
from harness.topology.model import Device, Filtering, Mapping
from harness.topology.plan import SERVICES

DEADLINE = 5.0
"""Seconds until a SYN has arrived or a rule has ended it; both take about a millisecond."""

HOST = "novice"

WAN = IPv4Address("80.100.10.2")
"""The address that every NAT of the project translates to, in these tests."""

PORTS = (7001, 7002, 7003)
"""Where each of the two peers listens."""

VALID = [
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT),
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT),
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
    (Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
]


@dataclass(frozen=True)
class Measured:
    """What was seen of a NAT.

    ``ports`` are the source ports that six destinations saw of one source port of the host, three
    ports of each of two addresses. The rest says whether a SYN reached a port of the host from
    which it made a connection, which is still open or closed: ``to_peer`` from another port of the
    address that it connected to, ``to_others`` from another address. ``unused`` is the same for a
    port from which it made none. ``ends`` are the node and the rule that ended each SYN that did
    not reach it.
    """

    ports: list[int]
    open_to_peer: bool
    open_to_others: bool
    closed_to_peer: bool
    closed_to_others: bool
    unused: bool
    ends: list[tuple[str, str]]

    @property
    def mapping(self) -> str:
        """How it maps."""
        seen = [Endpoint(WAN, port) for port in self.ports]
        return mapping_of(seen[: len(PORTS)], seen[-1])

    @property
    def filtering(self) -> set[Filtering | None]:
        """How it filters, while the connection is open and after; more than one is a mistake."""
        return {
            filtering_of(self.open_to_peer, self.open_to_others),
            filtering_of(self.closed_to_peer, self.closed_to_others),
        }


@dataclass(frozen=True)
class Connection:
    """A connection from the host; ``seen`` is the source port that the other end sees."""

    near: socket.socket
    far: socket.socket
    seen: int


class Bench:
    """Opens sockets in the nodes of a lab, and knows at once when a rule has ended a SYN."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.ends: list[tuple[str, str]] = []
        lab.watch.follow(lambda _: self._news.set())

    def listen(self, node: str, port: int) -> socket.socket:
        """Listen on a port of a node."""
        sock = self._bound(node, port)
        sock.listen()
        return sock

    async def connect(
        self, port: int, listener: socket.socket, to: str, node: str = HOST
    ) -> Connection:
        """Connect from a port of the host to a listener at an address."""
        near = self._bound(node, port)
        async with asyncio.timeout(DEADLINE):
            await self._loop.sock_connect(near, (to, listener.getsockname()[1]))
            far, (_, seen) = await self._loop.sock_accept(listener)
        return Connection(near, far, seen)

    async def hang_up(self, connection: Connection) -> None:
        """Close both ends of a connection, the host's first."""
        async with asyncio.timeout(DEADLINE):
            for one, other in permutations((connection.near, connection.far)):
                one.shutdown(socket.SHUT_WR)
                assert await self._loop.sock_recv(other, 1) == b""
        connection.near.close()
        connection.far.close()

    async def reaches(self, node: str, port: int, listener: socket.socket) -> bool:
        """Send a SYN from a node to a port of the NAT's WAN; say whether the listener accepts it.

        Otherwise a rule has ended it: ``ends`` gets that rule's node and name.
        """
        sock = self._bound(node, 0)
        dialling = asyncio.create_task(self._loop.sock_connect(sock, (str(WAN), port)))
        ending = asyncio.create_task(self._ending(node, port))
        try:
            async with asyncio.timeout(DEADLINE):
                await asyncio.wait({dialling, ending}, return_when=asyncio.FIRST_COMPLETED)
                if dialling.done() and dialling.exception() is None:
                    await self._loop.sock_accept(listener)
                    return True
                self.ends.append(await ending)
                return False
        finally:
            dialling.cancel()
            ending.cancel()

    def _bound(self, node: str, port: int) -> socket.socket:
        with self._lab.namespaces[node].entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        # A listener and any number of connections share the host's port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("0.0.0.0", port))
        return sock

    async def _ending(self, node: str, port: int) -> tuple[str, str]:
        """Wait until a rule has ended the SYN that a node sent to a port of the NAT's WAN."""
        sightings = self._lab.watch.sightings
        while True:
            self._news.clear()
            for each in sightings:
                sent = origin(sightings, each) if each.event is Event.ENDED else None
                if sent is not None and (sent[0], sent[1].destination_port) == (node, port):
                    return each.node, each.rule
            await self._news.wait()


async def _measure(lab: Lab) -> dict[str, object]:
    """Measure the novice's NAT from the services' host and from a direct expert."""
    bench = Bench(lab)
    internet = lab.plan.topology.internet
    where = {SERVICES: str(internet.services.site), "expert": str(internet.expert.site)}
    listeners = {(node, port): bench.listen(node, port) for node in where for port in PORTS}
    kept = [
        await bench.connect(40000, listener, where[node])
        for (node, _), listener in listeners.items()
    ]
    reached = {}
    for name, port in (("open", 40001), ("closed", 40002)):
        here = bench.listen(HOST, port)
        connection = await bench.connect(port, listeners[SERVICES, 7001], where[SERVICES])
        if name == "closed":
            await bench.hang_up(connection)
        reached[f"{name}_to_peer"] = await bench.reaches(SERVICES, connection.seen, here)
        reached[f"{name}_to_others"] = await bench.reaches("expert", connection.seen, here)
        kept.append(connection)
    unused = await bench.reaches("expert", 40003, bench.listen(HOST, 40003))
    ports = [connection.seen for connection in kept[: len(listeners)]]
    return asdict(Measured(ports=ports, unused=unused, ends=bench.ends, **reached))


Meddle = Callable[[Lab], None]


def measure(folder: Path, device: str, meddle: Meddle = lambda _: None) -> Measured:
    """Measure a NAT of a topologies folder; ``meddle`` may change it once it is up."""

    def play(lab: Lab) -> Awaitable[dict[str, object]]:
        meddle(lab)
        return _measure(lab)

    found = in_lab(Library(folder).from_chains((device,), ()), play)
    return Measured(**{**found, "ends": [tuple(end) for end in found["ends"]]})


# What is measured is what is written


@cache
def project_devices() -> dict[str, Device]:
    return Library(default_folder()).devices


NATS = [name for name, device in project_devices().items() if device.nat is not None]


@pytest.mark.parametrize("name", NATS)
def test_each_nat_of_the_project_maps_and_filters_as_its_file_says(name: str) -> None:
    nat = project_devices()[name].nat
    assert nat is not None
    measured = measure(default_folder(), name)
    assert (measured.mapping, measured.filtering) == (nat.mapping, {nat.filtering})


def written(folder: Path, mapping: Mapping, filtering: Filtering) -> Path:
    """Copy the project's topologies, with these axes for its ``nat``; return the copy."""
    topologies = own_topologies(folder)
    nat = topologies / "devices" / "nat.toml"
    for key, axis in (("mapping", mapping), ("filtering", filtering)):
        old = getattr(project_devices()["nat"].nat, key)
        replace_in(nat, f'{key} = "{old}"', f'{key} = "{axis}"')
    return topologies


@pytest.fixture(scope="module", params=VALID, ids="+".join)
def each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Measured, Mapping, Filtering]:
    """Measure a NAT of each valid combination of mapping and filtering."""
    mapping, filtering = request.param
    folder = written(tmp_path_factory.mktemp("axes"), mapping, filtering)
    return measure(folder, "nat"), mapping, filtering


Each = tuple[Measured, Mapping, Filtering]


def test_six_destinations_see_one_port_if_and_only_if_mapping_is_endpoint_independent(
    each: Each,
) -> None:
    measured, mapping, _ = each
    assert measured.mapping == mapping, measured.ports


def test_a_nat_that_maps_endpoint_independently_keeps_the_host_s_port(each: Each) -> None:
    """Port preservation (RFC 4787 4.2.1), as home routers do it."""
    measured, mapping, _ = each
    if mapping is Mapping.ENDPOINT_INDEPENDENT:
        assert set(measured.ports) == {40000}
    else:
        assert 40000 not in measured.ports


def test_another_address_reaches_the_port_if_and_only_if_filtering_is_endpoint_independent(
    each: Each,
) -> None:
    measured, _, filtering = each
    assert measured.open_to_others == (filtering is Filtering.ENDPOINT_INDEPENDENT)


def test_another_port_of_the_peer_reaches_it_unless_filtering_depends_on_the_port(
    each: Each,
) -> None:
    measured, _, filtering = each
    assert measured.open_to_peer == (filtering is not Filtering.ADDRESS_AND_PORT_DEPENDENT)


def test_the_end_of_the_connection_changes_nothing(each: Each) -> None:
    """RFC 5382 REQ-5: a mapping outlives its connection."""
    measured, _, filtering = each
    assert measured.filtering == {filtering}


def test_a_port_from_which_the_host_never_spoke_is_closed_to_all(each: Each) -> None:
    measured, _, _ = each
    assert not measured.unused


def test_what_does_not_reach_the_host_is_ended_by_the_nat_as_unsolicited(each: Each) -> None:
    measured, _, filtering = each
    closed = {
        Filtering.ENDPOINT_INDEPENDENT: 1,
        Filtering.ADDRESS_DEPENDENT: 3,
        Filtering.ADDRESS_AND_PORT_DEPENDENT: 5,
    }
    assert measured.ends == [("novice.nat", "unsolicited packet on wan")] * closed[filtering]


def test_a_nat_that_rejects_filters_alike(tmp_path: Path) -> None:
    topologies = written(tmp_path, Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT)
    nat = topologies / "devices" / "nat.toml"
    replace_in(nat, 'unsolicited = "drop"', 'unsolicited = "reject"')
    measured = measure(topologies, "nat")
    assert measured.filtering == {Filtering.ADDRESS_DEPENDENT}
    assert measured.ends == [("novice.nat", "unsolicited packet on wan")] * 3


# Two hosts of one LAN

OTHER = "novice.other"
TWO = """
[novice]
chain = ["nat"]
neighbours = [{ name = "other", address = "192.168.1.101" }]
"""


@pytest.mark.parametrize("filtering", [Filtering.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT])
def test_two_hosts_that_use_one_port_are_each_reached_at_the_port_that_is_theirs(
    tmp_path: Path, filtering: Filtering
) -> None:
    """RFC 4787 REQ-1 and REQ-8: the second is given another external port."""
    folder = written(tmp_path, Mapping.ENDPOINT_INDEPENDENT, filtering)
    path = tmp_path / "two.toml"
    path.write_text(TWO, encoding="utf-8")

    async def play(lab: Lab) -> dict[str, object]:
        bench = Bench(lab)
        services = bench.listen(SERVICES, 7001)
        address = str(lab.plan.services)
        mine = await bench.connect(40000, services, address)
        other = await bench.connect(40000, services, address, node=OTHER)
        here, there = bench.listen(HOST, 40000), bench.listen(OTHER, 40000)
        reached = [
            await bench.reaches(SERVICES, mine.seen, here),
            await bench.reaches(SERVICES, other.seen, there),
        ]
        return {"ports": [mine.seen, other.seen], "reached": reached}

    found = in_lab(Library(folder).from_file(path), play)
    mine, other = found["ports"]
    assert mine == 40000 != other
    assert found["reached"] == [True, True]


# A NAT that is not what is written is seen


def instead(chain: str, *rules: str) -> Meddle:
    """Have other rules in a chain of the NAT than were generated."""
    commands = [f"flush chain inet {TABLE} {chain}"]
    commands += [f"add rule inet {TABLE} {chain} {rule}" for rule in rules]

    def meddle(lab: Lab) -> None:
        with lab.namespaces["novice.nat"].entered():
            nftables.load("\n".join(commands))

    return meddle


def test_a_symmetric_nat_whose_rules_keep_the_port_is_measured_as_no_symmetric_one(
    tmp_path: Path,
) -> None:
    dependent = (Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
    keeps = instead("postrouting", 'oifname "wan" masquerade')
    measured = measure(written(tmp_path, *dependent), "nat", keeps)
    assert measured.mapping == Mapping.ENDPOINT_INDEPENDENT


def test_a_nat_whose_rules_choose_ports_at_random_is_measured_as_symmetric(tmp_path: Path) -> None:
    independent = (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
    random = instead("postrouting", 'oifname "wan" masquerade fully-random')
    measured = measure(written(tmp_path, *independent), "nat", random)
    assert measured.mapping == Mapping.ADDRESS_AND_PORT_DEPENDENT


@pytest.mark.parametrize("filtering", [Filtering.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT])
def test_an_open_nat_that_forgets_is_measured_as_a_closed_one(
    tmp_path: Path, filtering: Filtering
) -> None:
    topologies = written(tmp_path, Mapping.ENDPOINT_INDEPENDENT, filtering)
    measured = measure(topologies, "nat", instead("prerouting"))
    assert measured.filtering == {Filtering.ADDRESS_AND_PORT_DEPENDENT}


def test_an_address_dependent_nat_that_asks_for_no_address_is_measured_as_open(
    tmp_path: Path,
) -> None:
    topologies = written(tmp_path, Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT)
    anyone = instead("prerouting", 'iifname "wan" dnat ip to tcp dport map @mapped_ports')
    measured = measure(topologies, "nat", anyone)
    assert measured.filtering == {Filtering.ENDPOINT_INDEPENDENT}
