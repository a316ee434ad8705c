"""Port mapping by real daemons: found, granted, used as granted, and removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import in_lab, topology

from harness.lab.lab import Lab
from harness.lab.program import Facts, NodeProgram
from harness.topology.load import Library, default_folder
from harness.topology.plan import SERVICES

MAPPING = ("xp-ics", "me-ics", "upnp-nat")
OTHER = {"xp-ics": "192.168.0.9", "me-ics": "192.168.0.9", "upnp-nat": "192.168.2.9"}


async def _novice(lab: Lab) -> NodeProgram:
    reflector = lab.start(SERVICES, "reflector")
    await reflector.connect()
    assert await reflector.expect("ready", 10) is not None
    novice = lab.start("novice", "novice")
    await novice.connect()
    return novice


async def _invite(lab: Lab, novice: NodeProgram) -> list[str]:
    reply = await novice.ask(
        "invite",
        10,
        path="invitation.MsRcIncident",
        password="secret",
        minutes=60,
        listen_port=3389,
        ticket_port=None,
        reflector=str(lab.plan.services),
        believe_refusal=True,
    )
    return list(reply["addresses"])


def _dnat(lab: Lab, device: str) -> list[str]:
    return [line.strip() for line in lab.rules(f"novice.{device}").splitlines() if "dnat" in line]


@pytest.mark.parametrize("device", MAPPING)
def test_the_mapping_is_there_while_the_invitation_is_and_gone_after(device: str) -> None:
    async def play(lab: Lab) -> Facts:
        before = _dnat(lab, device)
        novice = await _novice(lab)
        addresses = await _invite(lab, novice)
        during = _dnat(lab, device)
        await novice.ask("close", 10)
        return {
            "before": before,
            "during": during,
            "after": _dnat(lab, device),
            "addresses": addresses,
        }

    seen = in_lab(topology(novice=device), play)
    static = ['iifname "wan" ct status dnat accept']
    assert seen["before"] == static
    assert seen["after"] == static
    (mapped,) = (line for line in seen["during"] if line not in static)
    assert "3389" in mapped
    assert "80.100.10.2:3389" in seen["addresses"]


@pytest.mark.parametrize("device", MAPPING)
def test_the_ticket_carries_the_port_that_was_granted_and_it_works(
    device: str, tmp_path: Path
) -> None:
    """Another host of the LAN has external port 3389 already, so the novice is given another."""
    path = tmp_path / "topology.toml"
    neighbours = f'name = "other"\naddress = "{OTHER[device]}"\n'
    path.write_text(
        f'[novice]\nchain = ["{device}"]\n\n[[novice.neighbours]]\n{neighbours}', encoding="utf-8"
    )

    async def play(lab: Lab) -> Facts:
        other = lab.start("novice.other", "novice")
        await other.connect()
        taken = await _invite(lab, other)
        novice = await _novice(lab)
        given = await _invite(lab, novice)
        expert = lab.start("expert", "expert")
        await expert.connect()
        invitation = (lab.disk("novice") / "invitation.MsRcIncident").read_bytes()
        (lab.disk("expert") / "received.MsRcIncident").write_bytes(invitation)
        await expert.ask("open", 10, path="received.MsRcIncident")
        dialled = await expert.ask("dial", 20, password="secret", patience=4, proxy_client=False)
        return {"taken": taken, "given": given, "attempts": dialled["attempts"]}

    seen = in_lab(Library(default_folder()).from_file(path), play)
    assert "80.100.10.2:3389" in seen["taken"]
    (external,) = (each for each in seen["given"] if each.startswith("80.100.10.2:"))
    assert external != "80.100.10.2:3389"
    connected = [each for each in seen["attempts"] if each["end"] == "connected"]
    assert [f"{each['address']}:{each['port']}" for each in connected] == [external]


def test_a_gateway_behind_another_nat_refuses_and_the_ticket_names_the_outer_address() -> None:
    """The daemon will not map on a private WAN address; the reflector sees the outer NAT's."""

    async def play(lab: Lab) -> list[str]:
        return await _invite(lab, await _novice(lab))

    addresses = in_lab(topology(novice="upnp-nat,nat"), play)
    assert addresses == ["192.168.2.100:3389", "80.100.10.2:3389"]
