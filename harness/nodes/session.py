"""The connection itself: X.224 first, then the proof from both sides, then bytes both ways."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Final

from harness.protocol import tpkt
from harness.protocol.proof import MAC_BYTES, NONCE_BYTES, Exchange, same

DEADLINE: Final = 5.0
"""Seconds that a connected peer has to show that it holds the invitation."""

PAYLOAD_BYTES: Final = 16 * 1024
"""How much each side sends to the other; more than one segment, less than one TPDU."""


class PeerError(Exception):
    """Whoever answered is not the peer of this invitation; the text says how it showed."""


async def accept(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes
) -> Exchange:
    """Take the listener's part; return when bytes went both ways.

    Raises:
        PeerError: the dialler does not hold the invitation, or speaks something else.
    """
    wire = _Wire(reader, writer)
    await wire.expect_request()
    await wire.send_raw(tpkt.connection_confirm())
    dialler_nonce = await wire.receive(NONCE_BYTES)
    exchange = Exchange(key, dialler_nonce, secrets.token_bytes(NONCE_BYTES))
    await wire.send(exchange.listener_nonce + exchange.listener_mac())
    if not same(await wire.receive(MAC_BYTES), exchange.dialler_mac()):
        raise PeerError("the dialler does not hold the invitation")
    await wire.echo_digest()
    await wire.send_payload()
    return exchange


async def prove(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes) -> Exchange:
    """Take the dialler's part; return when bytes went both ways.

    Raises:
        PeerError: the listener does not hold the invitation, or speaks something else.
    """
    wire = _Wire(reader, writer)
    await wire.send_raw(tpkt.connection_request())
    await wire.expect_confirm()
    dialler_nonce = secrets.token_bytes(NONCE_BYTES)
    await wire.send(dialler_nonce)
    answer = await wire.receive(NONCE_BYTES + MAC_BYTES)
    exchange = Exchange(key, dialler_nonce, answer[:NONCE_BYTES])
    if not same(answer[NONCE_BYTES:], exchange.listener_mac()):
        raise PeerError("the listener does not hold the invitation")
    await wire.send(exchange.dialler_mac())
    await wire.send_payload()
    await wire.echo_digest()
    return exchange


class _Wire:
    """TPKT packets over a stream; whatever goes wrong on it is the peer's fault."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def expect_request(self) -> None:
        try:
            tpkt.check_request(await self._read())
        except tpkt.TpktError as error:
            raise PeerError(str(error)) from error

    async def expect_confirm(self) -> None:
        try:
            tpkt.check_confirm(await self._read())
        except tpkt.TpktError as error:
            raise PeerError(str(error)) from error

    async def send(self, payload: bytes) -> None:
        await self.send_raw(tpkt.data(payload))

    async def send_raw(self, packet: bytes) -> None:
        try:
            self._writer.write(packet)
            await self._writer.drain()
        except OSError as error:
            raise PeerError(f"the peer went away: {error.strerror or error}") from error

    async def receive(self, size: int) -> bytes:
        try:
            payload = tpkt.read_data(await self._read())
        except tpkt.TpktError as error:
            raise PeerError(str(error)) from error
        if len(payload) != size:
            raise PeerError(f"{len(payload)} bytes came where {size} were due")
        return payload

    async def send_payload(self) -> None:
        payload = secrets.token_bytes(PAYLOAD_BYTES)
        await self.send(payload)
        if await self.receive(hashlib.sha256().digest_size) != hashlib.sha256(payload).digest():
            raise PeerError("the bytes that arrived are not the bytes that were sent")

    async def echo_digest(self) -> None:
        await self.send(hashlib.sha256(await self.receive(PAYLOAD_BYTES)).digest())

    async def _read(self) -> bytes:
        try:
            length = tpkt.body_length(await self._reader.readexactly(tpkt.HEADER_BYTES))
            return await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise PeerError("the peer closed the connection") from error
        except OSError as error:
            raise PeerError(f"the peer went away: {error.strerror or error}") from error
