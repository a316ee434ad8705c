"""The card tells what a router carries: connections, bytes, and the options of their SYNs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from natcards import COMPLIANT, NON_COMPLIANT, NOT_TESTED, made, made_on
from rigs import MASQUERADE, rig, rules

from harness.gear.card import transfer
from harness.gear.rig import Rig
from harness.judge.card import Level


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    """A plain masquerade."""
    with rig(MASQUERADE) as here:
        yield here


def test_a_hundred_connections_stand_at_the_same_time(plain: Rig) -> None:
    result = made(plain, "transfer-parallel")
    assert (result.outcome, result.level) == (COMPLIANT, Level.RECOMMENDED)
    assert result.detail == "100 of 100 connections open, 100 carry bytes when all are"


def test_a_router_with_room_for_few_connections_is_called_out() -> None:
    few = rules(forward='iifname "lan" ct state new ct count over 40 drop')
    result = made_on(few, "transfer-parallel")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == "40 of 100 connections open, 40 carry bytes when all are"


def test_connections_are_not_counted_without_internet() -> None:
    assert made_on(rules(forward="drop"), "transfer-parallel").outcome is NOT_TESTED


def test_eight_mebibytes_arrive_whole_each_way(plain: Rig) -> None:
    result = made(plain, "transfer-bulk")
    assert (result.outcome, result.level) == (COMPLIANT, Level.REQUIRED)
    assert result.detail.startswith("8 MiB outward in ")
    assert "8 MiB inward in " in result.detail


def test_a_transfer_that_is_cut_short_is_called_out() -> None:
    short = rules(forward='iifname "lan" oifname "wan" quota over 2 mbytes reject with tcp reset')
    result = made_on(short, "transfer-bulk")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith("outward: ")
    assert f"of {transfer.SIZE} bytes arrive" in result.detail


def test_a_transfer_that_stalls_is_called_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_CARRYING", 1.0)
    black_hole = rules(forward='iifname "wan" meta length > 1000 drop')
    result = made_on(black_hole, "transfer-bulk")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith(f"inward: 0 of {transfer.SIZE} bytes arrive within 1.")


def test_bytes_that_are_changed_on_the_way_are_called_out() -> None:
    changing = rules(forward='iifname "lan" meta length > 1000 @ih,64,64 set 0')
    result = made_on(changing, "transfer-bulk")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.endswith("bytes arrive, and they are not the ones sent")


def test_an_mss_that_is_left_alone_complies(plain: Rig) -> None:
    result = made(plain, "transfer-mss")
    assert (result.outcome, result.level) == (COMPLIANT, Level.INFORMATIONAL)
    assert result.detail == "SYN: 1460 unchanged; SYN-ACK: 1460 unchanged"


def test_an_mss_that_is_lowered_complies_and_is_told() -> None:
    clamp = rules(forward="tcp flags & syn == syn tcp option maxseg size set 1212")
    result = made_on(clamp, "transfer-mss")
    assert result.outcome is COMPLIANT
    assert result.detail == "SYN: 1460 arrives as 1212; SYN-ACK: 1460 arrives as 1212"


def test_an_mss_that_is_raised_is_called_out() -> None:
    # Linux's own clamp never raises. The MSS is the first option: bytes 22 and 23 of the header.
    raising = rules(forward='iifname "lan" tcp flags & (syn|ack) == syn @th,176,16 set 9000')
    result = made_on(raising, "transfer-mss")
    assert result.outcome is NON_COMPLIANT
    assert result.detail == "SYN: 1460 arrives as 9000; SYN-ACK: 1460 unchanged"


def test_options_that_survive_comply(plain: Rig) -> None:
    result = made(plain, "transfer-options")
    assert (result.outcome, result.level) == (COMPLIANT, Level.INFORMATIONAL)
    kept = [f"{syn}: {name}" for syn in ("SYN", "SYN-ACK") for name in transfer.OPTIONS]
    assert result.detail == f"unchanged: {', '.join(kept)}"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("sack-perm", "SYN: SACK True arrives as False"),
        ("timestamp", "SYN: timestamps True arrives as False"),
        ("window", "SYN: window scale "),
    ],
)
def test_an_option_that_is_taken_out_is_called_out(option: str, said: str) -> None:
    stripping = rules(forward=f"tcp flags & syn == syn reset tcp option {option}")
    result = made_on(stripping, "transfer-options")
    assert result.outcome is NON_COMPLIANT
    assert result.detail.startswith(said)
