"""How two strangers on TCP 3389 show each other that they hold the same invitation.

Both sides derive one key from the invitation file and its password. Each sends a fresh nonce and a
MAC over both nonces under its own label, so a host that merely has the same address, one that
echoes, and one's own listener reached by accident all fail. (Windows does this by logging on to
RDP with the session's credentials; what matters here is that neither side can pass without the
invitation.)
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

NONCE_BYTES: Final = 32
MAC_BYTES: Final = 32


@dataclass(frozen=True)
class Exchange:
    """The two nonces of one connection, and the key that both sides should hold."""

    key: bytes
    dialler_nonce: bytes
    listener_nonce: bytes

    def dialler_mac(self) -> bytes:
        """The proof that a dialler owes."""
        return self._mac(b"dialler")

    def listener_mac(self) -> bytes:
        """The proof that a listener owes."""
        return self._mac(b"listener")

    @property
    def session(self) -> str:
        """A name for this connection that both sides know and nobody else does."""
        return hashlib.sha256(self.dialler_nonce + self.listener_nonce).hexdigest()[:16]

    def _mac(self, label: bytes) -> bytes:
        nonces = self.dialler_nonce + self.listener_nonce
        return hmac.digest(self.key, label + b"\0" + nonces, "sha256")


def same(mac: bytes, expected: bytes) -> bool:
    """Compare two MACs in constant time."""
    return hmac.compare_digest(mac, expected)
