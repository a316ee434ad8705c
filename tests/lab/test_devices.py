"""What each device beyond the article's tables lets through, by the real command."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from runs import Ended, own_topologies, replace_in, run
from worlds import topology

from harness.judge.model import Attempt
from harness.topology.plan import box_nodes
from harness.words import Answer, End, Method, Role

SIDE_BY_SIDE = 6
UNSOLICITED = "unsolicited packet on wan"
NOT_ALLOWED = "outbound port not allowed"

TRANSLATED = "80.100.10.2"
"""The novice site's own address."""

ROUTED = "80.101.0.2"
"""The first host in the block that is routed to the novice's site."""


@dataclass(frozen=True)
class Novice:
    """What a device does for a novice behind it, the expert being direct.

    ``reached_at`` is the address at which the expert reaches it by file, e-mail and Messenger, if
    it does. ``ender`` is the node that drops the expert's SYN to another address, if one does.
    ``calls`` says whether the novice, by Messenger, reaches the expert.
    """

    reached_at: str | None
    ender: str | None
    calls: bool = True


NOVICES = {
    "firewall": Novice(None, "novice.firewall"),
    "firewall-open": Novice(ROUTED, None),
    "firewall-strict": Novice(None, "novice.firewall-strict", calls=False),
    "nat-forwarded": Novice(TRANSLATED, None),
    "firewall-open,nat-forwarded": Novice(TRANSLATED, "novice.nat-forwarded"),
    "nat-symmetric": Novice(None, "novice.nat-symmetric"),
    "cgnat": Novice(None, "novice.cgnat"),
    "upnp-nat,cgnat": Novice(None, "novice.cgnat"),
    "firewall,nat": Novice(None, "novice.nat"),
    "firewall,firewall-open": Novice(None, "novice.firewall"),
    "firewall-open,firewall-open": Novice(ROUTED, None),
    "upnp-nat,firewall-open": Novice(ROUTED, None),
    "icf,nat,firewall,cgnat": Novice(None, "novice.cgnat"),
}


