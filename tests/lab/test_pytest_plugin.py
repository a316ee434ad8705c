"""The pytest plugin in labs that run: what tests get, what a failure shows, and what is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from plugin_runs import ARGUMENTS, run, run_test
from runs import COMMAND, fake_daemon
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from test_article import ORDINARY
from test_life import World

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
SOON = 5.0

BUNDLE = re.compile(r"^bundle: (?P<path>/.*)$", re.MULTILINE)


def bundle_in(text: str) -> Path:
    """The folder that a report names as the bundle, which must be there."""
    (found,) = set(BUNDLE.findall(text))
    assert (Path(found) / "verdict.json").is_file()
    return Path(found)


def report_of(ended: pytest.RunResult) -> str:
    """What is shown of the one test that failed."""
    ended.assert_outcomes(failed=1)
    text = ended.stdout.str()
    return text[text.index("= FAILURES =") : text.index("= short test summary")]


# --- what tests get


def test_the_documented_example_passes(pytester: pytest.Pytester) -> None:
    for file in EXAMPLES.iterdir():
        if file.is_file():
            shutil.copy(file, pytester.path)
    run(pytester, "test_my_router.py").assert_outcomes(passed=8)


def test_a_result_has_all_that_is_known_of_a_scenario(pytester: pytest.Pytester) -> None:
    source = """
def test_it(scenario):
    result = scenario("upnp-nat", "direct", method="file")
    assert (result.answer, result.documented, result.predicted) == ("yes", "yes", "yes")
    assert result.verdict == "agrees"
    assert [attempt.end for attempt in result.attempts] == ["unreachable", "connected"]
    assert result.winner.dialler == "expert"
    assert all(control.passed for control in result.controls)
    assert len(result.controls) > 10
    assert result.seconds > 0
    assert (result.bundle / "capture.pcapng").is_file()
    assert (result.folder / "results.json").is_file()
    assert "connected" in result.why
    assert repr(result).startswith("<file/upnp-nat+direct: observed yes, documented yes: ")
"""
    run_test(pytester, source).assert_outcomes(passed=1)


def test_what_a_call_says_outranks_the_markers(pytester: pytest.Pytester) -> None:
    source = """
@pytest.mark.topology(novice="nat", expert="nat")
@pytest.mark.method("file")
def test_it(scenario):
    assert scenario().result.id == "file/nat+nat"
    assert scenario("upnp-nat").result.id == "file/upnp-nat+direct"
    assert scenario(method="messenger").result.id == "messenger/nat+nat"
    through = scenario(expert="socks-proxy", proxy_client="expert")
    assert through.result.id == "file/direct+socks-proxy@expert-proxy-client"
"""
    run_test(pytester, source).assert_outcomes(passed=1)


@pytest.mark.parametrize("method", ["messenger", "email", "file"])
def test_a_ticket_is_carried_by_the_test_s_method(pytester: pytest.Pytester, method: str) -> None:
    source = f"""
@pytest.mark.method("{method}")
def test_it(invite):
    invitation = invite("upnp-nat", "nat")
    assert invitation.addresses == ("192.168.2.100:3389", "80.100.10.2:3389")
    invitation.carry()
    dial = invitation.dial()
    assert dial.answer == "yes"
    assert str(dial.winner.address) == "80.100.10.2"
    assert repr(dial) == "<dial: yes: the expert connected to 80.100.10.2:3389>"
"""
    run_test(pytester, source).assert_outcomes(passed=1)


def test_the_expert_can_be_the_one_who_invites(pytester: pytest.Pytester) -> None:
    source = """
from harness.plugin.errors import Refused

@pytest.mark.method("messenger")
def test_it(lab):
    both = lab("nat", "upnp-nat")
    mine, other = both.invite("novice"), both.invite("expert")
    assert mine.dial().answer == "no"
    assert other.dial().answer == "yes"
    mine.close()
    with pytest.raises(Refused, match="the novice has no open invitation"):
        mine.close()
    with pytest.raises(Refused, match="the expert has an open invitation already"):
        both.invite("expert")
    other.close()
    assert both.invite("expert").dial().answer == "yes"
