"""What is wrong with a command or a bench is said in one line, by exit code 2, before anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hosts
import pytest
from gear_runs import COMMAND, SECONDS, Command, Ended, Gear, Later, Outcome, later, played, router
from routers import GearRouter, LegacyRouter, TestBench

pytestmark = pytest.mark.timeout(SECONDS)

BENCH = """\
[[router]]
name = "acme"
model = "X1"
firmware = "1.2"
lan_nic = "lan0"
wan_nic = "wan0"
claims = "nat"
"""


@dataclass(frozen=True)
class Misuse:
    """Arguments, a bench file if one is due, and what is to be said."""

    arguments: Sequence[str]
    says: str
    bench: str | None = None
    prefix: Sequence[str] = ()


NICS = ("--lan", "lan0", "--wan", "wan0")

MISUSES = {
    "no NICs": Misuse((), "name the NICs: --lan NIC --wan NIC, or --bench FILE"),
    "one NIC": Misuse(("--lan", "lan0"), "name the NICs"),
    "the same NIC twice": Misuse(
        ("--lan", "lan0", "--wan", "lan0"), "lan0 is lan_nic of gear and wan_nic of gear"
    ),
    "an unknown NIC": Misuse(("--lan", "lan0", "--wan", "wan7"), "there is no NIC wan7; there are"),
    "no name of a NIC": Misuse(("--lan", "lan/0", "--wan", "wan0"), "is no name of an interface"),
    "NICs twice": Misuse(("--lan", "lan0"), "--bench says it all", bench=BENCH),
    "not root": Misuse(NICS, "only root may take a NIC", prefix=("/usr/bin/unshare", "--user")),
    "a claim that nobody makes": Misuse((*NICS, "--claims", "x"), "'x' is not one of 'nat'"),
    "an address in use": Misuse(("--lan", "used", "--wan", "wan0"), "192.0.2.1/24"),
    "no check": Misuse(
        (*NICS, "--check", "nat"), "--check nat: no such check; --list-checks lists them"
    ),
    "neither scenarios nor a card": Misuse(
        (*NICS, "--no-card", "--no-scenarios"), "--no-card leaves nothing for --no-scenarios"
    ),
    "a check without a card": Misuse(
        (*NICS, "--no-card", "--check", "nat-mapping"), "--no-card leaves nothing for --check"
    ),
    "slow checks without a card": Misuse(
        (*NICS, "--no-card", "--slow"), "--no-card leaves nothing for --slow"
    ),
    "a method without scenarios": Misuse(
        (*NICS, "--no-scenarios", "--method", "file"), "--no-scenarios leaves nothing for --method"
    ),
    "a results folder that the world covers": Misuse((*NICS, "--out", "/run/x"), "put it elsewh"),
    "no results folder": Misuse((*NICS, "--out", ""), "--out (make: OUT=) names no folder"),
    "no bench file": Misuse(("--bench", "/nowhere/bench.toml"), "No such file or directory"),
    "no TOML": Misuse((), "bench.toml: Expected", bench="[[router"),
    "a key too many": Misuse((), "router[1].colour: there is no such key", BENCH + "colour = 1\n"),
    "a key too few": Misuse(
        (), "router[1].model: this key is missing", BENCH.replace('model = "X1"\n', "")
    ),
    "a device's name": Misuse(
        (), "nat is one of the project's own devices", BENCH.replace("acme", "nat")
    ),
    "no router": Misuse((), "router", "[patience]\nanswer = 1.0\n"),
    "three routers": Misuse((), "router", BENCH * 3),
    "pppoe": Misuse((), "pppoe is not built yet", BENCH + '[router.wan]\naddressing = "pppoe"\n'),
    "a WAN address of the lab's own internet": Misuse(
        (),
        "acme: its WAN's network 91.30.30.0/24 overlaps 91.30.30.0/24 of the internet's services",
        BENCH + '[router.wan]\naddressing = "static"\naddress = "91.30.30.7"\n',
    ),
    "no patience": Misuse((), "patience.answer", BENCH + "[patience]\nanswer = 0\n"),
    "a power cycle by a program that is not there": Misuse(
        ("--power-cycle",),
        "power_cycle: /nowhere/relay: No such file or directory",
        BENCH + 'power_cycle = ["/nowhere/relay", "off"]\n',
    ),
    "a power cycle that fails": Misuse(
        ("--power-cycle",), "power_cycle: ", BENCH + 'power_cycle = ["/bin/false"]\n'
    ),
    "a power cycle for a NIC that is not there": Misuse(
        ("--power-cycle",),
        "there is no NIC wan7",
        BENCH.replace("wan0", "wan7") + 'power_cycle = ["/usr/bin/touch", "cycled"]\n',
    ),
}


@dataclass(frozen=True)
class Refused:
    """How a command ended, whether anything was touched, and the files beside its bench."""

    ended: Ended
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    files: list[str]


def refused(folder: Path) -> dict[str, Refused]:
    """Misuse the command in every way, one after the other, on one machine."""
    with TestBench() as bench:
        gear = Gear(bench, folder)
        gear.nics += ["lan0", "wan0", "used"]
        with bench.host.entered():
            for nic in gear.nics:
                hosts.run(f"ip link add {nic} type veth peer name far-{nic}")
            hosts.run("ip addr add 192.0.2.1/24 dev used")
        found = {}
        for number, (name, misuse) in enumerate(MISUSES.items()):
            own = folder / str(number)
            own.mkdir()
            found[name] = _misused(misuse, gear, own)
        return found


def _misused(misuse: Misuse, gear: Gear, folder: Path) -> Refused:
    arguments = [*misuse.prefix, str(COMMAND), "gear", *misuse.arguments]
    if misuse.bench is not None:
        file = folder / "bench.toml"
        text = misuse.bench.replace('"cycled"', f'"{folder}/cycled"')
        file.write_text(text, encoding="utf-8")
        arguments += ["--bench", str(file)]
    if "--out" not in arguments:
        arguments += ["--out", str(folder / "results")]
    before = gear.states()
    ended = Command(arguments, folder, gear.bench.host).wait()
    files = [each.name for each in folder.iterdir()]
    return Refused(ended, before, gear.states_as(before), files)


REFUSED: Later[dict[str, Refused]] = later(refused)


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_is_said_in_one_line_and_nothing_is_touched(name: str) -> None:
    found = REFUSED.result()[name]
    assert found.ended.status == 2, found.ended.said
    assert found.ended.out == ""
    lines = [line for line in found.ended.err.splitlines() if "turning it off" not in line]
    assert len(lines) == 1, found.ended.err
    assert lines[0].startswith("ra-harness: ")
    assert MISUSES[name].says in lines[0]
    assert found.after == found.before
    assert "cycled" not in found.files


# --- Routers that do not come up ------------------------------------------------------------------


class WithoutDhcp(LegacyRouter):
    """Its LAN gives no addresses."""

    def services(self) -> Sequence[tuple[str, ...]]:
        return ()


class Closed(LegacyRouter):
    """It has addresses on both sides and forwards nothing."""

    def boot(self) -> Sequence[str]:
        return (*super().boot(), "echo 0 > /proc/sys/net/ipv4/ip_forward")


def _as_it_is(gear: Gear) -> None:
    pass


def _exchanged(gear: Gear) -> None:
    """Plug the router's LAN where the bench file has its WAN."""
    text = gear.file.read_text(encoding="utf-8")
    text = text.replace('"lan0"', '"?"').replace('"wan0"', '"lan0"').replace('"?"', '"wan0"')
    gear.file.write_text(text, encoding="utf-8")


