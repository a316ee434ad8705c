"""The same scenarios in containers come to the same observations as in namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest
from containers_of import Ended, harness, results
from docker import DockerClient

from harness.judge.model import Results, ScenarioResult


@pytest.fixture(scope="module")
def by_namespaces(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("namespaces")
    assert harness("run", "--out", folder).status == 0
    return results(folder)


@pytest.fixture(scope="module")
def by_docker(
    wireable: DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ended, Results]:
    folder = tmp_path_factory.mktemp("docker")
    ended = harness("run", "--runtime", "docker", "--out", folder)
    return ended, results(folder)


@pytest.mark.timeout(400)
def test_the_whole_kb_is_observed_alike(
    by_namespaces: Results, by_docker: tuple[Ended, Results]
) -> None:
    ended, found = by_docker
    assert ended.status == 0, ended.err
    assert found.run.runtime == "docker"
    assert _observations(found) == _observations(by_namespaces)


@pytest.mark.timeout(300)
def test_the_whole_kb_is_observed_alike_in_a_box(
    engine: DockerClient, by_namespaces: Results, tmp_path: Path
) -> None:
    ended = harness("run", "--runtime", "boxed", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    found = results(tmp_path / "out")
    assert found.run.runtime == "boxed"
    assert _observations(found) == _observations(by_namespaces)


def _observations(found: Results) -> dict[str, object]:
    return {each.id: _observation(each) for each in found.scenarios}


def _observation(scenario: ScenarioResult) -> object:
    """Verdict, answer, and who dialled whom with which end where.

    Of two that dial at once either may win; and how the loser's attempt ends then is a matter of
    microseconds, as is the port that an expert listens on.
    """
    observed = scenario.observed
    assert observed is not None, scenario.why
    if observed.winner is not None:
        return scenario.verdict, observed.answer
    return (
        scenario.verdict,
        observed.answer,
        {(each.dialler, each.address, each.end, each.ended_at) for each in observed.attempts},
    )


def test_every_scenario_has_controls_and_all_passed(by_docker: tuple[Ended, Results]) -> None:
    for scenario in by_docker[1].scenarios:
        assert scenario.controls, scenario.id
        assert all(control.passed for control in scenario.controls), scenario.id


def test_a_shared_lab_shows_fresh_state_between_its_scenarios(
    by_docker: tuple[Ended, Results],
) -> None:
    names = "nothing is left of the scenario before"
    shown = [
        sum(control.name == names for control in scenario.controls)
        for scenario in by_docker[1].scenarios
        if scenario.id.endswith("/nat+nat")
    ]
    # The first had a lab that was new; six nodes were made as new before each of the others.
    assert sorted(shown) == [0, 6, 6]
