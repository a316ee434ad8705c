"""One plain sentence for what became of a SYN, naming the node that ended it or let it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.prediction.ticket import Candidate, Ticket
from harness.prediction.walk import Fate, Help, Journey
from harness.topology.plan import INTERNET, NodePlan
from harness.words import Role

_HELP = {
    Help.MAPS: "{0} maps",
    Help.FORWARDS: "{0} forwards",
    Help.LETS_IN: "{0} lets in",
    Help.OPENED: "the firewall on {0} lets in",
}


@dataclass(frozen=True)
class Dialled:
    """Who dialled which address of whose ticket, how the SYN fared, and the node it ended at."""

    dialler: Role
    ticket: Ticket
    candidate: Candidate
    journey: Journey
    end: NodePlan

    @property
    def target(self) -> Role:
        """The other person, whose ticket it is."""
        return self.ticket.role

    @property
    def reached(self) -> bool:
        """Whether the other person's listener took the SYN."""
        return self.arrived and self.journey.syn.port == self.ticket.listens

    @property
    def arrived(self) -> bool:
        """Whether the other person's host took the SYN, on whichever port."""
        return self.journey.node == self.target.value and self.journey.taken


def sentence(dialled: Dialled) -> str:
    """Say what became of a SYN."""
    if dialled.reached:
        return _reached(dialled)
    if dialled.journey.taken:
        return _taken(dialled)
    return _ended(dialled)


def _reached(dialled: Dialled) -> str:
    journey = dialled.journey
    through = f", through {journey.proxy}" if journey.proxy else ""
    said = f"the {dialled.dialler} reaches {dialled.candidate}"
    if not journey.helped:
        return f"{said}, the {dialled.target}'s own address{through}"
    helpers = " and ".join(_HELP[help_].format(named(node)) for node, help_ in journey.helped)
    moved = any(help_ in (Help.MAPS, Help.FORWARDS) for _, help_ in journey.helped[-1:])
    return f"{said}, which {helpers}{f' to the {dialled.target}' if moved else ''}{through}"


def _taken(dialled: Dialled) -> str:
    """Say which host took a SYN that was not to connect, and what it made of it."""
    journey, candidate, node = dialled.journey, dialled.candidate, named(dialled.end.name)
    stranger = dialled.end.stranger
    if journey.fate is Fate.OWN:
        said = f"{node}'s own address is {candidate.address}, so its SYN never leaves it"
    elif dialled.arrived:
        port = dialled.ticket.listens or "a dynamic port"
        said = f"{node} refuses the SYN to {candidate}: it listens on {port}"
    elif stranger is not None and stranger == journey.syn.port:
        said = f"{node} answers the SYN to {candidate}: a stranger, which holds no invitation"
    else:
        said = f"{node} refuses the SYN to {candidate}: it has that address, and no listener"
    return said


def _ended(dialled: Dialled) -> str:
    """Say where a SYN ended on its way."""
    journey, node = dialled.journey, named(dialled.end.name)
    syn_to = f"SYN to {dialled.candidate}"
    verb = "rejects" if journey.rejected else "drops"
    at_home = journey.node == dialled.dialler.value
    match journey.fate:
        case Fate.NO_WAY_OUT:
            said = f"the {syn_to} never leaves {node}, whose only way out is {journey.proxy}"
        case Fate.NO_PROXY:
            said = f"the SYN to {journey.proxy} for {dialled.candidate} ends at {node}"
        case Fate.POLICY:
            said = f"{node} refuses to connect to {dialled.candidate}: {_policy(dialled.end)}"
        case Fate.NO_ROUTE:
            said = f"{node} has no route for the {syn_to}"
        case Fate.NO_HOST if at_home:
            said = f"the {syn_to} never leaves {node}, whose LAN has no such host"
        case Fate.NO_HOST:
            said = f"{node} finds no host {journey.syn.to} for the {syn_to}"
        case Fate.HOST_FIREWALL:
            said = f"the firewall on {node} {verb} the {syn_to}: nobody opened that port"
        case _:
            said = f"{node} {verb} the {syn_to}: {_because(dialled)}"
    return said


def _because(dialled: Dialled) -> str:
    """Say why a box passes a SYN on to nobody."""
    device, fate = dialled.end.device, dialled.journey.fate
    if fate is Fate.PROXY:
        return "a proxy passes nothing on"
    if fate is Fate.OUTBOUND:
        return _policy(dialled.end)
    if fate is Fate.NOT_FORWARDED:
        return "it is for somebody else, and that node passes it on to nobody"
    if device is not None and device.nat is not None:
        return "nobody asked for it and no port is mapped"
    return "nobody asked for it and that port is not opened"


def named(node: str) -> str:
    """Name a node in a sentence."""
    return f"the {node}" if node in (*Role, INTERNET) else node


def _policy(node: NodePlan) -> str:
    """Say what the node's policy lets out."""
    ports: Sequence[int] | None = None
    if node.device is not None and node.device.proxy is not None:
        ports = node.device.proxy.connect_ports
    elif node.device is not None and node.device.firewall is not None:
        ports = node.device.firewall.outbound
    return f"it allows only ports {', '.join(str(port) for port in ports or ())} outward"
