"""Real runs leave bundles that are judged again to the same verdict, and that tell no secrets."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from runs import COMMAND, Ended, fake_daemon, own_topologies, replace_in, run

from harness.judge.model import ScenarioResult
from harness.judge.trace import syns
from harness.protocol import pcapng
from harness.protocol.packet import Segment, parse
from harness.protocol.pcapng import Frame
from harness.runner.rejudge import Found, bundles, rejudge
from harness.words import Method, Verdict

ORDINARY = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
SECRET = "kept-from-every-bundle-8271"
MEGABYTE = 10**6

FILES = {
    "capture.pcapng",
    "conntrack.txt",
    "controls.json",
    "definition.json",
    "environment.json",
    "invitation.MsRcIncident",
    "kernel.jsonl",
    "transcript.jsonl",
    "verdict.json",
}


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("bundles") / "results"
    return run(folder, environment={"RA_HARNESS_TEST": SECRET})


def judge(path: Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run ``ra-harness judge``."""
    return subprocess.run(
        [*prefix, *COMMAND, "judge", path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bundle_of(ended: Ended, scenario: ScenarioResult) -> Path:
    assert scenario.bundle is not None
    return ended.folder / scenario.bundle


def frames_of(path: Path) -> list[Frame]:
    return list(pcapng.read(BytesIO((path / "capture.pcapng").read_bytes())))


def mend(path: Path) -> None:
    """Mend the checksums of a bundle that was altered."""
    sealed = json.loads((path / "verdict.json").read_bytes())
    for name in sealed["sha256"]:
        sealed["sha256"][name] = hashlib.sha256((path / name).read_bytes()).hexdigest()
    (path / "verdict.json").write_text(json.dumps(sealed), encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in controls and verdict, where it must be twice."""
    for name in ("controls.json", "verdict.json"):
        replace_in(path / name, old, new)


# The same verdict


def test_a_whole_run_is_judged_again_to_every_same_verdict(article: Ended) -> None:
    for found in bundles(article.folder):
        both = rejudge(found)
        assert both.now == both.before, both.now.why


def test_an_ordinary_user_comes_to_the_same_elsewhere_and_in_time(
    article: Ended, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(article.folder, tmp_path / "received"))
    for path in (moved, *moved.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = judge(moved, ORDINARY)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = len(article.results.scenarios)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{count} of {count} as the run judged them" in done.stdout
    # CPU seconds, which depend less than others on what else the machine does.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 3


def test_a_run_that_differs_is_judged_again_to_differ(tmp_path: Path) -> None:
    topologies = own_topologies(tmp_path)
    opened = 'unsolicited = "drop"\n\n[[nat.forward]]\nport = 3389\nto_port = 3389\n'
    replace_in(topologies / "devices" / "nat.toml", 'unsolicited = "drop"\n', opened)
    chosen = ("--novice", "nat", "--method", "file")
    ended = run(tmp_path / "out", "--topologies", topologies, *chosen)
    assert ended.status == 1
    done = judge(ended.folder)
    assert done.returncode == 1
    assert done.stdout == "1 of 1 as the run judged them: 1 differs\n"


def test_a_run_that_is_invalid_is_judged_again_to_be_so(tmp_path: Path) -> None:
    broken = fake_daemon(tmp_path, "exit 7")
    chosen = ("--novice", "xp-ics", "--method", "file")
    ended = run(tmp_path / "out", *chosen, environment=broken)
    assert ended.status == 3
    done = judge(ended.folder)
    assert done.returncode == 3
    assert done.stdout == "1 of 1 as the run judged them: 1 invalid\n"


def test_a_run_without_capture_is_judged_again_to_the_same(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--no-capture", "--novice", "nat", "--expert", "upnp-nat")
    done = judge(ended.folder)
    assert done.returncode == ended.status == 0
    assert "3 of 3 as the run judged them" in done.stdout


def test_a_bundle_alone_is_enough(article: Ended, tmp_path: Path) -> None:
    """It need not even keep its name."""
    source = bundle_of(article, article.scenario("messenger/nat+nat"))
    done = judge(Path(shutil.copytree(source, tmp_path / "alone")))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 of 1 as the run judged them: 1 agrees\n"


# What is in it


def test_every_bundle_has_every_file(article: Ended) -> None:
    for scenario in article.results.scenarios:
        path = bundle_of(article, scenario)
        names = {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}
        nodes = json.loads((path / "definition.json").read_bytes())["nodes"]
        wanted = FILES | {f"rules/{node}.nft" for node in nodes}
        if scenario.method is Method.MESSENGER:
            wanted.add("expert.MsRcIncident")
        assert wanted <= names, scenario.id
        assert all(name.endswith(".log") for name in names - wanted), names - wanted
        sums = json.loads((path / "verdict.json").read_bytes())["sha256"]
        assert set(sums) == names - {"verdict.json"}


def test_every_step_has_its_time(article: Ended) -> None:
    for scenario in article.results.scenarios:
        path = bundle_of(article, scenario) / "transcript.jsonl"
        for line in path.read_bytes().splitlines():
            step = json.loads(line)
            assert isinstance(step["t"], float)
            assert step["node"]


def test_the_environment_names_kernel_versions_and_switches(article: Ended) -> None:
    path = bundle_of(article, article.results.scenarios[0])
    environment = json.loads((path / "environment.json").read_bytes())
    assert environment["host"]["kernel"] == os.uname().release
    assert environment["versions"]["ra-harness"]
    assert environment["sysctls"]["net/ipv4/tcp_syn_retries"].isdigit()
    assert "net/bridge/bridge-nf-call-iptables" in environment["sysctls"]


def test_no_file_of_a_run_tells_a_secret_of_the_host(article: Ended) -> None:
    secrets = [SECRET, os.uname().nodename, str(Path.home()), str(article.folder), str(Path.cwd())]
    # The word root is said of how the harness ran, not of who ran it.
    if (user := getpass.getuser()) != "root":
        secrets.append(user)
    variables = [f"{name}={value}" for name, value in os.environ.items() if value]
    for path in article.folder.rglob("*"):
        if path.is_file():
            # Among random bytes and in base64 a short name is met by chance; "</root>" is XML.
            by_chance = path.suffix in {".pcapng", ".MsRcIncident"}
            least = 6 if by_chance else 1
            sought = [each.encode() for each in [*secrets, *variables] if len(each) >= least]
            word = re.compile(rb"(?<![\w/+<-])(?:" + b"|".join(map(re.escape, sought)) + rb")\b")
            assert not word.search(path.read_bytes()), path


def test_the_results_of_the_whole_article_stay_under_20_megabytes(article: Ended) -> None:
    """In the disk's own blocks, as du counts them."""
    blocks = sum(path.lstat().st_blocks for path in article.folder.rglob("*"))
    assert blocks * 512 < 20 * MEGABYTE


# What others read of it


def fields(path: Path, field: str, *arguments: str) -> list[str]:
    """Let tshark print a field of every frame of a capture."""
    command = ["tshark", "-n", "-r", str(path / "capture.pcapng"), *arguments, "-T", "fields"]
    done = subprocess.run([*command, "-e", field], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "scenario_id", ["messenger/nat+nat", "file/upnp-nat+upnp-nat", "email/xp-ics+direct"]
)
def test_tshark_sees_the_same_syns_at_the_same_interfaces(article: Ended, scenario_id: str) -> None:
    path = bundle_of(article, article.scenario(scenario_id))
    nodes = json.loads((path / "definition.json").read_bytes())["nodes"]
    interfaces = {f"{node}/{name}" for node, each in nodes.items() for name in each["interfaces"]}
    assert set(fields(path, "frame.interface_name")) <= interfaces
    wanted = "tcp.flags.syn==1 && tcp.flags.ack==0 && tcp.dstport==3389 && !icmp"
    counted = Counter(fields(path, "frame.interface_name", "-Y", wanted))
    assert counted
    assert counted == syns(frames_of(path), 3389)


# What was altered


@pytest.fixture
def copy(article: Ended, tmp_path: Path) -> Path:
    """A copy of a bundle with a "No"."""
    source = bundle_of(article, article.scenario("email/nat+direct"))
    return Path(shutil.copytree(source, tmp_path / "copy"))


def verdict(path: Path) -> ScenarioResult:
    return rejudge(Found(path)).now


def opening(packet: bytes) -> Segment | None:
    """Return the SYN that a packet is; None for any other."""
    found = parse(packet)
    return found if isinstance(found, Segment) and found.opens else None


def attempts_syns(path: Path, scenario: ScenarioResult) -> list[Frame]:
    """Return the SYNs of the attempts at every interface, by the numbers that the kernels logged.

    The probes of the lab, which go to the same port, are not in that log.
    """
    assert scenario.observed is not None
    dialled = {(each.address, each.port) for each in scenario.observed.attempts}
    lines = [json.loads(line) for line in (path / "kernel.jsonl").read_bytes().splitlines()]
    sent = [opening(bytes.fromhex(line["packet"])) for line in lines if line["prefix"] == "sent"]
    numbers = {
        syn.sequence
        for syn in sent
        if syn is not None and (str(syn.destination), syn.destination_port) in dialled
    }
    frames = [(frame, opening(frame.data[14:])) for frame in frames_of(path)]
    return [frame for frame, syn in frames if syn is not None and syn.sequence in numbers]


def take_frames(path: Path, taken: Sequence[Frame]) -> None:
    """Take frames out of a capture; control and checksums are mended."""
    frames = frames_of(path)
    left = [frame for frame in frames if frame not in taken]
    assert len(left) < len(frames)
    with (path / "capture.pcapng").open("wb") as stream:
        pcapng.write(stream, [], left)
    edit(path, f"{len(frames)} frames on", f"{len(left)} frames on")
    mend(path)


def test_syns_taken_out_of_any_capture_make_it_invalid(article: Ended, tmp_path: Path) -> None:
    """Whatever the scenario, and though control and checksums say that the capture is whole."""
    altered = 0
    for number, scenario in enumerate(article.results.scenarios):
        path = Path(shutil.copytree(bundle_of(article, scenario), tmp_path / str(number)))
        if taken := attempts_syns(path, scenario):
            take_frames(path, taken)
            result = verdict(path)
            assert result.verdict is Verdict.INVALID, scenario.id
            assert "capture" in result.why
            altered += 1
    assert altered > len(article.results.scenarios) * 0.8


def test_a_capture_cut_short_is_invalid_wherever_it_is_cut(copy: Path) -> None:
    content = (copy / "capture.pcapng").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (copy / "capture.pcapng").write_bytes(content[: int(len(content) * share)])
        assert "capture.pcapng is not what the run wrote" in verdict(copy).why
        mend(copy)
        assert verdict(copy).verdict is Verdict.INVALID


def test_a_capture_cut_short_between_two_frames_is_invalid(copy: Path) -> None:
    frames = frames_of(copy)
    with (copy / "capture.pcapng").open("wb") as stream:
        pcapng.write(stream, [], frames[:-1])
    mend(copy)
    assert f"capture.pcapng has {len(frames) - 1} frames" in verdict(copy).why


@pytest.mark.parametrize("mended", [False, True])
def test_a_control_that_was_flipped_is_not_believed(copy: Path, mended: bool) -> None:
    controls: list[dict[str, Any]] = json.loads((copy / "controls.json").read_bytes())
    controls[0]["passed"] = False
    (copy / "controls.json").write_text(json.dumps(controls), encoding="utf-8")
    if mended:
        mend(copy)
    assert verdict(copy).verdict is Verdict.INVALID


def test_each_line_of_transcript_or_kernels_log_that_matters_is_missed(copy: Path) -> None:
    """Commands, replies, attempts and their SYNs: one taken out, and the rest contradicts it."""
    for name in ("transcript.jsonl", "kernel.jsonl"):
        lines = (copy / name).read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines):
            if not matters(json.loads(line)):
                continue
            (copy / name).write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
            mend(copy)
            assert verdict(copy).verdict is Verdict.INVALID, line
        (copy / name).write_bytes(b"".join(lines))
    mend(copy)
    assert verdict(copy).verdict is Verdict.AGREES


def matters(line: dict[str, Any]) -> bool:
    """Whether a line tells of a step of the two people, or of a SYN to port 3389 of one of them.

    That the core router has no route is told by its ICMP error as well.
    """
    if "packet" not in line:
        return bool(line["node"] != "services" and line.get("event", "dialling") == "dialling")
    syn = opening(bytes.fromhex(line["packet"]))
    return syn is not None and syn.destination_port == 3389 and line["prefix"] != "ended no route"
