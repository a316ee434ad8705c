"""The answer for a topology and a method, from every address that anybody dials."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from harness.prediction.dial import dial
from harness.prediction.network import Network
from harness.prediction.sentences import Dialled, sentence
from harness.prediction.ticket import Options, Ticket, granted, write_ticket
from harness.prediction.walk import World
from harness.topology.model import Topology
from harness.topology.plan import INTERNET, plan
from harness.words import Answer, Method, Role


@dataclass(frozen=True)
class Reach:
    """One address that one person dials: whether it is the other's listener, and why.

    ``node`` is where the SYN ends, by its name in the plan; ``port`` None is a dynamic one.
    """

    dialler: Role
    address: IPv4Address
    port: int | None
    reached: bool
    node: str
    why: str


@dataclass(frozen=True)
class Prediction:
    """What the model says of a scenario; ``why`` is one sentence, of the most telling address."""

    answer: Literal[Answer.YES, Answer.NO]
    why: str
    reaches: tuple[Reach, ...]


def predict(topology: Topology, method: Method, options: Options | None = None) -> Prediction:
    """Predict whether novice and expert connect, without a packet.

    It is assumed that the invitation travels: that mail server and relay are in reach. Where they
    are not, the scenario is an error and no "No", and there is nothing to predict.
    """
    network = Network(plan(topology))
    tickets = [write_ticket(network, Role.NOVICE, options or Options())]
    if method is Method.MESSENGER:
        # Only then the expert makes a ticket, has a port mapped, and listens (KB306298).
        tickets.append(write_ticket(network, Role.EXPERT, options or Options()))
    world = _world(network, tickets)
    reaches = tuple(reach for ticket in tickets for reach in _dial_all(world, ticket))
    yes = next((reach for reach in reaches if reach.reached), None)
    if yes is not None:
        return Prediction(Answer.YES, yes.why, reaches)
    return Prediction(Answer.NO, _most_telling(reaches).why, reaches)


def _world(network: Network, tickets: list[Ticket]) -> World:
    """Open what the people whose tickets these are have had opened."""
    topology = network.lab.topology
    mappings = {node: mapping for ticket in tickets for node, mapping in granted(ticket).items()}
    opened = {}
    for ticket in tickets:
        firewall = topology.sites[ticket.role].host_firewall
        if firewall is not None and firewall.opened_by_remote_assistance:
            opened[ticket.role.value] = ticket.listens
    return World(network, mappings, opened)


def _dial_all(world: World, ticket: Ticket) -> list[Reach]:
    """Let the other person dial every address of a ticket ([MS-RA] 3.1.5)."""
    dialler = Role.EXPERT if ticket.role is Role.NOVICE else Role.NOVICE
    site = world.network.lab.topology.sites[dialler]
    reaches = []
    for candidate in ticket.addresses:
        journey = dial(world, dialler, site, candidate.address, candidate.port)
        end = world.network.node(journey.node)
        dialled = Dialled(dialler, ticket, candidate, journey, end)
        reaches.append(
            Reach(
                dialler=dialler,
                address=candidate.address,
                port=candidate.port,
                reached=dialled.reached,
                node=journey.node,
                why=sentence(dialled),
            )
        )
    return reaches


def _most_telling(reaches: tuple[Reach, ...]) -> Reach:
    """Choose the address that came furthest; then the expert's last, the one seen from outside."""

    def rank(numbered: tuple[int, Reach]) -> tuple[int, bool, int]:
        position, reach = numbered
        return _distance(reach), reach.dialler is Role.EXPERT, position

    return max(enumerate(reaches), key=rank)[1]


def _distance(reach: Reach) -> int:
    """0 where a SYN ended at its own site, 1 on the internet, 2 at the other site."""
    if reach.node == INTERNET:
        return 1
    return 0 if reach.node.split(".")[0] == reach.dialler.value else 2
