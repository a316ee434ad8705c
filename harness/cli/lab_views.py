"""What is shown of a lab that is up."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.cli.output import print_columns
from harness.judge.model import Control
from harness.report.layout import print_hanging
from harness.report.wording import plain
from harness.runner.labs import LabEntry
from harness.runner.up import StandingLab

_MARK = {True: "ok", False: "FAILED"}
_STYLE = {True: "green", False: "bold red"}
_MARK_WIDTH = 8


def show_lab(lab: StandingLab, console: Console) -> None:
    """Print what a lab is, what its controls found, and how to look around in it."""
    show_nodes(lab.entry, console)
    _show_controls(lab.controls, console)
    services = lab.services
    node = lab.entry.nodes[0].name
    for line in (
        f"the expert's mailbox: user {services.mailbox}, password {services.mailbox_password}",
        f"a shell in a node, from another terminal: ra-harness shell {node} --lab {lab.entry.id}",
        "Ctrl-C ends the lab",
    ):
        console.print(Text(line), soft_wrap=True)


def show_nodes(lab: LabEntry, console: Console) -> None:
    """Print a lab's nodes and where they are."""
    title = f"Lab {lab.id}: {plain(lab.topology)}"
    console.print(Text(title, style="bold"), soft_wrap=True)
    rows = [
        (
            node.name if place == 0 else "",
            address.interface,
            str(address.address),
            node.what if place == 0 else "",
        )
        for node in lab.nodes
        for place, address in enumerate(node.addresses)
    ]
    print_columns(console, ("node", "interface", "address", "what it is"), rows)
    console.print()


def _show_controls(controls: Sequence[Control], console: Console) -> None:
    """Print every control, what failed with the reason, and how many did."""
    width = max(len(control.node) for control in controls)
    for control in sorted(controls, key=lambda control: control.node):
        style = _STYLE[control.passed]
        mark = Text(_MARK[control.passed].ljust(_MARK_WIDTH), style)
        label = Text.assemble(mark, plain(control.node).ljust(width))
        said = control.name if control.passed else f"{control.name}: {control.detail}"
        words = Text(plain(said), "" if control.passed else style)
        print_hanging(console, label, words, len(label) + 2)
    failed = sum(not control.passed for control in controls)
    summary = f"all {len(controls)} controls passed"
    if failed:
        summary = f"{failed} of {len(controls)} controls FAILED: this lab is not what it should be"
    console.print(Text(summary, _STYLE[not failed]), soft_wrap=True)
    console.print()
