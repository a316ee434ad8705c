"""What the controls read off a node, from what a kernel, ss and nft have really printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import pytest
from testinfra.host import Host

from harness.judge.model import Control
from harness.lab import controls
from harness.lab.controls import (
    DAEMON,
    FORWARDING,
    INVITATION,
    LISTENERS,
    RULES,
    Seen,
    control_node,
    forwarding,
    loaded_rules,
    look,
    mapping_daemon,
    only_listening,
    open_invitation,
)
from harness.runtime.inside import LIST_RULES, LIST_SOCKETS
from harness.topology.load import Library, default_folder
from harness.topology.plan import LabPlan, plan

# Recorded in nodes of labs, on kernel 6.18 with iproute2 6.1 and nftables 1.0.6; but for spaces at
# the ends of lines.

# `ss -Hlntu` in a node in which TCP 3389 and 110 listen and UDP 1900 and 5351 take what comes, two
# of them by IPv6.
SS_SOCKETS = """\
udp   UNCONN 0      0            0.0.0.0:1900      0.0.0.0:*
udp   UNCONN 0      0                  *:5351            *:*
tcp   LISTEN 0      128          0.0.0.0:3389      0.0.0.0:*
tcp   LISTEN 0      50              [::]:110          [::]:*
"""

LISTED = """\
table inet watch {
	chain output {
		type filter hook output priority 300; policy accept;
		tcp flags syn,rst log prefix "sent" group 3389
		icmp type destination-unreachable log prefix "sent" group 3389
	}
}"""

SWITCH = "/proc/sys/net/ipv4/ip_forward"

# `ss -Hlntup` in the gateways of xp-ics and me-ics, and in one of xp-ics in which another process
# and its child have both ports too.
SS_XP_ICS = """\
udp UNCONN 0      0      0.0.0.0%lan:1900  0.0.0.0:* users:(("miniupnpd",pid=3,fd=5))
udp UNCONN 0      0      192.168.0.1:39255 0.0.0.0:* users:(("miniupnpd",pid=3,fd=6))
tcp LISTEN 0      5            *%lan:2869        *:* users:(("miniupnpd",pid=3,fd=4))
"""
SS_ME_ICS = """\
udp UNCONN 0      0      192.168.0.1:5351 0.0.0.0:* users:(("miniupnpd",pid=3,fd=4))
udp UNCONN 0      0             [::]:5351    [::]:* users:(("miniupnpd",pid=3,fd=5))
"""
SS_CROWDED = """\
udp UNCONN 0      0      0.0.0.0%wan:1900  0.0.0.0:* users:(("python",pid=8,fd=24),("python",pid=2,fd=24))
udp UNCONN 0      0      0.0.0.0%lan:1900  0.0.0.0:* users:(("miniupnpd",pid=3,fd=5))
udp UNCONN 0      0      192.168.0.1:51838 0.0.0.0:* users:(("miniupnpd",pid=3,fd=6))
tcp LISTEN 0      128    0.0.0.0%wan:2869  0.0.0.0:* users:(("python",pid=8,fd=23),("python",pid=2,fd=23))
tcp LISTEN 0      5            *%lan:2869        *:* users:(("miniupnpd",pid=3,fd=4))
"""  # noqa: E501 - as ss prints it
SS = "ss -Hlntup"
XP_ICS_PORTS = ("UDP 1900", "TCP 2869")


@dataclass(frozen=True)
class Said:
    """What a command printed, and whether it succeeded."""

    stdout: str
    succeeded: bool = True


class Recorded:
    """A node of which some files and the words of some commands were recorded, and no others."""

    def __init__(self, answers: Mapping[str, Said]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def run(self, command: str, *words: str) -> Said:
        whole = command % words if words else command
        self.asked.append(whole)
        return self._answers.get(whole, Said("", succeeded=False))


def shows(*recorded: dict[str, Said]) -> Host:
    """Return a node that says all of this."""
    answers: dict[str, Said] = {}
    for each in recorded:
        answers |= each
    return cast(Host, Recorded(answers))


def file(path: str, text: str) -> dict[str, Said]:
    return {f"cat {path}": Said(text)}


TABLES = {LIST_SOCKETS: Said(SS_SOCKETS)}
RULED = {LIST_RULES: Said(LISTED)}


# --- sockets


def test_a_port_comes_once_for_each_socket_that_listens_on_it() -> None:
    row = "tcp   LISTEN 0      128          {}:3389      0.0.0.0:*\n"
    twice = row.format("0.0.0.0") + row.format("127.0.0.1")
    seen = look(shows({LIST_SOCKETS: Said(twice)}), rules=False)
    assert seen.listening == Counter({"TCP 3389": 2})


def test_what_is_no_row_is_no_socket() -> None:
    said = Said("ss: command not found\n\n")
    assert look(shows({LIST_SOCKETS: said}), rules=False).listening == Counter()


# --- looking


def test_a_node_is_seen_by_its_switch_its_sockets_and_its_rules() -> None:
    assert look(shows(file(SWITCH, "1\n"), TABLES, RULED), rules=True) == Seen(
        forwards="1",
        listening=Counter(["TCP 3389", "TCP 110", "UDP 1900", "UDP 5351"]),
        rules=LISTED,
    )


def test_rules_that_nobody_asked_for_are_not_listed() -> None:
    host = Recorded({**TABLES, **RULED})
    assert look(cast(Host, host), rules=False).rules is None
    assert LIST_RULES not in host.asked


def test_an_empty_ruleset_is_another_thing_than_one_that_cannot_be_listed() -> None:
    assert look(shows({LIST_RULES: Said("")}), rules=True).rules == ""
    refused = Said("", succeeded=False)
    assert look(shows({LIST_RULES: refused}), rules=True).rules is None


def test_a_node_that_shows_nothing_is_seen_to_be_nothing() -> None:
    seen = look(shows(), rules=True)
    assert seen == Seen(forwards="", listening=None, rules=None)
    assert not only_listening(LISTENERS, seen, "internet", []).passed
    control = mapping_daemon(shows(), "novice.xp-ics", [])
    assert (control.passed, control.detail) == (False, f"{SS} failed there")


# --- forwarding


def seen_as(
    forwards: str = "1", listening: tuple[str, ...] = (), rules: str | None = LISTED
) -> Seen:
    return Seen(forwards, Counter(listening), rules)


def lab(novice: str) -> LabPlan:
    return plan(Library(default_folder()).from_chains((novice,), ()))


@pytest.mark.parametrize(
    ("device", "switch", "passed", "detail"),
    [
        ("nat", "1", True, "ip_forward is 1, planned 1"),
        ("nat", "0", False, "ip_forward is 0, planned 1"),
        ("nat", "", False, "ip_forward is not to be seen, planned 1"),
        ("socks-proxy", "0", True, "ip_forward is 0, planned 0"),
        ("socks-proxy", "1", False, "ip_forward is 1, planned 0"),
        ("socks-proxy", "", False, "ip_forward is not to be seen, planned 0"),
    ],
)
def test_a_gateway_forwards_and_a_proxy_s_box_does_not(
    device: str, switch: str, passed: bool, detail: str
) -> None:
    node = lab(device).node(f"novice.{device}")
    expected = Control(name=FORWARDING, node=node.name, passed=passed, detail=detail)
    assert forwarding(seen_as(switch), node) == expected


# --- rules


def rules_control(found: str | None, wanted: str = LISTED) -> Control:
    control = loaded_rules(seen_as(rules=found), "novice.nat", wanted)
    assert (control.name, control.node) == (RULES, "novice.nat")
    return control


def test_the_generated_rules_pass() -> None:
    control = rules_control(LISTED)
    assert (control.passed, control.detail) == (True, "7 lines as generated")


SENT_RULE = '\t\ttcp flags syn,rst log prefix "sent" group 3389\n'


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (None, "nft list ruleset failed there"),
        ("", "0 lines are loaded, generated 7"),
        (LISTED.removesuffix("\n}"), "6 lines are loaded, generated 7"),
        (f"{LISTED}\ntable ip other {{\n}}", "9 lines are loaded, generated 7"),
        (
            LISTED.replace("policy accept", "policy drop"),
            "line 3 is 'type filter hook output priority 300; policy drop;', "
            "generated 'type filter hook output priority 300; policy accept;'",
        ),
        (
            LISTED.replace(SENT_RULE, ""),
            "line 4 is 'icmp type destination-unreachable log prefix \"sent\" group 3389', "
            "generated 'tcp flags syn,rst log prefix \"sent\" group 3389'",
        ),
    ],
)
def test_other_rules_fail_and_the_first_difference_is_shown(found: str | None, detail: str) -> None:
    control = rules_control(found)
    assert (control.passed, control.detail) == (False, detail)


# --- the mapping daemon


def daemon_control(ss: str, *ports: str) -> tuple[bool, str]:
    control = mapping_daemon(shows({SS: Said(ss)}), "novice.xp-ics", ports)
    assert (control.name, control.node) == (DAEMON, "novice.xp-ics")
    return control.passed, control.detail


def test_a_daemon_that_alone_has_all_of_its_ports_passes() -> None:
    said = "UDP 1900: miniupnpd; TCP 2869: miniupnpd"
    assert daemon_control(SS_XP_ICS, *XP_ICS_PORTS) == (True, said)


def test_one_process_with_two_sockets_on_a_port_is_one_process() -> None:
    assert daemon_control(SS_ME_ICS, "UDP 5351") == (True, "UDP 5351: miniupnpd")


def test_a_port_that_the_daemon_shares_fails() -> None:
    passed, detail = daemon_control(SS_CROWDED, *XP_ICS_PORTS)
    assert not passed
    for port in XP_ICS_PORTS:
        assert f"{port}: " in detail
    assert detail.count("python") == 4
    assert detail.count("miniupnpd") == 2


def test_another_program_on_another_port_fails() -> None:
    """On any other gateway it would too: somebody who serves 3389 there makes a false "Yes"."""
    other = SS_CROWDED.splitlines()[3].replace(":2869", ":3389")
    said = "UDP 1900: miniupnpd; TCP 2869: miniupnpd; TCP 3389: python, python"
    assert daemon_control(f"{SS_XP_ICS}{other}\n", *XP_ICS_PORTS) == (False, said)


def test_a_socket_that_no_process_has_fails() -> None:
    other = "tcp LISTEN 0      128    0.0.0.0:3389  0.0.0.0:*"
    said = "UDP 1900: miniupnpd; TCP 2869: miniupnpd; TCP 3389: nobody"
    assert daemon_control(f"{SS_XP_ICS}{other}\n", *XP_ICS_PORTS) == (False, said)


def test_two_daemons_of_one_name_fail() -> None:
    second = SS_XP_ICS.splitlines()[2].replace("pid=3", "pid=4").replace("%lan", "%wan")
    said = "UDP 1900: miniupnpd; TCP 2869: miniupnpd, miniupnpd"
    assert daemon_control(f"{SS_XP_ICS}{second}\n", *XP_ICS_PORTS) == (False, said)


def test_two_daemons_that_share_the_ports_out_fail() -> None:
    ss = SS_XP_ICS.replace("pid=3,fd=4", "pid=4,fd=4")
    said = "UDP 1900: miniupnpd; TCP 2869: miniupnpd"
    assert daemon_control(ss, *XP_ICS_PORTS) == (False, said)


def test_another_program_on_the_daemon_s_ports_fails() -> None:
    passed, detail = daemon_control(SS_XP_ICS.replace("miniupnpd", "upnpd"), *XP_ICS_PORTS)
    assert not passed
    assert detail.startswith("UDP 1900: upnpd; TCP 2869: upnpd")


@pytest.mark.parametrize(
    ("ss", "detail"),
    [
        (SS_XP_ICS.splitlines()[0], "UDP 1900: miniupnpd; TCP 2869: nobody"),
        # The same number of the other protocol is another port.
        (SS_XP_ICS.replace("tcp LISTEN", "udp UNCONN"), "UDP 1900: miniupnpd; TCP 2869: nobody"),
        # The end of a number is not the number.
        (SS_XP_ICS.replace(":2869", ":12869"), "UDP 1900: miniupnpd; TCP 2869: nobody"),
        ("", "UDP 1900: nobody; TCP 2869: nobody"),
    ],
)
def test_a_port_that_nobody_has_fails(ss: str, detail: str) -> None:
    assert daemon_control(ss, *XP_ICS_PORTS) == (False, detail)


# --- listeners


@pytest.mark.parametrize(
    ("there", "wanted", "detail"),
    [
        ((), (), "listening: nothing"),
        (("TCP 1080",), ("TCP 1080",), "listening: TCP 1080"),
        (("UDP 1900",), (), "listening: UDP 1900; should be: nothing"),
        ((), ("TCP 1080",), "listening: nothing; should be: TCP 1080"),
        (("UDP 1080",), ("TCP 1080",), "listening: UDP 1080; should be: TCP 1080"),
        (
            ("TCP 1080", "TCP 1080"),
            ("TCP 1080",),
            "listening: TCP 1080, TCP 1080; should be: TCP 1080",
        ),
    ],
)
def test_sockets_listen_where_they_should_once_each_and_nowhere_else(
    there: tuple[str, ...], wanted: tuple[str, ...], detail: str
) -> None:
    control = only_listening(LISTENERS, seen_as(listening=there), "internet", wanted)
    passed = there == wanted
    assert control == Control(name=LISTENERS, node="internet", passed=passed, detail=detail)


def test_an_open_invitation_is_its_port_and_nothing_else() -> None:
    alone = shows({LIST_SOCKETS: Said(SS_SOCKETS.splitlines()[2])})
    expected = Control(name=INVITATION, node="novice", passed=True, detail="listening: TCP 3389")
    assert open_invitation(alone, "novice", 3389) == expected
    assert not open_invitation(alone, "novice", 3390).passed
    assert not open_invitation(shows(TABLES), "novice", 3389).passed
    assert not open_invitation(shows(), "novice", 3389).passed


# --- which controls a node has


@pytest.mark.parametrize(
    ("device", "node", "names"),
    [
        ("nat", "novice.nat", [FORWARDING, RULES, LISTENERS]),
        ("xp-ics", "novice.xp-ics", [FORWARDING, RULES, DAEMON]),
        ("socks-proxy", "novice.socks-proxy", [FORWARDING, RULES, LISTENERS]),
        ("nat", "internet", [FORWARDING, RULES, LISTENERS]),
        ("icf", "novice", [FORWARDING, RULES, LISTENERS]),
        ("nat", "novice", []),
        ("nat", "services", []),
    ],
)
def test_each_kind_of_node_has_its_controls(
    monkeypatch: pytest.MonkeyPatch, device: str, node: str, names: list[str]
) -> None:
    monkeypatch.setattr(controls, "reference", lambda _: LISTED)
    host = shows(file(SWITCH, "1\n"), TABLES, RULED, {SS: Said(SS_XP_ICS)})
    made = list(control_node(host, lab(device).node(node), XP_ICS_PORTS))
    assert [control.name for control in made] == names
    assert {control.node for control in made} <= {node}
    assert all(control.passed for control in made if control.name in {RULES, DAEMON})
