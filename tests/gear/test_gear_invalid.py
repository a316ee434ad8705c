"""A router of which a control fails proves nothing: its scenarios are invalid, never a "No"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from gear_runs import SECONDS, Later, Outcome, run
from routers import GearRouter, LegacyRouter

from harness.lab.probes import REACHES, TRANSLATION
from harness.runner.rejudge import bundles, rejudge
from harness.words import Verdict

pytestmark = pytest.mark.timeout(SECONDS)

ANOTHER = "80.100.10.77"


class CutOff(LegacyRouter):
    """It passes its hosts' packets as far as the provider, and no further."""

    def boot(self) -> Sequence[str]:
        services = "FORWARD -i lan -d 91.30.30.0/24 -j DROP"
        return (*super().boot(), f"iptables-legacy -I {services}")


class TwoAddresses(LegacyRouter):
    """Its hosts are seen with another address of its WAN than the one it was given."""

    def boot(self) -> Sequence[str]:
        source = f"POSTROUTING -o wan -j SNAT --to-source {ANOTHER}"
        return (*super().boot(), f"iptables-legacy -t nat -I {source}")

    def when_online(self) -> str:
        return f"ip addr replace {ANOTHER}/24 dev wan\n"


def by_file(kind: Callable[[], GearRouter]) -> Later[Outcome]:
    return run(kind, options=("--no-card", "--method", "file"))


RUNS: Mapping[str, Later[Outcome]] = {
    REACHES: by_file(CutOff),
    TRANSLATION: by_file(TwoAddresses),
}
SAID = {
    REACHES: "services did not answer, {} met: no answer",
    TRANSLATION: f"as {ANOTHER}:",
}
each_control = pytest.mark.parametrize("control", RUNS)


@each_control
def test_every_scenario_is_invalid_by_the_control_of_the_router(control: str) -> None:
    outcome = RUNS[control].result()
    assert outcome.ended.status == 3, outcome.ended.said
    for each in outcome.results.scenarios:
        assert each.verdict is Verdict.INVALID, each
        role = "novice" if each.novice == ("legacy",) else "expert"
        failed = [(found.name, found.node) for found in each.controls if not found.passed]
        assert (control, role) in failed
        assert SAID[control].format(role) in each.why


@each_control
def test_every_bundle_shows_it_again(control: str) -> None:
    judged = [rejudge(found) for found in bundles(RUNS[control].result().folder)]
    assert len(judged) == 4
    assert [each.now for each in judged] == [each.before for each in judged]