"""
    run_test(pytester, source).assert_outcomes(passed=1)


def test_commands_run_in_a_node_s_network_and_end_in_time(pytester: pytest.Pytester) -> None:
    source = """
from harness.plugin.errors import Refused

def test_it(lab):
    running = lab("nat", "direct")
    assert "novice.nat" in running.nodes
    wan = running.run("novice.nat", "ip -br -4 addr show dev wan").out
    assert str(running.address("novice.nat", "wan")) in wan
    failed = running.run("expert", "echo said; echo wrong >&2; exit 3")
    assert (failed.status, failed.out, failed.err) == (3, "said\\n", "wrong\\n")
    with pytest.raises(Refused, match="did not end in 0.2 s"):
        running.run("expert", "sleep 1000", deadline=0.2)
    assert running.run("expert", "true").status == 0
    assert len(running.run("expert", "head -c 3000000 /dev/zero | tr '\\\\0' x").out) == 3000000
    with pytest.raises(ValueError, match="there is no node 'nit'; there are: novice, "):
        running.run("nit", "true")
"""
    run_test(pytester, source).assert_outcomes(passed=1)


def test_threads_and_a_running_event_loop_of_the_test_s_do_no_harm(
    pytester: pytest.Pytester,
) -> None:
    source = """
import asyncio, threading

def test_it(scenario, lab):
    async def whole():
        return scenario("nat", method="file").answer, lab("nat").run("novice", "true").status

    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert asyncio.run(whole()) == ("no", 0)
    finally:
        over.set()
        thread.join()
"""
    run_test(pytester, source, "-W", "error").assert_outcomes(passed=1)


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_it_goes_with_every_kind_of_capture(pytester: pytest.Pytester, capture: str) -> None:
    source = 'def test_it(scenario): assert scenario("nat", method="file").answer == "no"'
    run_test(pytester, source, f"--capture={capture}").assert_outcomes(passed=1)


def test_an_ordinary_user_may_use_it_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile('def test_it(lab): assert lab("upnp-nat").invite().dial().answer == "yes"')
    pytester.path.chmod(0o777)
    command = [*ORDINARY, sys.executable, "-m", "pytest", *ARGUMENTS, "-p", "no:cacheprovider"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert "1 passed" in ended.stdout, ended.stdout


def test_containers_serve_as_well(pytester: pytest.Pytester) -> None:
    """Where no engine answers the inner test is skipped, and this one says the same."""
    source = """
import docker, os
from pathlib import Path
from harness.runtime.docker.ownership import OWNER_LABEL, Owner

def is_ours(pid):
    while pid > 1 and pid != os.getpid():
        stat = Path(f"/proc/{pid}/stat")
        pid = int(stat.read_text().rpartition(")")[2].split()[1]) if stat.exists() else 0
    return pid == os.getpid()

def ours():
    every = docker.from_env().api.containers(filters={"label": OWNER_LABEL})
    return [each["Id"] for each in every if is_ours(Owner.read(each["Labels"][OWNER_LABEL]).pid)]

@pytest.mark.runtime("docker")
def test_it(scenario, invite):
    assert scenario("nat", "direct", method="file").answer == "no"
    invitation = invite("upnp-nat", "direct")
    assert invitation.dial().answer == "yes"
    assert "192.168.2.1" in invitation.lab.run("novice", "ip route show default").out
    Path("there").write_text(" ".join(ours()))
