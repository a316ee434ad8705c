"""What there is to choose from, as columns and as JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.topology.load import default_folder

NO_ENGINE = "unix:///nowhere/docker.sock"
KINDS = ("devices", "topologies", "claims", "images", "labs")


def listed(home: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """List as a user with no labs, where no engine answers."""
    environment = {"COLUMNS": "80", "TMPDIR": str(home), "XDG_RUNTIME_DIR": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "harness", "list", *arguments],
        env={**os.environ, **environment, "DOCKER_HOST": NO_ENGINE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60.0,
        check=False,
    )
    assert done.returncode == status, done
    return done


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_every_list_fits_80_columns_and_has_no_trailing_blanks(tmp_path: Path, kind: str) -> None:
    lines = listed(tmp_path, *filter(None, [kind])).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]


def test_without_a_kind_the_names_of_all_are_listed(tmp_path: Path) -> None:
    text = listed(tmp_path).stdout
    assert [line.split()[0] for line in text.splitlines() if line[0] != " "][1:] == list(KINDS)
    for name in ("upnp-nat", "nat+nat", "messenger/novice/nat", "gateway-upnp"):
        assert name in text


def test_a_device_is_listed_with_what_it_is(tmp_path: Path) -> None:
    lines = listed(tmp_path, "devices").stdout.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines if not line[0].isspace())
    assert told["upnp-nat"].startswith("NAT with UPnP ")
    assert told["me-ics"].startswith("NAT with NAT-PMP ")
    assert told["icf"].startswith("firewall on the host ")
    assert told["socks-proxy"].startswith("SOCKS 5 proxy ")


def test_devices_as_json_are_those_of_the_folder_with_their_notes(tmp_path: Path) -> None:
    found = json.loads(listed(tmp_path, "devices", "--json").stdout)
    files = {path.stem for path in (default_folder() / "devices").glob("*.toml")}
    assert {each["name"] for each in found} == files
    (me_ics,) = (each for each in found if each["name"] == "me-ics")
    assert "model" in me_ics["note"].lower()


def test_a_claim_as_json_has_its_source_and_its_scenarios(tmp_path: Path) -> None:
    claims = json.loads(listed(tmp_path, "claims", "--json").stdout)
    (claim,) = (each for each in claims if each["id"] == "file-email/novice/nat")
    assert claim["answer"] == "no"
    assert "table 2, row Novice" in claim["source"]
    assert set(claim["scenarios"]) == {"file/nat+direct", "email/nat+direct"}


def test_all_as_json_has_every_kind(tmp_path: Path) -> None:
    assert tuple(json.loads(listed(tmp_path, "--json").stdout)) == KINDS


def test_another_folder_s_devices_are_listed(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(default_folder(), tmp_path / "topologies"))
    (folder / "devices" / "nat.toml").rename(folder / "devices" / "mine.toml")
    text = listed(tmp_path, "devices", "--topologies", str(folder)).stdout
    assert "\nmine " in text
    assert "\nnat " not in text


def test_a_wrong_definition_is_one_line(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(default_folder(), tmp_path / "topologies"))
    (folder / "devices" / "nat.toml").write_text("colour = 1\n", encoding="utf-8")
    done = listed(tmp_path, "devices", "--topologies", str(folder), status=2)
    (line,) = done.stderr.splitlines()
    assert "nat.toml" in line


def test_images_are_listed_where_no_engine_knows_whether_they_are_built(tmp_path: Path) -> None:
    done = listed(tmp_path, "images")
    assert done.stdout.splitlines()[1].split()[:2] == ["base", "?"]
    (line,) = done.stderr.splitlines()
    assert NO_ENGINE in line


def test_no_labs_are_said_to_be_none(tmp_path: Path) -> None:
    assert listed(tmp_path, "labs").stdout == "there are no labs\n"
    assert json.loads(listed(tmp_path, "labs", "--json").stdout) == []


def test_an_unknown_kind_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    (line,) = listed(tmp_path, "routers", status=2).stderr.splitlines()
    assert "'routers'" in line
    assert "topologies" in line
