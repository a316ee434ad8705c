"""A host on a real router's LAN: its address comes from the router by a real DHCP client.

The client is Debian's udhcpc. It goes on running and renews the lease as long as the run lasts; it
tells what it was given to a script of ours, which writes it down.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.gear.stage import ETH0
from harness.lab import daemon
from harness.runtime.netns import NetNs
from harness.runtime.process import spawn_daemon

PROGRAM = "udhcpc"
_LEASE = "lease"
_LOG = "udhcpc.log"
_SCRIPT = "tell"
# Called with "bound" or "renew", and the lease in its environment (udhcpc(8)).
_TELL = f"""#!/bin/sh
[ -n "$ip" ] || exit 0
printf '%s %s %s\\n' "$ip" "$mask" "${{router%% *}}" > {_LEASE}.new && mv {_LEASE}.new {_LEASE}
"""
_POLL = 0.05
# Seconds between two discovers, and after three of them.
_PAUSE = 2


def find() -> str:
    """Return the client's path.

    Raises:
        MachineError: it is not installed.
    """
    return daemon.find(PROGRAM, "udhcpc", "setup-gear")


@dataclass(frozen=True)
class Lease:
    """A host's address with its network's prefix, and the router's address."""

    address: IPv4Interface
    gateway: IPv4Address

    @property
    def router(self) -> IPv4Interface:
        """The router's address with the prefix."""
        return IPv4Interface((self.gateway, self.address.network.prefixlen))


def ask(namespace: NetNs, folder: Path, name: str) -> None:
    """Start the client in a namespace; ``name`` is the host's name for the router's list."""
    folder.mkdir(parents=True)
    script = folder / _SCRIPT
    script.write_text(_TELL, encoding="ascii")
    script.chmod(0o755)
    command = (
        *(find(), "-f", "-i", ETH0, "-s", str(script), "-x", f"hostname:{name}"),
        *("-t", "3", "-T", str(_PAUSE), "-A", str(_PAUSE)),
    )
    spawn_daemon(
        namespace, command, folder, folder / _LOG, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    )


def await_lease(folder: Path, seconds: float, what: str) -> Lease:
    """Wait for the lease of a client that was started in this folder.

    Raises:
        MachineError: there is none within that many seconds, or it cannot be used; ``what`` names
            the router for people.
    """
    wait = Retrying(
        retry=retry_if_result(lambda lease: lease is None),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(_POLL),
        retry_error_callback=lambda _: None,
    )
    lease: Lease | None = wait(_lease, folder / _LEASE, what)
    if lease is None:
        raise MachineError(
            f"{what} gave no address by DHCP on its LAN within {seconds:g} s: is its DHCP server "
            "on, and are LAN and WAN not exchanged? (patience.lease in the bench file, or "
            "router.lan for an address by hand)"
        )
    return lease


def _lease(path: Path, what: str) -> Lease | None:
    if not path.exists():
        return None
    text = path.read_text(encoding="ascii", errors="replace").strip()
    try:
        ip, prefix, router = text.split(" ")
        return Lease(IPv4Interface(f"{ip}/{prefix}"), IPv4Address(router))
    except (ValueError, AddressValueError, NetmaskValueError) as error:
        raise MachineError(
            f"{what} gave a lease that cannot be used: {text!r} (address, prefix, router)"
        ) from error