EXPERTS = (
    "firewall",
    "firewall-open",
    "firewall-strict",
    "nat-forwarded",
    "nat-symmetric",
    "cgnat",
    "upnp-nat,cgnat",
    "icf,nat,firewall,cgnat",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Run all methods with the novice behind each chain, and with the expert.

    Most of a run is waiting: a search for a gateway that nobody answers takes three seconds.
    """
    folder = tmp_path_factory.mktemp("devices")
    chains = {Role.NOVICE: NOVICES, Role.EXPERT: EXPERTS}
    sides = [(side, chain) for side in Role for chain in chains[side]]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        ended = pool.map(
            lambda each: run(folder / each[0] / each[1], f"--{each[0]}", each[1]), sides
        )
        return {f"{side} {chain}": each for (side, chain), each in zip(sides, ended, strict=True)}


Ran = tuple[str, Ended]


@pytest.fixture(params=NOVICES)
def behind(request: pytest.FixtureRequest, runs: dict[str, Ended]) -> Ran:
    """The novice behind a chain, the expert direct."""
    return request.param, runs[f"novice {request.param}"]


@pytest.fixture(params=EXPERTS)
def beside(request: pytest.FixtureRequest, runs: dict[str, Ended]) -> Ran:
    """The expert behind a chain, the novice direct."""
    return request.param, runs[f"expert {request.param}"]


def attempts(ended: Ended, scenario_id: str, dialler: Role | None = None) -> list[Attempt]:
    """Return the attempts of a scenario, or one person's."""
    observed = ended.scenario(scenario_id).observed
    assert observed is not None
    return [each for each in observed.attempts if dialler in (None, each.dialler)]


def drops(tried: list[Attempt]) -> set[str]:
    """Return where SYNs were dropped, in the words of the report."""
    return {each.how for each in tried if each.end is End.TIMEOUT}


def dropped(node: str, rule: str = UNSOLICITED) -> str:
    return f"dropped by {node} ({rule})"


def expected(messenger: bool, others: bool, chains: str) -> dict[str, Answer | None]:
    by_method = {Method.MESSENGER: messenger, Method.EMAIL: others, Method.FILE: others}
    return {
        f"{method}/{chains}": Answer.YES if yes else Answer.NO for method, yes in by_method.items()
    }


# The novice behind each


def test_a_novice_is_reached_by_each_method_as_its_device_lets_it_be(behind: Ran) -> None:
    chain, ended = behind
    novice = NOVICES[chain]
    reached = novice.reached_at is not None
    assert ended.answers() == expected(reached or novice.calls, reached, f"{chain}+direct")


@pytest.mark.parametrize("method", ["file", "email", "messenger"])
def test_the_device_that_drops_the_expert_s_syn_is_named(behind: Ran, method: str) -> None:
    chain, ended = behind
    novice = NOVICES[chain]
    tried = attempts(ended, f"{method}/{chain}+direct", Role.EXPERT)
    assert drops(tried) == ({dropped(novice.ender)} if novice.ender else set())
    assert {each.ended_at for each in tried if each.end is End.TIMEOUT} == (
        {novice.ender} if novice.ender else set()
    )


def test_where_the_expert_reaches_the_novice_it_is_at_the_address_that_the_device_makes(
    behind: Ran,
) -> None:
    chain, ended = behind
    tried = attempts(ended, f"file/{chain}+direct")
    connected = [(each.address, each.port) for each in tried if each.end is End.CONNECTED]
    at = NOVICES[chain].reached_at
    assert connected == ([(at, 3389)] if at else [])


def test_what_the_novice_dials_itself_gets_out_unless_the_port_is_not_allowed(behind: Ran) -> None:
    chain, ended = behind
    (tried,) = attempts(ended, f"messenger/{chain}+direct", Role.NOVICE)
    if NOVICES[chain].calls:
        assert tried.end is End.CONNECTED
    else:
        assert tried.how == dropped(f"novice.{chain}", NOT_ALLOWED)


def test_every_attempt_has_an_end_that_was_seen(behind: Ran) -> None:
    _, ended = behind
    for scenario in ended.results.scenarios:
        for each in attempts(ended, scenario.id):
            assert each.ended_at, f"{scenario.id}: {each}"


# The expert behind each


def test_an_expert_behind_any_of_them_reaches_a_direct_novice_by_every_method(
    beside: Ran,
) -> None:
    """Outbound to 3389 is allowed by all, and nothing else is needed."""
    chain, ended = beside
    assert ended.answers() == expected(messenger=True, others=True, chains=f"direct+{chain}")
    (by_file,) = attempts(ended, f"file/direct+{chain}")
    assert (by_file.dialler, by_file.address, by_file.end) == (
        Role.EXPERT,
        TRANSLATED,
        End.CONNECTED,
    )


def test_the_novice_s_own_call_to_such_an_expert_is_dropped_at_its_outermost_device(
    beside: Ran,
) -> None:
    """The expert listens on a port above 1024 that nobody has opened or forwarded there."""
    chain, ended = beside
    expert = topology(expert=chain).expert
    *_, (outermost, _) = box_nodes(Role.EXPERT, expert)
    tried = attempts(ended, f"messenger/direct+{chain}", Role.NOVICE)
    assert drops(tried) == {dropped(outermost)}


# Both behind one


def test_two_firewalls_leave_no_way_and_each_is_named(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--novice", "firewall", "--expert", "firewall")
    assert ended.answers() == expected(messenger=False, others=False, chains="firewall+firewall")
    tried = attempts(ended, "messenger/firewall+firewall")
    assert drops(tried) == {dropped("novice.firewall"), dropped("expert.firewall")}


def test_a_firewall_opened_for_3389_admits_the_novice_s_call_only_if_the_expert_listens_there(
    tmp_path: Path,
) -> None:
    sides = ("--novice", "firewall", "--expert", "firewall-open", "--method", "messenger")
    chains = "messenger/firewall+firewall-open"
    elsewhere = run(tmp_path / "elsewhere", *sides)
    assert elsewhere.answers() == {chains: Answer.NO}
    assert drops(attempts(elsewhere, chains, Role.NOVICE)) == {dropped("expert.firewall-open")}
    there = run(tmp_path / "there", *sides, "--expert-port", "3389")
    assert set(there.answers().values()) == {Answer.YES}


def test_symmetric_nats_on_both_sides_leave_no_way_and_each_is_named(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--novice", "nat-symmetric", "--expert", "nat-symmetric")
    chains = "nat-symmetric+nat-symmetric"
    assert ended.answers() == expected(messenger=False, others=False, chains=chains)
    tried = attempts(ended, f"messenger/{chains}")
    assert drops(tried) == {dropped("novice.nat-symmetric"), dropped("expert.nat-symmetric")}


# How a "No" is said


def test_a_firewall_that_rejects_is_named_by_the_icmp_error_that_it_sends(tmp_path: Path) -> None:
    topologies = own_topologies(tmp_path)
    replace_in(topologies / "devices" / "firewall.toml", '"drop"', '"reject"')
    ended = run(
        tmp_path / "out",
        *("--novice", "firewall", "--method", "file", "--topologies", topologies),
    )
    (tried,) = attempts(ended, "file/firewall+direct")
    assert (tried.end, tried.ended_at) == (End.REFUSED, "novice.firewall")
    assert tried.how == f"ICMP port unreachable from novice.firewall ({UNSOLICITED})"


def test_behind_an_open_firewall_a_novice_that_listens_elsewhere_refuses_by_itself(
    tmp_path: Path,
) -> None:
    """KB307711: the firewall let the SYN in, so it must not be named."""
    path = tmp_path / "moved.toml"
    path.write_text('[novice]\nchain = ["firewall-open"]\nlistens = 3390\n', encoding="utf-8")
    ended = run(tmp_path / "out", "--topology", path, "--method", "file")
    (tried,) = attempts(ended, "file/firewall-open+direct")
    assert (tried.end, tried.ended_at) == (End.REFUSED, "novice")
    assert tried.how == "RST from novice (nothing listens there)"


# Sabotage


def opened(topologies: Path, *devices: str) -> Path:
    """Let unsolicited SYNs to 3389 in at these devices."""
    for device in devices:
        path = topologies / "devices" / f"{device}.toml"
        replace_in(path, 'unsolicited = "drop"', 'unsolicited = "drop"\ninbound = [3389]')
    return topologies


@pytest.mark.parametrize(
    ("novice", "expert", "turned"),
    [
        ("firewall", "direct", {"email", "file"}),
        ("firewall", "nat", {"email", "file", "messenger"}),
        ("direct", "firewall", set()),
        ("firewall-strict", "direct", set()),
    ],
)
def test_a_firewall_opened_for_3389_turns_exactly_the_cells_that_it_keeps_shut(
    tmp_path: Path, novice: str, expert: str, turned: set[str]
) -> None:
    sides = ("--novice", novice, "--expert", expert)
    before = run(tmp_path / "before", *sides).answers()
    topologies = opened(own_topologies(tmp_path), "firewall")
    after = run(tmp_path / "after", *sides, "--topologies", topologies).answers()
    assert {each for each in before if before[each] is not after[each]} == {
        f"{method}/{novice}+{expert}" for method in turned
    }


@pytest.mark.parametrize(
    ("broken", "end"),
    [
        ((), dropped("novice.firewall")),
        (("firewall",), dropped("novice.firewall-strict")),
        (("firewall-strict",), dropped("novice.firewall")),
        (
            ("firewall", "firewall-strict"),
            "answered by novice; both sides hold the invitation",
        ),
    ],
)
def test_a_firewall_that_lets_unsolicited_syns_in_moves_their_end_one_node_further_in(
    tmp_path: Path, broken: tuple[str, ...], end: str
) -> None:
    topologies = opened(own_topologies(tmp_path), *broken)
    ended = run(
        tmp_path / "out",
        *("--novice", "firewall-strict,firewall", "--method", "file"),
        *("--topologies", topologies),
    )
    (tried,) = attempts(ended, "file/firewall-strict,firewall+direct")
    assert tried.how == end


def test_a_symmetric_nat_that_is_forwarded_by_hand_turns_exactly_file_and_email(
    tmp_path: Path,
) -> None:
    topologies = own_topologies(tmp_path)
    path = topologies / "devices" / "nat-symmetric.toml"
    forward = "\n[[nat.forward]]\nport = 3389\nto_port = 3389\n"
    path.write_text(path.read_text(encoding="utf-8") + forward, encoding="utf-8")
    ended = run(tmp_path / "out", "--novice", "nat-symmetric", "--topologies", topologies)
    chains = "nat-symmetric+direct"
    assert ended.answers() == expected(messenger=True, others=True, chains=chains)
    (by_file,) = (each for each in attempts(ended, f"file/{chains}") if each.address == TRANSLATED)
    assert by_file.end is End.CONNECTED
