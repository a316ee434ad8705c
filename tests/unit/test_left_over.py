"""A mapping that a gateway keeps after its invitation has ended is told of."""

from __future__ import annotations

from factories import observed

from harness.judge.evidence import LEFT_OVER, observe, removal_controls
from harness.judge.verdict import explain
from harness.topology.load import Library, default_folder
from harness.topology.model import Gear, Topology
from harness.words import Role

KEPT = {"event": "not unmapped", "node": "novice", "port": 3389, "why": "UPnP: 501"}
UNMAPPED = {"event": "unmapped", "node": "novice", "port": 3389}
LINE = f"{LEFT_OVER} the novice's gateway kept 3389: UPnP: 501"


def topology(*, real: bool) -> Topology:
    library = Library(default_folder())
    device = library.devices["upnp-nat"]
    if real:
        gear = Gear(model="X1", firmware="1.0", claims="upnp-nat")
        device = device.model_copy(update={"gear": gear})
    return library.having([device], library.internet).from_chains(("upnp-nat",), ())


def test_an_observation_has_what_the_gateway_kept() -> None:
    assert observe([], [], dict.fromkeys(Role), [KEPT]).told == (LINE,)


def test_the_reason_of_a_yes_says_so_too() -> None:
    said = observed("yes").model_copy(update={"told": (LINE,)})
    assert explain(said).endswith(f"; {LINE}")


def test_a_device_of_ours_that_keeps_a_mapping_is_not_what_it_should_be() -> None:
    (control,) = removal_controls([KEPT], topology(real=False))
    assert (control.node, control.passed, control.detail) == ("novice", False, LINE)


def test_a_real_router_that_keeps_a_mapping_makes_nothing_invalid() -> None:
    assert removal_controls([KEPT], topology(real=True)) == []


def test_where_nothing_is_kept_no_control_is_made() -> None:
    assert removal_controls([UNMAPPED], topology(real=False)) == []
