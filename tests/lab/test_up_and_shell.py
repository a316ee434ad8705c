"""A lab that stays up is a scenario's lab, can be entered, and is gone however it ends."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import COMMAND, fake_daemon
from standing import DEADLINE, Up, begin, environment, up
from test_article import ORDINARY
from test_life import _in_namespaces, _read_terminal, _until, _world_of

PYTHON = COMMAND[0]

PCAP_HEADERS = 24 + 16
"""Bytes of the file's header and of a packet's."""

NO_LAB = "ra-harness: no lab is up: bring one up with 'ra-harness up', in another terminal\n"


@pytest.fixture(scope="module", params=[(), ORDINARY], ids=["caller", "ordinary-user"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    env = environment(tmp_path_factory.mktemp("standing") / "home")
    with up("nat", "upnp-nat", env=env, prefix=request.param) as standing:
        yield standing


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "home")


def _ra_harness(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def _labs(env: dict[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(_ra_harness(env, "list", "labs", "--json").stdout)
    return found


# What is shown


def test_up_shows_nodes_addresses_and_that_every_control_passed(lab: Up) -> None:
    assert lab.said.startswith(f"Lab {lab.id}: nat+upnp-nat\n")
    for words in ("novice.nat", "192.168.1.100/24", "UPnP NAT Device", "the mapping daemon alone"):
        assert words in lab.said
    assert "controls passed" in lab.said
    assert f"ra-harness shell novice --lab {lab.id}" in lab.said


def test_what_up_shows_fits_80_columns(lab: Up) -> None:
    assert max(map(len, lab.said.splitlines())) <= 80


def test_a_failed_control_is_loud_and_the_lab_stays_up(tmp_path: Path, env: dict[str, str]) -> None:
    broken = env | fake_daemon(tmp_path, "exit 1")
    with up("upnp-nat", env=broken) as standing:
        assert "FAILED  novice.upnp-nat  mapping daemon listens: nothing listens" in standing.said
        assert "controls FAILED: this lab is not what it should be" in standing.said
        assert standing.shell("novice", "--", "true").returncode == 0
        status, _ = standing.end()
        assert status == 3


# Inside a node


def test_a_command_sees_its_node_s_network_alone(lab: Up) -> None:
    printed = lab.shell("novice", "--", "ip", "-j", "-4", "address").stdout
    addresses = {
        interface["ifname"]: [each["local"] for each in interface["addr_info"]]
        for interface in json.loads(printed)
    }
    assert addresses == {"lo": ["127.0.0.1"], "eth0": ["192.168.1.100"]}


def test_rules_are_listed_in_a_device(lab: Up) -> None:
    assert "masquerade" in lab.shell("novice.nat", "--", "nft", "list", "ruleset").stdout


def test_services_and_daemons_are_real(lab: Up) -> None:
    services = lab.shell("services", "--", "ss", "-Hlnt").stdout
    for port in (25, 110, 1863, 3478):
        assert f":{port} " in services
    assert ":5000 " in lab.shell("expert.upnp-nat", "--", "ss", "-Hlnt").stdout


def test_a_connection_goes_through_the_nat(lab: Up) -> None:
    """The mail server greets, and the NAT tracks it by both addresses."""
    script = "import socket; print(socket.create_connection(('91.30.30.10', 25), 5).recv(3))"
    done = lab.shell("novice", "--", PYTHON, "-c", script)
    assert done.stdout == "b'220'\n", done.stderr


def test_a_command_sees_the_lab_s_processes_and_not_the_machine_s(lab: Up) -> None:
    script = "import os; print(*(int(name) for name in os.listdir('/proc') if name.isdigit()))"
    done = lab.shell("novice", "--", PYTHON, "-c", script)
    assert 1 in map(int, done.stdout.split())
    assert len(done.stdout.split()) < 30


def test_tcpdump_sees_a_node_s_packets_and_writes_them_where_the_user_is(
    lab: Up, tmp_path: Path
) -> None:
    """It gives its rights up when it starts, which an ordinary user's lab has nobody to take."""
    if shutil.which("tcpdump") is None:
        pytest.fail("tcpdump is missing: install Debian's package tcpdump (make setup-tests does)")
    script = (
        "import socket, subprocess, sys\n"
        "dump = subprocess.Popen(['tcpdump', '-U', '-c1', '-nieth0', '-wseen.pcap', 'tcp[13]=2'],\n"
        "                        stderr=subprocess.PIPE)\n"
        "assert b'listening on eth0' in dump.stderr.readline(), 'it does not listen'\n"
        "socket.create_connection(('91.30.30.10', 25), 5)\n"
        "sys.exit(dump.wait(10))\n"
    )
    done = lab.ra_harness("shell", "novice", "--", PYTHON, "-c", script, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seen.pcap").stat().st_size > PCAP_HEADERS


def test_a_program_may_believe_that_it_gave_its_rights_up(lab: Up) -> None:
    """As root it really does."""
    script = "import os; os.setgroups([65534]); os.setgid(65534); os.setuid(65534); print('done')"
    done = lab.shell("novice", "--", PYTHON, "-c", script)
    assert done.stdout == "done\n", done.stderr


def test_a_command_is_told_where_it_is(lab: Up, tmp_path: Path) -> None:
    script = 'echo $RA_HARNESS_LAB $RA_HARNESS_NODE; hostname; pwd; ls "$RA_HARNESS_DISK"'
    arguments = ("shell", "expert.upnp-nat", "--", "sh", "-c", script)
    lines = lab.ra_harness(*arguments, folder=tmp_path).stdout.splitlines()
    assert lines[:3] == [f"{lab.id} expert.upnp-nat", "expert.upnp-nat", str(tmp_path)]
    assert "miniupnpd.conf" in lines[3:]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM),
        (("no-such-program",), 127),
        (("/etc/passwd",), 126),
    ],
    ids=["status", "signal", "missing", "no program"],
)
def test_the_command_s_exit_code_is_passed_on(
    lab: Up, command: tuple[str, ...], status: int
) -> None:
    done = lab.shell("novice", "--", *command)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_what_a_command_ignored_before_is_not_what_it_ignores_inside(lab: Up) -> None:
    """Python ignores SIGPIPE for itself; a program of a pipeline must not."""
    done = lab.shell("novice", "--", "sh", "-c", "grep SigIgn /proc/self/status")
    assert int(done.stdout.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_a_shell_reads_its_commands_from_standard_input(lab: Up) -> None:
    done = lab.shell("internet", text="cat /proc/sys/net/ipv4/ip_forward\nexit 4\n")
    assert (done.stdout, done.returncode) == ("1\n", 4)


def test_shell_without_a_node_lists_the_nodes(lab: Up) -> None:
    done = lab.shell()
    assert done.returncode == 0
    for node in ("novice", "novice.nat", "expert", "expert.upnp-nat", "services", "internet"):
        assert f"\n{node} " in done.stdout


def test_a_shell_on_a_terminal_names_its_node_and_gives_the_terminal_back(lab: Up) -> None:
    """Bash takes the terminal for itself, and killed, as all are when a lab ends, it keeps it.

    The script around it, which has no job control, must be able to read from it afterwards.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(lab.environment)
        inner = [*lab.beside, *COMMAND, "shell", "novice", "--lab", lab.id]
        script = '"$@"; echo "status $?"; read word; echo "read $word"'
        os.execvp("bash", ["bash", "-c", script, "bash", *inner])
    try:
        _expect(terminal, b"(novice) ")
        os.write(terminal, b"ip -br address show eth0; kill -KILL $$\n")
        shown = _expect(terminal, b"status 137")
        assert b"192.168.1.100/24" in shown
        os.write(terminal, b"this\n")
        _expect(terminal, b"read this")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def _expect(terminal: int, words: bytes) -> bytes:
    shown = b""
    while words not in shown:
        chunk = _read_terminal(terminal)
        assert chunk, shown.decode(errors="replace")
        shown += chunk
    return shown


# Which lab


def test_with_two_labs_up_the_lab_must_be_named(env: dict[str, str]) -> None:
    with up("nat", env=env) as first, up("upnp-nat", env=env) as second:
        done = first.shell("novice", "--", "true")
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "--lab" in line
        assert first.id in line
        assert second.id in line
        for standing, address in ((first, "192.168.1.100"), (second, "192.168.2.100")):
            named = ("novice", "--lab", standing.id, "--", "ip", "address")
            assert address in standing.shell(*named).stdout
        # A node that only one of them has needs no name of a lab.
        assert first.shell("novice.nat", "--", "true").returncode == 0
        assert [each["id"] for each in _labs(env)] == [first.id, second.id]


def test_an_unknown_node_is_refused_with_those_that_there_are(lab: Up) -> None:
    done = lab.shell("novise")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("ra-harness: no node is called 'novise'; there are: novice, novice.nat")


def test_an_unknown_lab_is_refused_with_those_that_there_are(lab: Up) -> None:
    done = lab.shell("novice", "--lab", "zzzz")
    assert done.returncode == 2
    assert done.stderr == f"ra-harness: no lab zzzz is up; up: {lab.id} (nat+upnp-nat)\n"


def test_a_file_that_is_no_lab_s_is_none(env: dict[str, str]) -> None:
    folder = Path(env["XDG_RUNTIME_DIR"]) / "ra-harness"
    folder.mkdir(mode=0o700)
    (folder / "0000.json").write_text('{"id": "0000"}', encoding="utf-8")
    done = _ra_harness(env, "shell", "novice", "--lab", "0000")
    assert (done.returncode, done.stderr) == (2, NO_LAB)


# The end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("prefix", [(), ORDINARY], ids=["caller", "ordinary-user"])
def test_a_lab_that_is_told_to_end_leaves_nothing(
    env: dict[str, str], number: signal.Signals, prefix: tuple[str, ...]
) -> None:
    with up("upnp-nat", env=env, prefix=prefix) as standing:
        world = _world_of(standing.process.pid)
        status, said = standing.end(number)
    assert (status, said) == (0, f"lab {standing.id} is gone\n")
    assert not _in_namespaces(world), "the command returned before its world was gone"
    assert list(Path(env["XDG_RUNTIME_DIR"]).rglob("*.json")) == []


def test_a_killed_lab_leaves_a_file_that_the_next_command_removes(env: dict[str, str]) -> None:
    with up("nat", env=env) as standing:
        world = _world_of(standing.process.pid)
        standing.process.kill()
        standing.process.wait()
        _until("the world is gone", lambda: not _in_namespaces(world))
        (file,) = Path(env["XDG_RUNTIME_DIR"]).rglob("*.json")
        done = _ra_harness(env, "shell", "novice")
        assert (done.returncode, done.stderr) == (2, NO_LAB)
        assert not file.exists()


def test_a_lab_whose_world_dies_ends_in_one_line(env: dict[str, str]) -> None:
    with up("nat", env=env) as standing:
        (keeper,) = _children(standing.process.pid)
        (first,) = _children(keeper)
        os.kill(first, signal.SIGKILL)
        out, _ = standing.process.communicate(timeout=DEADLINE)
    assert standing.process.returncode == 3
    (line,) = out.decode().splitlines()
    assert line.startswith(f"ra-harness: lab {standing.id} has ended by itself")
    assert _labs(env) == []


def test_a_command_in_a_lab_that_ends_is_told_so(env: dict[str, str]) -> None:
    with up("nat", env=env) as standing:
        inside = _start_inside(standing)
        standing.end()
        out, err = inside.communicate(timeout=DEADLINE)
    assert (inside.returncode, out) == (2, "")
    assert err == f"ra-harness: lab {standing.id} (nat+direct) has ended\n"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP], ids=["shell", "ctrl-z"])
def test_a_stopped_command_does_not_keep_a_lab_from_ending(
    env: dict[str, str], number: signal.Signals
) -> None:
    """The kernel ends a world only when somebody has reaped each of its processes.

    Ctrl-Z reaches all of them, and not only ``shell`` itself.
    """
    with up("nat", env=env) as standing:
        inside = _start_inside(standing)
        stop = os.kill if number is signal.SIGSTOP else os.killpg
        stop(inside.pid, number)
        status, _ = standing.end()
        assert status == 0
        inside.send_signal(signal.SIGCONT)
        inside.communicate(timeout=DEADLINE)
    assert inside.returncode == 2


def test_a_killed_shell_leaves_nothing_in_the_lab(lab: Up) -> None:
    inside = _start_inside(lab)
    inside.kill()
    inside.communicate(timeout=DEADLINE)
    listed = ("novice", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    _until("it is gone", lambda: "sleep 1000" not in lab.shell(*listed).stdout)


def _start_inside(standing: Up) -> subprocess.Popen[str]:
    """Start a command that says when it runs, and then does nothing for long."""
    command = [*standing.beside, *COMMAND, "shell", "novice", "--", "sh", "-c"]
    process = subprocess.Popen(
        [*command, "echo ready; exec sleep 1000"],
        env=standing.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in path.read_text(encoding="ascii").split()]


def test_a_lab_ends_with_its_terminal(env: dict[str, str]) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(env)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.execv(COMMAND[0], [*COMMAND, "up", "nat"])
    _expect(terminal, b"Ctrl-C ends the lab")
    world = _world_of(pid)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert not _in_namespaces(world)
    assert _labs(env) == []


def test_a_background_lab_of_a_script_ignores_what_the_script_has_it_ignore(
    env: dict[str, str],
) -> None:
    prefix = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    with up("nat", env=env, prefix=prefix) as standing:
        standing.process.send_signal(signal.SIGINT)
        assert standing.shell("novice", "--", "true").returncode == 0
        status, _ = standing.end(signal.SIGTERM)
    assert status == 0


# Misuse


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("nta",), "there is no device 'nta'", id="device"),
        pytest.param(("nat", "--novice", "nat"), "'nat' and 'nat' is too many", id="twice"),
        pytest.param(("nat", "--topology", "a.toml"), "--topology says it all", id="file and more"),
        pytest.param(("--topology", "no such.toml"), "no such.toml: No such file", id="no file"),
        pytest.param(("a", "b", "c"), "(c)", id="three chains"),
    ],
)
def test_a_topology_that_cannot_be_is_refused_in_one_line(
    env: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    process = begin(*arguments, env=env)
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    (line,) = out.decode().splitlines()
    assert line.startswith("ra-harness: ")
    assert said in line


def test_a_topology_file_is_brought_up_with_its_neighbours(
    tmp_path: Path, env: dict[str, str]
) -> None:
    file = tmp_path / "office.toml"
    file.write_text(
        '[novice]\nchain = ["nat"]\n'
        '[[novice.neighbours]]\nname = "printer"\naddress = "192.168.1.9"\nstranger = 3389\n',
        encoding="utf-8",
    )
    with up("--topology", str(file), env=env) as standing:
        assert "a stranger on TCP 3389" in " ".join(standing.said.split())
        assert ":3389 " in standing.shell("novice.printer", "--", "ss", "-Hlnt").stdout