def _unplugged(side: str, gear: Gear) -> None:
    """Take the router's cable out at the router."""
    _, inside = gear.bench.namespaces
    with inside.entered():
        hosts.run(f"ip link set {side} down")


@dataclass(frozen=True)
class Trouble:
    """A router, what is done to its bench, how long it has, and what is to be said."""

    kind: Callable[[], GearRouter]
    spoil: Callable[[Gear], None]
    patience: Mapping[str, float]
    says: str


TROUBLES = {
    "no link on the LAN": Trouble(
        LegacyRouter,
        partial(_unplugged, "lan"),
        {"link": 2.0},
        r"lan0, LAN of legacy, has no link after 2 s: is the cable in.*\(patience\.link",
    ),
    "no link on the WAN": Trouble(
        LegacyRouter,
        partial(_unplugged, "wan"),
        {"link": 2.0},
        r"wan0, WAN of legacy, has no link after 2 s: is the cable in.*\(patience\.link",
    ),
    "LAN and WAN exchanged": Trouble(
        LegacyRouter,
        _exchanged,
        {"lease": 4.0},
        r"legacy took no address by DHCP on its WAN \(lan0\) within 4 s: .* exchanged\?"
        r" \(patience\.lease",
    ),
    "no DHCP on the LAN": Trouble(
        WithoutDhcp,
        _as_it_is,
        {"lease": 10.0},
        "legacy gave no address by DHCP on its LAN within 10 s: is its DHCP server on",
    ),
    "nothing is forwarded": Trouble(
        Closed,
        _as_it_is,
        {"boot": 2.0},
        r"legacy has addresses on both sides and passed nothing from 192\.168\.1\.\d+ to .* within"
        r" 2 s \(patience\.boot",
    ),
}


def troubled(trouble: Trouble, folder: Path) -> Outcome:
    own = router(trouble.kind)
    with TestBench() as bench:
        gear = Gear(bench, folder, own, patience=trouble.patience)
        trouble.spoil(gear)
        return played(gear, [own], ["--no-card"])


TROUBLED: dict[str, Later[Outcome]] = {
    name: later(partial(troubled, trouble)) for name, trouble in TROUBLES.items()
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_router_that_does_not_come_up_is_told_with_what_to_look_at(name: str) -> None:
    outcome = TROUBLED[name].result()
    assert outcome.ended.status == 2, outcome.ended.said
    last = outcome.ended.err.splitlines()[-1]
    assert last.startswith("ra-harness: ")
    assert re.search(TROUBLES[name].says, last), last
    assert "Traceback" not in outcome.ended.said
    assert outcome.after == outcome.before
