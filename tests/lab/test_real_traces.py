"""A lab's real capture bears out what the kernels say of each attempt, hop by hop."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from runs import own_topologies, replace_in
from worlds import in_lab

from harness.judge.journey import attempt
from harness.judge.model import Attempt
from harness.judge.trace import Packets, Trace, contradiction, syns, trace
from harness.lab.lab import Lab
from harness.lab.program import Facts, NodeProgram
from harness.protocol import pcapng
from harness.protocol.pcapng import Frame
from harness.protocol.replies import Dialled
from harness.runtime.capture import Capture
from harness.topology.load import Library
from harness.topology.plan import SERVICES, proxy_node
from harness.words import End, Role

PORT = 3389
OUTSIDE = "80.100.10.2"
ROUTED = "80.101.0.2"

# Seconds. A SYN is first sent again after one; a host looks for a neighbour for three.
PATIENCE = 1.5
LONG_PATIENCE = {"nobody of the LAN": 4.0}

STRANGER = """
[novice]
chain = ["nat"]

[expert]
chain = [{device = "upnp-nat", lan = {address = "192.168.1.1/24", host = "192.168.1.50"}}]

[[expert.neighbours]]
name = "printer"
address = "192.168.1.100"
stranger = 3389
"""

# What the two stand behind, and how the expert's attempts end there, by address.
CASES: Mapping[str, str] = {
    "nat drops": '[novice]\nchain = ["nat"]\n',
    "firewall rejects": '[novice]\nchain = ["firewall"]\n\n[expert]\nchain = ["nat"]\n',
    "nothing listens": "[novice]\nlistens = 3390\n",
    "mapped": '[novice]\nchain = ["upnp-nat"]\n\n[expert]\nchain = ["xp-ics"]\n',
    "stranger": STRANGER,
    "nobody of the LAN": '[novice]\nchain = ["nat"]\n\n[expert]\nchain = ["nat"]\n'
    'address = "192.168.1.7"\n',
    "own address": '[novice]\nchain = ["nat"]\n\n[expert]\nchain = ["nat"]\n',
    "proxy": '[novice]\nchain = ["nat"]\n\n'
    '[expert]\nchain = ["socks-proxy"]\nproxy_client = true\n',
    "proxy refuses": '[expert]\nchain = ["http-proxy"]\nproxy_client = true\n',
    "two boxes each": '[novice]\nchain = ["upnp-nat", "cgnat"]\n\n'
    '[expert]\nchain = ["upnp-nat", "cgnat"]\n',
}
NAT_DROP = (End.TIMEOUT, "novice.nat")
ENDS: Mapping[str, Mapping[str, tuple[End, str]]] = {
    "nat drops": {"192.168.1.100": (End.UNREACHABLE, "internet"), OUTSIDE: NAT_DROP},
    "firewall rejects": {ROUTED: (End.REFUSED, "novice.firewall")},
    "nothing listens": {OUTSIDE: (End.REFUSED, "novice")},
    "mapped": {
        "192.168.2.100": (End.UNREACHABLE, "internet"),
        OUTSIDE: (End.CONNECTED, "novice"),
    },
    "stranger": {"192.168.1.100": (End.WRONG_PEER, "expert.printer"), OUTSIDE: NAT_DROP},
    "nobody of the LAN": {"192.168.1.100": (End.UNREACHABLE, "expert"), OUTSIDE: NAT_DROP},
    "own address": {"192.168.1.100": (End.REFUSED, "expert"), OUTSIDE: NAT_DROP},
    "proxy": {"192.168.1.100": (End.UNREACHABLE, "internet"), OUTSIDE: NAT_DROP},
    "proxy refuses": {OUTSIDE: (End.REFUSED, "expert.http-proxy")},
    "two boxes each": {
        "192.168.2.100": (End.REFUSED, "expert"),
        OUTSIDE: (End.TIMEOUT, "novice.cgnat"),
    },
}


@dataclass(frozen=True)
class Case:
    """A capture, and each attempt of the expert's with its trace, by address."""

    name: str
    file: Path
    frames: list[Frame]
    attempts: dict[str, tuple[Attempt, Trace]]


async def start(lab: Lab, node: str, program: str) -> NodeProgram:
    started = lab.start(node, program)
    await started.connect()
    return started