"""
    pytester.makepyfile(f"import pytest\n{source}")
    ended = run(pytester, "-rs", ci=bool(os.environ.get("CI")))
    if ended.parseoutcomes() == {"skipped": 1}:
        (line,) = (line for line in ended.outlines if line.startswith("SKIPPED"))
        pytest.skip(f"not run: {line}")
    ended.assert_outcomes(passed=1)
    ours = (pytester.path / "there").read_text(encoding="ascii").split()
    assert len(ours) == 5
    left = {each["Id"] for each in docker.from_env().api.containers(all=True)}
    assert left.isdisjoint(ours), "the lab's containers outlived it"


# --- side by side


def test_workers_side_by_side_have_labs_and_folders_of_their_own(
    pytester: pytest.Pytester,
) -> None:
    source = """
@pytest.mark.parametrize("number", range(2))
@pytest.mark.method("messenger", "file")
@pytest.mark.topology(novice="upnp-nat")
def test_it(scenario, lab, number, record_property):
    running = lab()
    invitation = running.invite()
    first, second = scenario(), scenario()
    assert first.answer == second.answer == invitation.dial().answer == "yes"
"""
    ended = run_test(pytester, source, "-n2", "--ra-out=evidence")
    ended.assert_outcomes(passed=4)
    bundles = list((pytester.path / "evidence").rglob("verdict.json"))
    assert len(bundles) == 4 * 3


def test_where_each_worker_runs_all_tests_their_evidence_is_kept_apart(
    pytester: pytest.Pytester,
) -> None:
    source = 'def test_it(scenario): assert scenario("nat", method="file").answer == "no"'
    ended = run_test(pytester, source, "--dist=each", "--tx=2*popen", "--ra-out=evidence")
    ended.assert_outcomes(passed=2)
    assert len(list((pytester.path / "evidence").rglob("verdict.json"))) == 2


# --- what a failure shows


def test_a_failure_shows_reason_ladders_and_bundle(pytester: pytest.Pytester) -> None:
    source = """
def test_it(scenario):
    assert scenario("nat", "direct", method="file").answer == "yes"
"""
    ended = run_test(pytester, source, "--junitxml=junit.xml")
    text = report_of(ended)
    assert "AssertionError: assert 'no' == 'yes'" in text
    assert "E         file/nat+direct: expert to " in text
    assert "Remote Assistance file/nat+direct" in text
    assert "documented no: " in text
    assert "predicted no: novice.nat drops the SYN" in text
    assert text.count("(ms since its SYN)") == 2
    assert "ended     timeout at novice.nat: dropped by novice.nat" in text
    assert "harness/plugin" not in text
    bundle = bundle_in(text)
    judged = subprocess.run([*COMMAND, "judge", bundle], capture_output=True, check=False)
    assert judged.returncode == 0
    junit = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert f'<property name="ra_bundle" value="{bundle}"' in junit


def test_a_failure_step_by_step_shows_every_dial(pytester: pytest.Pytester) -> None:
    source = """
def test_it(invite):
    invitation = invite("upnp-nat", "direct")
    assert invitation.dial().answer == "yes"
    invitation.close()
    assert invitation.dial().answer == "yes"
"""
    text = report_of(run_test(pytester, source))
    assert "E         expert to 192.168.2.100:3389" in text
    assert text.count("(ms since its SYN)") == 4
    assert "connected at novice: answered by novice" in text
    assert "timeout at novice.upnp-nat: dropped by novice.upnp-nat" in text
    bundle = bundle_in(text)
    assert (bundle / "capture.pcapng").is_file()
    shown = subprocess.run([*COMMAND, "show", bundle], capture_output=True, text=True, check=True)
    assert shown.stdout.count("(ms since its SYN)") == 4


def test_a_failure_in_a_lab_shows_where_its_evidence_is(pytester: pytest.Pytester) -> None:
    source = """
def test_it(lab):
    assert lab("nat", "direct").run("novice", "false").status == 0
