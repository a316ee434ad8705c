"""A NAT-PMP and PCP server that errs as it is told, and really forwards by nftables."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Collection
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Address

from rigs import EXTERNAL, ROUTER, Part, forked

PORT = 5351
WRONG_ADDRESS = IPv4Address("24.48.96.7")
_OTHER_PORT = 40000


class Slip(StrEnum):
    WRONG_ADDRESS = "says another external address"
    FORWARDS_NOTHING = "accepts, and forwards nothing"
    OTHER_PORT = "never gives the port that is suggested"
    STEALS = "gives a taken port to who asks last"
    MOVES = "gives another port at each renewal"
    KEEPS_OPEN = "keeps open what was deleted"
    STANDS_STILL = "has a clock that stands still"
    RACES = "has a clock that runs too fast"
    ANY_VERSION = "takes every version for its own"
    ANY_THIRD_PARTY = "maps ports for others"
    CHECKS_NONCES = "refuses who does not know the nonce, as it should"
    NO_PCP = "knows NAT-PMP only"
    REFUSES = "refuses every mapping"


class Server:
    """The server; ``slips`` are all that is wrong with it."""

    def __init__(self, slips: Collection[Slip]) -> None:
        self._slips = slips
        self._mapped: dict[tuple[str, int], int] = {}
        self._nonces: dict[tuple[str, int], bytes] = {}
        self._began = time.monotonic()

    def serve(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((str(ROUTER.ip), PORT))
            while True:
                request, (address, port) = sock.recvfrom(2048)
                answer = self._answer(request, address)
                if answer:
                    sock.sendto(answer, (address, port))

    @property
    def _epoch(self) -> int:
        if Slip.STANDS_STILL in self._slips:
            return 1000
        pace = 50 if Slip.RACES in self._slips else 1
        return 1000 + int(pace * (time.monotonic() - self._began))

    @property
    def _external(self) -> IPv4Address:
        return WRONG_ADDRESS if Slip.WRONG_ADDRESS in self._slips else EXTERNAL.ip

    def _answer(self, request: bytes, address: str) -> bytes:
        version, opcode = request[:2]
        if version not in (0, 2) and Slip.ANY_VERSION in self._slips:
            version = 0
        if version == 2 and Slip.NO_PCP not in self._slips:
            return self._pcp(opcode, request, address)
        if version:
            return struct.pack("!BBHI", 0, 128, 1, self._epoch)
        if opcode == 0:
            return struct.pack("!BBHI4s", 0, 128, 0, self._epoch, self._external.packed)
        internal, external, lifetime = struct.unpack_from("!HHI", request, 4)
        if Slip.REFUSES in self._slips:
            return struct.pack("!BBHIHHI", 0, 130, 2, self._epoch, internal, 0, 0)
        given = self._map((address, internal), external, lifetime)
        return struct.pack("!BBHIHHI", 0, 130, 0, self._epoch, internal, given, lifetime)

    def _pcp(self, opcode: int, request: bytes, address: str) -> bytes:
        (lifetime,) = struct.unpack_from("!I", request, 4)
        result, given = 0, 0
        if opcode == 1:
            nonce, protocol, internal, external = struct.unpack_from("!12sB3xHH", request, 24)
            third_party = request[60:61] == b"\x01"
            client = str(IPv4Address(request[-4:])) if third_party else address
            key = client, internal
            if third_party and Slip.ANY_THIRD_PARTY not in self._slips:
                result = 5
            elif self._is_forged(key, nonce):
                result = 2
            else:
                self._nonces[key] = nonce
                given = self._map(key, external, lifetime)
            body = struct.pack("!12sB3xHH", nonce, protocol, internal, given)
            body += bytes(10) + b"\xff\xff" + self._external.packed + request[60:]
        else:
            body = b""
        return struct.pack("!BBBBII12x", 2, 128 + opcode, 0, result, lifetime, self._epoch) + body

    def _is_forged(self, key: tuple[str, int], nonce: bytes) -> bool:
        return Slip.CHECKS_NONCES in self._slips and self._nonces.get(key, nonce) != nonce

    def _map(self, key: tuple[str, int], wanted: int, lifetime: int) -> int:
        """Map or remove; return the external port, 0 for one that was removed."""
        if not lifetime:
            if Slip.KEEPS_OPEN not in self._slips:
                self._mapped.pop(key, None)
                self._nonces.pop(key, None)
                self._load()
            return 0
        held = self._mapped.get(key)
        taken = {port for other, port in self._mapped.items() if other != key}
        given = held or wanted or _OTHER_PORT
        if Slip.OTHER_PORT in self._slips or (held and Slip.MOVES in self._slips):
            given += 1
        if Slip.STEALS in self._slips:
            self._mapped = {k: port for k, port in self._mapped.items() if port != given}
        else:
            while given in taken:
                given += 1
        self._mapped[key] = given
        self._load()
        return given

    def _load(self) -> None:
        rules = ["flush chain ip liar mapped"]
        if Slip.FORWARDS_NOTHING not in self._slips:
            rules += [
                f"add rule ip liar mapped tcp dport {port} dnat to {client}:{internal}"
                for (client, internal), port in self._mapped.items()
            ]
        subprocess.run(["nft", "-f", "-"], input="\n".join(rules) + "\n", text=True, check=True)


def careless(*slips: Slip) -> Part:
    """Return the part of a router that has :data:`careless_igd.RULES`."""
    return partial(forked, Server(slips).serve, [f"UDP {PORT}"])