async def dial(lab: Lab, patience: float) -> list[Dialled]:
    """Let the expert dial every address of the novice's invitation by file."""
    site = lab.plan.topology.expert
    reflector = await start(lab, SERVICES, "reflector")
    assert await reflector.expect("ready", 10) is not None
    for node in lab.plan.nodes:
        if node.stranger is not None:
            stranger = await start(lab, node.name, "stranger")
            await stranger.ask("listen", 10, port=node.stranger)
    novice, expert = await start(lab, "novice", "novice"), await start(lab, "expert", "expert")
    listens = lab.plan.topology.novice.listens
    await novice.ask(
        "invite",
        20,
        path="invitation.MsRcIncident",
        password="secret",
        minutes=60,
        listen_port=listens or PORT,
        ticket_port=PORT if listens else None,
        reflector=str(lab.plan.services),
        believe_refusal=True,
    )
    if site.proxy is not None and site.proxy.proxy is not None:
        server = site.proxy.proxy
        proxy = {"protocol": server.protocol.value, "port": server.port}
        await expert.ask("use_proxy", 10, address=str(site.proxy.subnet.address.ip), **proxy)
    invitation = (lab.disk("novice") / "invitation.MsRcIncident").read_bytes()
    (lab.disk("expert") / "received.MsRcIncident").write_bytes(invitation)
    await expert.ask("open", 10, path="received.MsRcIncident")
    reply = await expert.ask(
        "dial", 20, password="secret", patience=patience, proxy_client=site.proxy_client
    )
    return [Dialled.read(each) for each in reply["attempts"]]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("trace")
    topologies = own_topologies(folder)
    replace_in(topologies / "devices" / "firewall.toml", '"drop"', '"reject"')
    definition, file = folder / "topology.toml", folder / "lab.pcapng"
    definition.write_text(CASES[request.param], encoding="utf-8")
    topology = Library(topologies).from_file(definition)
    via = proxy_node(Role.EXPERT, topology.expert)

    async def play(lab: Lab) -> list[Facts]:
        capture = Capture(lab.namespaces)
        dialled = await dial(lab, LONG_PATIENCE.get(request.param, PATIENCE))
        lab.watch.drain()
        with file.open("wb") as stream:
            pcapng.write(stream, capture.interfaces, capture.read())
        assert capture.lost == 0
        capture.close()
        told = [attempt(Role.EXPERT, each, lab.watch.sightings, via) for each in dialled]
        return [
            {"attempt": one.model_dump(mode="json"), "local_port": each.local_port}
            for one, each in zip(told, dialled, strict=True)
        ]

    with_ports = in_lab(topology, play)
    with file.open("rb") as stream:
        frames = list(pcapng.read(stream))
    attempts = {}
    for each in with_ports:
        one = Attempt.model_validate(each["attempt"])
        by_proxy = topology.expert.proxy_client and via is not None
        sender = via if by_proxy and via is not None else "expert"
        port = None if by_proxy else each["local_port"]
        attempts[one.address] = one, trace(Packets(frames), sender, one.address, one.port, port)
    return Case(request.param, file, frames, attempts)


def test_each_attempt_ends_where_it_should(case: Case) -> None:
    ends = {address: (one.end, one.ended_at) for address, (one, _) in case.attempts.items()}
    assert ends == ENDS[case.name]


def test_the_syn_was_last_seen_coming_in_where_the_kernels_say_that_it_ended(case: Case) -> None:
    for address, (one, found) in case.attempts.items():
        if found.sequence is None:
            # It is on no wire only where it ended at its own sender.
            assert (one.ended_at, found.steps) == (found.nodes[0], ()), address
        else:
            assert (found.last_node, found.delivered) == (one.ended_at, True), address
            assert found.nodes[-1] == one.ended_at, address


def test_the_capture_bears_out_every_attempt(case: Case) -> None:
    for one, found in case.attempts.values():
        assert contradiction(found, one) is None


def test_an_attempt_told_otherwise_is_contradicted(case: Case) -> None:
    """Each told as if it had ended one node further, or as connected without an answer."""
    for one, found in case.attempts.values():
        elsewhere = one.model_copy(update={"ended_at": "somewhere"})
        assert contradiction(found, elsewhere) is not None
        if one.end not in (End.CONNECTED, End.WRONG_PEER):
            connected = one.model_copy(update={"end": End.CONNECTED})
            assert contradiction(found, connected) is not None


def test_a_capture_without_the_end_of_the_way_bears_out_no_attempt(case: Case) -> None:
    for one, found in case.attempts.values():
        if found.sequence is None:
            continue
        sender, last = found.nodes[0], found.last_node
        kept = [frame for frame in case.frames if frame.node != last]
        cut = trace(Packets(kept), sender, one.address, one.port, None)
        assert contradiction(cut, one) is not None


def test_only_a_translation_rewrites_and_each_says_what(case: Case) -> None:
    rewrites = {
        (address, rewrite.split(": ")[0], rewrite.split(" ")[1])
        for address, (_, found) in case.attempts.items()
        for rewrite in found.rewrites
    }
    sources = {
        "firewall rejects": {(ROUTED, "expert.nat")},
        "mapped": {("192.168.2.100", "expert.xp-ics"), (OUTSIDE, "expert.xp-ics")},
        "stranger": {(OUTSIDE, "expert.upnp-nat")},
        "nobody of the LAN": {(OUTSIDE, "expert.nat")},
        "own address": {(OUTSIDE, "expert.nat")},
        "two boxes each": {(OUTSIDE, "expert.upnp-nat"), (OUTSIDE, "expert.cgnat")},
    }
    expected = {(*each, "source") for each in sources.get(case.name, set())}
    if case.name == "mapped":
        expected.add((OUTSIDE, "novice.upnp-nat", "destination"))
    assert rewrites == expected


def test_tshark_counts_the_syns_of_each_interface_as_we_do(case: Case) -> None:
    if shutil.which("tshark") is None:
        pytest.fail("tshark is missing: install Debian's package tshark (make setup-tests does)")
    # An ICMP error quotes the SYN, and tshark looks into the quotation too.
    wanted = f"tcp.flags.syn==1 && tcp.flags.ack==0 && tcp.dstport=={PORT} && !icmp"
    command = ["tshark", "-n", "-r", str(case.file), "-Y", wanted, "-T", "fields"]
    said = subprocess.run(
        [*command, "-e", "frame.interface_name"], capture_output=True, text=True, check=True
    )
    assert Counter(said.stdout.split()) == syns(case.frames, PORT)


@pytest.mark.parametrize("case", ["nat drops"], indirect=True)
def test_a_syn_that_nobody_answers_is_seen_each_time_that_it_is_sent(case: Case) -> None:
    _, found = case.attempts[OUTSIDE]
    again = [step.interface for step in found.steps if step.again]
    assert again == [step.interface for step in found.steps if not step.again]
    counted = syns(case.frames, PORT)
    assert counted["novice.nat/wan"] == 2
