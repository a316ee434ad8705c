"""The three methods, end to end: how the ticket travels, and who dials whom.

Article: MORE INFORMATION; KB306298 for the expert's ticket; [MS-RA] 3.1.5 for the dialling.
"""

from __future__ import annotations

import asyncio

from harness.assistance.people import (
    INVITATION,
    RECEIVED,
    Order,
    Person,
    Services,
    Terms,
)
from harness.judge.evidence import Call
from harness.words import Method


async def assist(
    method: Method, novice: Person, expert: Person, services: Services, terms: Terms
) -> list[Call]:
    """Carry an invitation by the method, let them dial, and end the invitation.

    Returns every attempt, in the order in which they began.

    Raises:
        ScenarioError: a step that is no connection attempt failed, mail or relay out of reach
            among them.
    """
    await asyncio.gather(novice.prepare(), expert.prepare())
    if method is Method.MESSENGER:
        calls = await _by_messenger(novice, expert, services, terms)
    else:
        await novice.invite(services, terms)
        if method is Method.EMAIL:
            await novice.submit(services)
            await expert.fetch(services)
        else:
            expert.disk.put(RECEIVED, novice.disk.take(INVITATION))
        calls = await _dial(expert, novice, terms)
    await asyncio.gather(novice.close(), expert.close())
    return sorted(calls, key=lambda call: call.dialled.started)


async def _by_messenger(
    novice: Person, expert: Person, services: Services, terms: Terms
) -> list[Call]:
    """Let the relay carry tickets both ways, then dial in the order of the terms."""
    await asyncio.gather(
        _send_ticket(novice, expert, services, terms), _send_ticket(expert, novice, services, terms)
    )
    await asyncio.gather(novice.receive(), expert.receive())
    if terms.order is Order.BOTH:
        both = await asyncio.gather(_dial(expert, novice, terms), _dial(novice, expert, terms))
        return [call for calls in both for call in calls]
    first, second = (expert, novice) if terms.order is Order.EXPERT_FIRST else (novice, expert)
    calls = await _dial(first, second, terms)
    if any(call.dialled.proven is not None for call in calls):
        return calls
    return calls + await _dial(second, first, terms)


async def _send_ticket(sender: Person, to: Person, services: Services, terms: Terms) -> None:
    await asyncio.gather(sender.sign_in(services), sender.invite(services, terms))
    await sender.send(to.role)


async def _dial(dialler: Person, listener: Person, terms: Terms) -> list[Call]:
    return [Call(dialler.role, each) for each in await dialler.dial(listener, terms)]
