"""Which addresses and networks can be given to whom."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

_THIS_NETWORK = IPv4Network("0.0.0.0/8")


def check_host(host: IPv4Address, subnet: IPv4Interface, key: str) -> None:
    """Raise ValueError unless ``host`` can be a host of the subnet beside its router."""
    network = subnet.network
    if host not in network:
        raise ValueError(f"{key} {host} is outside its subnet {network}")
    if host == subnet.ip:
        raise ValueError(f"{key} {host} is the router's own address")
    _check_host_address(host, network, key)


def check_router(router: IPv4Interface, key: str) -> None:
    """Raise ValueError unless the router's own address can be one of its subnet."""
    _check_host_address(router.ip, router.network, key)


def _check_host_address(address: IPv4Address, network: IPv4Network, key: str) -> None:
    if address.is_loopback or address.is_multicast or address in _THIS_NETWORK:
        raise ValueError(f"{key} {address} is no address of a host (RFC 1122 3.2.1.3)")
    if address in (network.network_address, network.broadcast_address):
        raise ValueError(f"{key} {address} is not a host address of {network}")


def check_disjoint(named: list[tuple[str, IPv4Network]]) -> None:
    """Raise ValueError naming the first two networks that overlap."""
    for index, (name, network) in enumerate(named):
        for other_name, other in named[:index]:
            if network.overlaps(other):
                raise ValueError(
                    f"{name} ({network}) overlaps {other_name} ({other}); "
                    "give one of them another subnet"
                )
