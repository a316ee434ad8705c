"""Each thing broken on purpose turns exactly the cells that it should, and no others."""

from __future__ import annotations

from pathlib import Path

from runs import ARTICLE_IDS, fake_daemon, own_topologies, replace_in, run

from harness.words import Answer, End, Verdict

MAPPING = ("xp-ics", "me-ics", "upnp-nat")

# By the article, what works without a mapping: Messenger with one side direct, and file and e-mail
# with a direct novice.
NEEDS_A_MAPPING = {f"messenger/{device}+{device}" for device in MAPPING} | {
    f"{method}/{device}+{expert}"
    for method in ("file", "email")
    for device in MAPPING
    for expert in ("direct", device)
}

BEHIND_PLAIN_NAT = {
    "messenger/nat+nat",
    "file/nat+direct",
    "email/nat+direct",
    "file/nat+nat",
    "email/nat+nat",
}


def test_a_mapping_daemon_that_never_starts_is_seen_in_exactly_its_devices_cells(
    tmp_path: Path,
) -> None:
    """They are invalid, for the lab is not what it says, and what was observed falls to "No"
    exactly where the connection needs the mapping."""
    broken = run(tmp_path / "out", environment=fake_daemon(tmp_path, "echo no such device; exit 7"))
    with_daemon = {each for each in ARTICLE_IDS if any(device in each for device in MAPPING)}
    assert broken.cells(Verdict.INVALID) == with_daemon
    assert broken.cells(Verdict.AGREES) == ARTICLE_IDS - with_daemon
    no = {each for each, answer in broken.answers().items() if answer is Answer.NO}
    assert no & ARTICLE_IDS == NEEDS_A_MAPPING | BEHIND_PLAIN_NAT
    assert broken.status == 3
    why = broken.scenario("file/me-ics+direct").why
    assert "novice.me-ics: nothing listens on UDP 5351" in why
    assert "status 7; its last words: no such device" in why


def test_a_mapping_daemon_that_hangs_is_seen_as_well(tmp_path: Path) -> None:
    broken = run(
        tmp_path / "out",
        *("--novice", "xp-ics", "--method", "file"),
        environment=fake_daemon(tmp_path, "exec sleep 1000"),
    )
    assert broken.verdicts(Verdict.INVALID) == {"file/xp-ics+direct"}
    assert "it runs" in broken.scenario("file/xp-ics+direct").why


def test_a_nat_that_forwards_unsolicited_syns_turns_exactly_the_no_cells(tmp_path: Path) -> None:
    topologies = own_topologies(tmp_path)
    nat = topologies / "devices" / "nat.toml"
    replace_in(nat, 'unsolicited = "drop"\n', _OPEN_NAT)
    open_nat = run(tmp_path / "out", "--topologies", topologies)
    assert open_nat.cells(Verdict.DIFFERS) == BEHIND_PLAIN_NAT
    assert open_nat.cells(Verdict.AGREES) == ARTICLE_IDS - BEHIND_PLAIN_NAT
    assert open_nat.status == 1
    assert "documented no, observed yes" in open_nat.scenario("file/nat+nat").why


def test_a_novice_that_listens_on_another_port_than_its_ticket_says_is_not_reached(
    tmp_path: Path,
) -> None:
    """KB307711. Only the reverse direction of Messenger is left, so the cells that turn are file
    and e-mail's every "Yes", and Messenger's where the expert cannot be reached either."""
    topologies = own_topologies(tmp_path)
    for path in (topologies / "kb301529").glob("*.toml"):
        replace_in(path, "[novice]\n", "[novice]\nlistens = 3390\n")
    moved = run(tmp_path / "out", "--topologies", topologies)
    turned = {
        each for each in ARTICLE_IDS if not each.startswith("messenger/")
    } - BEHIND_PLAIN_NAT | {"messenger/direct+nat"}
    assert moved.cells(Verdict.DIFFERS) == turned
    assert moved.cells(Verdict.AGREES) == ARTICLE_IDS - turned
    observed = moved.scenario("file/upnp-nat+direct").observed
    assert observed is not None
    mapped = observed.attempts[-1]
    assert (mapped.end, mapped.ended_at) == (End.REFUSED, "novice")


def test_a_stranger_at_an_address_of_the_ticket_turns_no_cell(tmp_path: Path) -> None:
    """A host of the expert's LAN has the novice's private address and answers on 3389."""
    topologies = own_topologies(tmp_path)
    with_stranger = set()
    for device, novice, expert in (
        ("xp-ics", "192.168.0.2", "192.168.0.3"),
        ("me-ics", "192.168.0.2", "192.168.0.3"),
        ("nat", "192.168.1.100", "192.168.1.101"),
        ("upnp-nat", "192.168.2.100", "192.168.2.101"),
    ):
        path = topologies / "kb301529" / f"{device}+{device}.toml"
        replace_in(path, "[expert]\n", f'[expert]\naddress = "{expert}"\n')
        neighbour = f'name = "printer"\naddress = "{novice}"\nstranger = 3389\n'
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n[[expert.neighbours]]\n{neighbour}")
        with_stranger |= {f"{m}/{device}+{device}" for m in ("messenger", "file", "email")}
    ended = run(tmp_path / "out", "--topologies", topologies)
    assert ended.cells(Verdict.AGREES) == ARTICLE_IDS
    assert ended.status == 0
    for scenario_id in with_stranger:
        observed = ended.scenario(scenario_id).observed
        assert observed is not None
        met = {each.ended_at for each in observed.attempts if each.end is End.WRONG_PEER}
        assert met == {"expert.printer"}, scenario_id


_OPEN_NAT = """unsolicited = "drop"

[[nat.forward]]
port = 3389
to_port = 3389
"""
