"""The proxy servers: tinyproxy for HTTP CONNECT, microsocks for SOCKS 5.

Debian's packages tinyproxy-bin and microsocks have the programs alone: neither starts a service.
"""

from __future__ import annotations

from ipaddress import IPv4Interface

from harness.lab import daemon
from harness.lab.daemon import Service
from harness.topology.model import Device, Proxy, ProxyProtocol

CONTROL = "proxy listens"

_PROGRAMS = {
    ProxyProtocol.HTTP: ("tinyproxy", "tinyproxy-bin"),
    ProxyProtocol.SOCKS5: ("microsocks", "microsocks"),
}


def find(protocol: ProxyProtocol) -> str:
    """Return the path of the program that speaks a protocol.

    Raises:
        MachineError: it is not installed.
    """
    return daemon.find(*_PROGRAMS[protocol])


def service(device: Device, proxy: Proxy) -> Service:
    """Say what to start, with which configuration."""
    lan = device.subnet.address
    name, _ = _PROGRAMS[proxy.protocol]
    command, files = [name], {}
    if proxy.protocol is ProxyProtocol.HTTP:
        files["tinyproxy.conf"] = configuration(lan, proxy)
        command += ["-d", "-c", "tinyproxy.conf"]
    else:
        command += ["-i", str(lan.ip), "-p", str(proxy.port)]
    return Service(name, CONTROL, tuple(command), (f"TCP {proxy.port}",), files)


def configuration(lan: IPv4Interface, proxy: Proxy) -> str:
    """Return tinyproxy's configuration: its LAN may use it, for CONNECT to its policy's ports."""
    lines = [
        f"Port {proxy.port}",
        f"Listen {lan.ip}",
        f"Allow {lan.network}",
        "Timeout 600",
        "MaxClients 32",
        "LogLevel Info",
    ]
    # Without any such line tinyproxy allows every port.
    lines += [f"ConnectPort {port}" for port in proxy.connect_ports or ()]
    return "\n".join(lines) + "\n"
