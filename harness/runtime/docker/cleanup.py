"""Removes containers: those of a run that ends, and those whose owner is dead."""

from __future__ import annotations

from docker import DockerClient
from docker.errors import APIError, NotFound
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import RunError
from harness.runtime.docker.ownership import RUN_LABEL, is_orphan

_GONE_DEADLINE = 30.0
"""Seconds the engine has to remove what has ended; it takes about 0.05 each."""

_CONFLICT = 409


def remove_run(client: DockerClient, run: str) -> None:
    """Remove every container of a run, and return when they are gone.

    Raises:
        RunError: the engine did not remove one in time.
    """
    if not _remove_until_gone(client, run):
        raise RunError(
            f"the engine has not removed every container of run {run} within {_GONE_DEADLINE:g} s: "
            f"docker rm -f $(docker ps -aqf label={RUN_LABEL}={run})"
        )


def remove_orphans(client: DockerClient) -> int:
    """Remove containers of runs whose owner is known to be dead; return how many."""
    found = client.api.containers(all=True, filters={"label": RUN_LABEL})
    orphans = [each["Id"] for each in found if is_orphan(each["Labels"])]
    for identity in orphans:
        _remove(client, identity)
    return len(orphans)


@retry(
    retry=retry_if_result(lambda gone: not gone),
    stop=stop_after_delay(_GONE_DEADLINE),
    wait=wait_fixed(0.02),
    retry_error_callback=lambda _: False,
)
def _remove_until_gone(client: DockerClient, run: str) -> bool:
    left = client.api.containers(all=True, filters={"label": f"{RUN_LABEL}={run}"})
    for each in left:
        _remove(client, each["Id"])
    return not left


def _remove(client: DockerClient, identity: str) -> None:
    try:
        client.api.remove_container(identity, force=True)
    except NotFound:
        return
    except APIError as error:
        # It is being removed already: a container that ends is, by itself.
        if error.status_code != _CONFLICT:
            raise
