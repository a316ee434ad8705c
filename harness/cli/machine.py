"""The commands about this machine: what it can run, and what runs left on it."""

from __future__ import annotations

import sys

import click

from harness.errors import ExitCode, MachineError


@click.command(short_help="Say what this machine can run.")
def doctor() -> None:
    """Say which runtimes this machine can run, and what stops the others and gear (real routers).

    Ends with 2 where the namespaces runtime, which is the default, cannot be run.

    \b
    Examples:
      ra-harness doctor
      sudo ra-harness doctor
    """
    from harness.runner.doctor import examine  # noqa: PLC0415

    findings = list(examine())
    for finding in findings:
        click.echo(f"{finding.what}: {finding.trouble or 'ready'}")
    if findings[0].trouble is not None:
        sys.exit(ExitCode.USAGE)


@click.command(short_help="Build the images that docker and boxed need.")
def images() -> None:
    """Build the images of the docker and boxed runtimes that are missing or out of date.

    \b
    Examples:
      ra-harness images
      ra-harness list images
    """
    from harness.runtime.docker import engine, images  # noqa: PLC0415

    client = engine.connect()
    images.ensure(client, list(images.Role), click.echo)
    for role in images.Role:
        click.echo(f"{images.tag(role)} is up to date")


@click.command(short_help="Remove own images and what dead runs left.")
def clean() -> None:
    """Remove this clone's images, and containers whose run is dead.

    Containers of a run that is alive are left alone, and so are the images that they use. As long
    as a run of this clone is alive, on docker or boxed, all of its images are.

    \b
    Examples:
      ra-harness clean
    """
    from harness.runtime.docker import cleanup, engine, images  # noqa: PLC0415

    try:
        client = engine.connect()
    except MachineError as error:
        click.echo(f"nothing of Docker's was removed: {error}")
        return
    click.echo(f"containers of dead runs removed: {cleanup.remove_orphans(client)}")
    click.echo(f"images removed: {len(images.remove_all(client))}")
