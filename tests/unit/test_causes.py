"""What decided a scenario, as every report says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import attempt, control, observed, predicted, scenario
from wires import CONNECTED, FORWARDED, INSIDE, OUTSIDE, seen, syn

from harness.judge.model import Attempt, Observed, ScenarioResult
from harness.judge.trace import Packets, Trace, trace
from harness.protocol.pcapng import Frame
from harness.report.causes import Cause, cause_of, deciding, is_private
from harness.topology.load import Library
from harness.topology.model import Topology
from harness.words import Answer, End, Role

LIBRARY = Library(Path(__file__).resolve().parents[2] / "topologies")
ACCEPTED = attempt(address="80.100.10.2", end=End.CONNECTED, ended_at="novice", how="accepted")


def words(cause: Cause) -> str:
    """Return the sentence as the page has it."""
    return f"{cause.what}{f' <{cause.node}>' if cause.node else ''}{cause.rest}"


def no(ended_at: str, how: str) -> ScenarioResult:
    return scenario("file", "nat", "direct", observed("no", attempt(ended_at=ended_at, how=how)))


@pytest.mark.parametrize(
    ("ended_at", "how", "said"),
    [
        ("novice.nat", "dropped by novice.nat (rule)", "dropped by <novice.nat> (rule)"),
        ("novice", "RST from novice (no listener)", "RST from <novice> (no listener)"),
        ("internet", "ICMP no route from internet (x)", "ICMP no route from <internet> (x)"),
        ("novice", "through a.b: answered by novice; x", "through a.b: answered by <novice>; x"),
        ("expert", "did not leave the expert: down", "did not leave the <expert>: down"),
        (
            "expert.http-proxy",
            "ended by expert.http-proxy: 403",
            "ended by <expert.http-proxy>: 403",
        ),
        # The node of the same name's beginning is another one.
        ("novice", "dropped by novice.nat", "ended at <novice>: dropped by novice.nat"),
        ("novice.nat", "dropped by novice.nat.2", "ended at <novice.nat>: dropped by novice.nat.2"),
        ("novice.nat", "dropped by novice.nat-b", "ended at <novice.nat>: dropped by novice.nat-b"),
        ("nat", "dropped by novice.nat", "ended at <nat>: dropped by novice.nat"),
        ("novice.nat", "no route", "ended at <novice.nat>: no route"),
        ("novice.nat", "novice.nat said no", "ended at <novice.nat>: novice.nat said no"),
        ("", "its end was not seen", "ended nobody knows where: its end was not seen"),
    ],
)
def test_a_no_is_told_in_the_kernel_s_words_with_the_node_that_ended_it(
    ended_at: str, how: str, said: str
) -> None:
    cause = cause_of(no(ended_at, how), None, ())
    assert words(cause) == said
    assert cause.at == ((ended_at,) if ended_at else ())


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("nat", ", which maps no port"),
        # What such a device did with this port is not known from its definition.
        ("upnp-nat", ""),
        ("nat-forwarded", ""),
        ("firewall", ""),
    ],
)
def test_a_no_at_the_dialled_person_s_gateway_says_what_of_its_ports(device: str, why: str) -> None:
    node = f"novice.{device}"
    result = no(node, f"dropped by {node} (unsolicited)")
    before = LIBRARY.from_chains((device,), ())
    assert words(cause_of(result, before, ())) == f"dropped by <{node}> (unsolicited){why}"
    elsewhere = LIBRARY.from_chains((), (device,))
    assert words(cause_of(result, elsewhere, ())) == f"dropped by <{node}> (unsolicited)"


def test_what_proves_nothing_was_decided_by_no_dial() -> None:
    broken = scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),))
    for result, said in (
        (broken, "a control failed at <novice.nat>: rules"),
        (
            scenario("file", "nat", "direct", None),
            "the harness failed: the expert's node did not start within 5 s",
        ),
    ):
        cause = cause_of(result, None, ())
        assert (words(cause), cause.attempt) == (said, None)
        assert not cause.is_of(attempt())


def test_where_nobody_dialled_the_verdict_s_reason_is_the_cause() -> None:
    silent = Observed(answer=Answer.NO, winner=None, attempts=())
    result = scenario("file", "nat", "direct", silent, why="the ticket never came")
    assert words(cause_of(result, None, ())) == "the ticket never came"


def test_of_a_yes_the_dial_that_won_decides_else_the_first_that_connected() -> None:
    early = attempt(Role.NOVICE, "85.1.2.3", 40001, end=End.CONNECTED, ended_at="expert")
    saw = observed("yes", early, observed("yes").attempts[0])
    assert deciding(scenario("file", "nat", "direct", saw)) == saw.attempts[1]
    unnamed = saw.model_copy(update={"winner": None})
    assert deciding(scenario("file", "nat", "direct", unnamed)) == early


def test_a_yes_without_a_dial_that_connected_names_none() -> None:
    odd = observed("yes", attempt())
    result = scenario("file", "nat", "direct", odd, why="so it is said")
    assert words(cause_of(result, None, ())) == "so it is said"


def test_of_a_no_the_model_s_dial_decides_then_a_device_s_then_the_expert_s() -> None:
    bare = attempt(Role.NOVICE, "80.0.0.1", ended_at="internet")
    expert = attempt(address="80.0.0.2", ended_at="internet")
    device = attempt(Role.NOVICE, "80.0.0.3", ended_at="expert.nat")
    named = attempt(Role.NOVICE, "80.0.0.4", ended_at="internet")
    why = "the SYN to 80.0.0.4:3389 ends, one to 80.0.0.22 or 180.0.0.1 does not"
    dials = [bare, expert, device, named]
    while dials:
        saw = observed("no", *dials)
        forecast = predicted("no", why)
        decided = deciding(scenario("file", "nat", "direct", saw, forecast=forecast))
        assert decided == dials.pop()


@pytest.mark.parametrize(
    ("address", "private"),
    [("172.31.0.1", True), ("172.32.0.1", False), ("100.64.0.1", False), ("fd00::1", False)],
)
def test_private_addresses_are_those_of_rfc_1918(address: str, private: bool) -> None:
    assert is_private(attempt(address=address)) is private
    assert not is_private(attempt(address="no address"))


def renamed(frames: list[Frame], **names: str) -> list[Frame]:
    """Return frames of another lab: a key is a node, ``_`` for its dot."""
    changed = []
    for frame in frames:
        node, _, interface = frame.interface.partition("/")
        new = names.get(node.replace(".", "_"), node)
        changed.append(replace(frame, interface=f"{new}/{interface}"))
    return changed


def let_in(
    topology: Topology, frames: list[Frame], made: Attempt = ACCEPTED, sender: str = "expert"
) -> Cause:
    """Return what let a SYN in, by the frames of it."""
    port = 50000 if sender == "expert" else None
    way: Trace = trace(Packets(frames), sender, made.address, made.port, port)
    result = scenario("file", "nat", "direct", observed("yes", made))
    return cause_of(result, topology, ((made, way),))


def behind(*devices: str) -> Topology:
    return LIBRARY.from_chains(devices, ())


@pytest.mark.parametrize(
    ("device", "helps"),
    [
        ("nat-forwarded", "forwards 3389"),
        ("upnp-nat", "maps a port when asked"),
        ("me-ics", "maps a port when asked"),
        ("nat", f"passed 3389 on to {INSIDE}"),
    ],
)
def test_a_nat_that_let_a_syn_in_did_so_by_its_definition_or_as_it_was_seen_to(
    device: str, helps: str
) -> None:
    node = f"novice.{device}"
    cause = let_in(behind(device), renamed(CONNECTED, novice_nat=node))
    assert words(cause) == f"let in by <{node}>, which {helps}"
    assert cause.at == (node,)


@pytest.mark.parametrize(
    ("device", "helps"), [("firewall-open", "opens 3389"), ("firewall", "passed it on")]
)
def test_a_firewall_that_let_a_syn_in_opens_the_port_or_passed_it_on(
    device: str, helps: str
) -> None:
    way = [
        *seen(0, syn(), "expert/eth0>", f">novice.{device}/wan"),
        *seen(40, syn(), f"novice.{device}/lan>", ">novice/eth0"),
    ]
    assert words(let_in(behind(device), way)) == f"let in by <novice.{device}>, which {helps}"


def test_of_two_devices_before_the_person_both_are_named() -> None:
    topology = behind("upnp-nat", "nat-forwarded")
    middle = "100.64.0.2:3389"
    way = [
        *seen(0, syn(), "expert/eth0>", ">novice.nat-forwarded/wan"),
        *seen(20, syn(destination=middle), "novice.nat-forwarded/lan>", ">novice.upnp-nat/wan"),
        *seen(40, syn(destination=INSIDE), "novice.upnp-nat/lan>", ">novice/eth0"),
    ]
    cause = let_in(topology, way)
    assert words(cause) == "let in by <novice.nat-forwarded and novice.upnp-nat>"
    assert cause.at == ("novice.nat-forwarded", "novice.upnp-nat")


def test_what_was_changed_beyond_a_device_is_not_its_doing() -> None:
    """A real router behind it has no node of ours inside."""
    way = [
        *seen(0, syn(), "expert/eth0>", ">novice.cgnat/wan"),
        *seen(20, syn(), "novice.cgnat/lan>"),
        *seen(40, syn(destination=INSIDE), ">novice/eth0"),
    ]
    cause = let_in(behind("upnp-nat", "cgnat"), way)
    assert words(cause) == "let in by <novice.cgnat>, which passed it on"


DIRECT = seen(0, syn(), "expert/eth0>", ">novice/eth0")


def test_a_firewall_on_the_host_is_named_where_nothing_stands_before_it() -> None:
    assert words(let_in(behind("icf"), DIRECT)) == "let in by <novice>, by the firewall on it"


def test_a_person_without_anything_before_them_just_connected() -> None:
    cause = let_in(behind(), DIRECT)
    assert words(cause) == "connected at <novice>, before which nothing stands"


def test_a_dial_through_a_proxy_names_the_proxy() -> None:
    topology = LIBRARY.from_chains((), ("socks-proxy",))
    node = "expert.socks-proxy"
    way = seen(0, syn(), f"{node}/wan>", ">novice/eth0")
    assert words(let_in(topology, way, sender=node)) == f"dialled by <{node}>, to the novice"


def test_without_its_journey_a_yes_connected_and_no_more_is_known() -> None:
    result = scenario("file", "nat", "direct", observed("yes", ACCEPTED))
    other = (attempt(address="80.9.9.9"), trace(Packets(FORWARDED), "expert", OUTSIDE, 1, None))
    for topology, journeys in ((None, ()), (behind("nat"), (other,))):
        assert words(cause_of(result, topology, journeys)) == "connected at <novice>"
