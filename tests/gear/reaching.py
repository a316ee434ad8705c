"""What gets through a router, and what it answers to a host that asks."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from lying_igd import DESCRIPTION, HTTP_PORT
from routers.neighbours import PATIENCE, Host, Neighbours
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

RDP = 3389
_SO_RCVBUFFORCE = 33

Make = Callable[..., Any]
Plug = Callable[..., Neighbours]


def gets_in(place: Neighbours, host: Host, port: int, address: IPv4Address) -> bool:
    """Tell whether a connection from the internet to the router's port arrives at the host."""
    with host.listening(RDP) as listener:
        try:
            calling = place.internet.connect(address, port, 1)
        except TimeoutError:
            return False
        with calling:
            accepted, _ = listener.accept()
            accepted.close()
            return True


@retry(
    retry=retry_if_result(lambda gets_in: gets_in),
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.1),
    retry_error_callback=lambda _: True,
)
def still_gets_in(place: Neighbours, address: IPv4Address) -> bool:
    return gets_in(place, place.hosts[0], RDP, address)


def get(host: Host, router: IPv4Address, most: int, path: str = DESCRIPTION) -> bytes:
    """Return the first bytes of the answer to a GET, head and all."""
    request = f"GET {path} HTTP/1.1\r\nHost: {router}:{HTTP_PORT}\r\n\r\n"
    with host.connect_in_time(router, HTTP_PORT) as sock:
        sock.sendall(request.encode("ascii"))
        answer = b""
        while len(answer) < most and (piece := sock.recv(1 << 20)):
            answer += piece
    return answer


def search(host: Host, router: IPv4Address) -> list[str]:
    """Return every answer to a search at the router, until none comes for 0.5 s."""
    search = (
        'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
        "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    )
    with host.namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        sock.settimeout(0.5)
        sock.sendto(search.encode("ascii"), (str(router), 1900))
        answers = []
        while True:
            try:
                answers.append(sock.recv(2048).decode("ascii"))
            except TimeoutError:
                return answers


def serving(place: Neighbours) -> tuple[Host, IPv4Address]:
    """Return the first host and the router's address on the LAN, when its UPnP answers."""
    host, router = place.hosts[0], place.router.lan.ip
    host.connect_in_time(router, HTTP_PORT).close()
    return host, router
