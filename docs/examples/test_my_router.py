"""What our router has to do for Remote Assistance: run it with ``pytest test_my_router.py``."""

import pytest

from harness.plugin.errors import Refused


@pytest.mark.topology(novice="upnp-nat", expert="nat")
@pytest.mark.method("messenger", "email", "file")
def test_the_router_lets_the_expert_in(scenario):
    """A UPnP router maps the port that the novice asks for, whichever way the ticket travels."""
    assert scenario().answer == "yes"


def test_a_router_without_upnp_drops_what_nobody_asked_for(scenario):
    """A "no" names the node that ended it."""
    result = scenario("nat", "direct", method="file")
    assert result.answer == "no"
    assert result.verdict == "agrees"
    assert result.attempts[-1].ended_at == "novice.nat"


def test_the_mapping_is_gone_when_the_invitation_is(invite):
    """The novice's mapping ends with the invitation, not at some later time."""
    invitation = invite("upnp-nat", "direct")
    assert invitation.dial().answer == "yes"
    invitation.close()
    assert invitation.dial().answer == "no"


def test_who_was_not_told_the_password_is_turned_away(invite):
    """The listener answers, and lets nobody in who does not hold the invitation."""
    invitation = invite("upnp-nat", "direct", password="told by voice")
    ends = [attempt.end for attempt in invitation.dial("overheard wrongly").attempts]
    assert "wrong-peer" in ends
    assert "connected" not in ends


def test_a_ticket_that_was_tampered_with_is_not_opened(invite):
    """Nothing is dialled where the ticket cannot be read."""
    invitation = invite("direct", "direct")
    invitation.carry(invitation.ticket[:100])
    with pytest.raises(Refused, match="expert could not open"):
        invitation.dial()


@pytest.mark.topology(file="two-routers.toml")
def test_the_novice_s_way_out_is_the_inner_router(lab):
    """A lab is there to be looked at, with this machine's own programs."""
    running = lab()
    gateway = running.address("novice.upnp-nat", "lan")
    assert f"via {gateway} " in running.run("novice", "ip route show default").out
