"""The grid of every novice against every expert."""

from __future__ import annotations

from io import StringIO

import pytest
from factories import article, control, observed, predicted, results, scenario
from rich.console import Console

from harness.judge.model import ScenarioResult
from harness.report.grid import print_grid
from harness.words import Verdict

DEVICES = [
    *("direct", "xp-ics", "me-ics", "nat", "upnp-nat", "nat-forwarded", "nat-symmetric", "cgnat"),
    *("icf", "firewall", "firewall-open", "firewall-strict"),
    *("http-proxy", "http-proxy-open", "socks-proxy", "cgnat,upnp-nat"),
]


def printed(*scenarios: ScenarioResult, width: int = 120, colour: bool = False) -> str:
    file = StringIO()
    console = Console(
        width=width,
        file=file,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    print_grid(results(*scenarios), console)
    return file.getvalue()


def every_pair(method: str, devices: list[str], *instead: ScenarioResult) -> list[ScenarioResult]:
    """Return all pairs: a direct novice is reached, no other is, but for the ones given."""
    others = {result.id: result for result in instead}
    pairs = [(novice, expert) for novice in devices for expert in devices]
    plain = (
        scenario(method, novice, expert, observed("yes" if novice == "direct" else "no"))
        for novice, expert in pairs
    )
    return [others.get(result.id, result) for result in plain]


def test_a_grid_has_the_novices_down_and_the_experts_across() -> None:
    assert printed(*every_pair("file", ["direct", "nat"])) == (
        "Invitation by file\n"
        "              expert behind\n"
        "novice behind 1    2\n"
        "1 direct      yes  yes\n"
        "2 nat         no   no\n"
        "\n"
        "4 scenarios: 2 yes, 2 no; 3 of 3 as documented (41.2 s)\n"
    )


def test_marks_tell_what_is_wrong_without_colour() -> None:
    devices = ["direct", "nat", "icf"]
    text = printed(
        *every_pair(
            "file", devices,
            scenario("file", "nat", "direct", observed("yes")),
            scenario("file", "nat", "nat", observed("no"), controls=(control(passed=False),)),
            scenario("file", "icf", "nat", None),
            scenario("file", "icf", "icf", observed("no"), forecast=predicted("yes")),
        )[:-2],
        scenario("file", "icf", "icf", observed("no"), forecast=predicted("yes")),
    )  # fmt: skip
    assert "2 nat         yes! inv  no\n3 icf         no   -    no!\n" in text
    assert (
        "legend   ! not as predicted or not as documented, inv invalid: it proves nothing, "
        "- not run\n"
    ) in text


def test_the_legend_explains_only_what_is_there() -> None:
    assert "legend" not in printed(*every_pair("file", ["direct", "nat"]))


def test_below_the_grids_is_a_line_for_each_disagreement_and_one_for_the_whole() -> None:
    text = printed(
        scenario("file", "direct", "direct", observed("yes"), forecast=predicted("yes")),
        scenario("file", "direct", "nat", observed("no"), forecast=predicted("yes")),
        scenario("file", "nat", "direct", None),
        width=200,
    )
    assert text.splitlines()[-4:] == [
        "differs  file/direct+nat: documented yes, observed no: expert to 80.1.2.3:3389 dropped by "
        "the forward chain; predicted yes because nothing maps port 3389 to the novice",
        "error    file/nat+direct: the expert's node did not start within 5 s",
        "",
        "3 scenarios: 1 yes, 1 no, 1 error; 1 of 2 as predicted, 0 of 1 as documented (41.2 s)",
    ]


def test_each_method_has_its_grid_in_one_order() -> None:
    text = printed(*reversed(article()))
    titles = ["Windows Messenger", "Invitation by e-mail", "Invitation by file"]
    assert [line for line in text.splitlines() if line in titles] == titles


@pytest.mark.parametrize("width", [120, 80])
def test_sixteen_devices_a_side_fit_a_terminal(width: int) -> None:
    text = printed(*every_pair("email", DEVICES), width=width)
    assert all(len(line) <= width for line in text.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines()[:18])
    row = next(line for line in text.splitlines() if line.startswith(" 1 direct"))
    answers = row.split()[2:]
    assert answers == (["yes"] if width == 120 else ["Y"]) * 16
    assert text.count("novice behind") == 1


def test_a_terminal_too_narrow_for_letters_gets_the_columns_in_parts() -> None:
    text = printed(*every_pair("file", DEVICES), width=50)
    heads = [line.split()[2:] for line in text.splitlines() if line.startswith("novice behind")]
    assert len(heads) == 2
    assert [number for head in heads for number in head] == [str(n) for n in range(1, 17)]
    assert all(len(line) <= 50 for line in text.splitlines())


def test_letters_are_explained() -> None:
    devices = ["direct", *(f"gear-{number}" for number in range(15))]
    assert "\nlegend   Y yes, n no\n" in printed(*every_pair("file", devices), width=80)


def test_a_chain_has_one_number_on_both_sides_and_one_that_only_experts_have_is_named() -> None:
    text = printed(
        scenario("file", "nat", "icf", observed("no")),
        scenario("file", "nat", "nat", observed("no")),
        scenario("file", "direct", "icf,cgnat", observed("yes")),
    )
    assert (
        "novice behind 3    1    4\n1 nat         no   no   -\n2 direct      -    -    yes\n"
        in text
    )
    assert "experts  3 icf, 4 icf,cgnat\n" in text


def test_a_scenario_with_options_stands_beside_the_grid() -> None:
    plain = scenario("file", "direct", "nat", observed("yes"))
    other = plain.model_copy(update={"id": "file/direct+nat@expert-proxy-client"})
    text = printed(plain, other, plain)
    assert text.count("1 direct") == 1
    assert (
        "Beside the grids\nyes  file/direct+nat@expert-proxy-client\nyes  file/direct+nat\n" in text
    )


def test_a_result_without_an_observation_is_an_error_whatever_its_verdict() -> None:
    result = scenario("file", "direct", "nat", observed("yes"))
    text = printed(result.model_copy(update={"observed": None, "verdict": Verdict.UNDOCUMENTED}))
    assert "1 direct      err\n" in text


def test_no_results_are_said_to_be_none() -> None:
    assert printed() == "no scenario was run\n"


def test_what_a_results_file_says_is_shown_and_not_obeyed() -> None:
    name = "[red]\x1b[2J\u202e"
    text = printed(scenario("file", name, name, None, why="[/] \x07"))
    assert "1 [red]\\x1b[2J\\u202e err\n" in text
    assert not set(text) & set("\x1b\x07\u202e")


def test_colour_adds_to_the_words_and_does_not_replace_them() -> None:
    scenarios = every_pair("file", ["direct", "nat"])
    coloured = printed(*scenarios, colour=True)
    assert "\x1b[32myes" in coloured