"""
    text = report_of(run_test(pytester, source))
    assert "played step by step" in text
    assert (bundle_in(text) / "rules" / "novice.nat.nft").is_file()


def test_a_pass_says_nothing(pytester: pytest.Pytester) -> None:
    source = 'def test_it(scenario): assert scenario("nat", method="file").answer == "no"'
    ended = run_test(pytester, source)
    ended.assert_outcomes(passed=1)
    ended.stdout.no_fnmatch_line("*Remote Assistance*")


@pytest.mark.parametrize(
    "call", ["scenario('upnp-nat', method='file')", "lab('upnp-nat')", "invite('upnp-nat')"]
)
def test_a_lab_that_is_not_what_it_says_fails_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Not even a test that expects a "no" passes: what proves nothing is no answer."""
    for name, value in fake_daemon(pytester.path, "exit 1").items():
        monkeypatch.setenv(name, value)
    fixture = call.partition("(")[0]
    text = report_of(run_test(pytester, f"def test_it({fixture}):\n    {call}\n"))
    assert re.search(r"^file/upnp-nat\+direct\S* proved nothing \((invalid|error)\): ", text, re.M)
    assert "nothing listens on" in text
    assert "harness/plugin" not in text
    bundle_in(text)


# --- what is left

IN_A_STEP = """
from pathlib import Path

def test_it(lab):
    there = Path("there").absolute()
    lab("nat").run("novice", f"readlink /proc/self/ns/net >{there}; sleep 1000", deadline=500)
"""
IN_A_SCENARIO = """
def test_it(scenario):
    scenario("upnp-nat", method="file")
"""
IN_THE_TEST = """
import signal
from pathlib import Path

def test_it(lab):
    there = lab("nat").run("novice", "readlink /proc/self/ns/net").out
    Path("there").write_text(there)
    signal.pause()
"""

WHEREVER = pytest.mark.parametrize(
    "hanging",
    [IN_A_STEP, IN_A_SCENARIO, IN_THE_TEST],
    ids=["in-a-step", "in-a-scenario", "in-the-test"],
    indirect=True,
)


def inside(namespace: str) -> Iterator[int]:
    """The living processes that are in a network namespace."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str((folder / "ns" / "net").readlink()) == namespace:
                yield int(folder.name)
        except OSError:
            continue  # it has ended, or is about to


def heed_ctrl_c() -> None:
    """Heed what a shell has its background jobs ignore, this suite perhaps among them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def hanging(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An inner run that waits in its lab for ever, and the namespace of one of its nodes."""
    # It takes the daemon's place where there is one: the lab waits for it to listen.
    there = pytester.path / "there"
    script = f"readlink /proc/self/ns/net >{there}; exec sleep 1000"
    environment = {**os.environ, **fake_daemon(pytester.path, script)}
    pytester.makepyfile(test_it=request.param)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *ARGUMENTS, "test_it.py"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - no thread of ours runs then
    )
    wait = Retrying(
        retry=retry_if_result(lambda words: not words.endswith("\n")),
        stop=stop_after_delay(30),
        wait=wait_fixed(0.01),
    )
    world = World()
    try:
        namespace = wait(lambda: there.read_text() if there.exists() else "").strip()
        world.hold(next(inside(namespace)), "net")
        yield process, namespace
    finally:
        process.kill()
        process.communicate()


@WHEREVER
def test_ctrl_c_ends_at_once_and_leaves_nothing(
    hanging: tuple[subprocess.Popen[str], str],
) -> None:
    process, namespace = hanging
    assert list(inside(namespace))
    # As a terminal does: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=SOON)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert "KeyboardInterrupt" in out
    assert "INTERNALERROR" not in out
    assert "Traceback" not in out
    assert not list(inside(namespace)), "pytest ended before the lab did"


@WHEREVER
def test_sigkill_leaves_nothing(hanging: tuple[subprocess.Popen[str], str]) -> None:
    process, namespace = hanging
    assert list(inside(namespace))
    process.kill()
    process.wait()
    wait = Retrying(
        retry=retry_if_result(bool), stop=stop_after_delay(SOON), wait=wait_fixed(0.005)
    )
    wait(lambda: list(inside(namespace)))
