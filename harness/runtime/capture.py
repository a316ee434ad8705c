"""Captures every frame on every Ethernet interface of a lab, from one process.

One packet socket for each namespace sees all its interfaces, and says of each frame which one it
was on and whether it came or went. A bridge and its port each see a frame that passes both, and
each is named. The kernel keeps the frames, so nobody need read before the end; where that was too
much for it, :attr:`Capture.lost` says so. Layouts: linux/if_packet.h, linux/filter.h, packet(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from threading import Thread
from typing import Final

from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.protocol.pcapng import Frame
from harness.runtime.netns import NetNs

WHOLE: Final = 1 << 18
"""A snap length, in bytes, that cuts no frame."""

BUFFER: Final = 1 << 24
"""What the kernel may keep for one namespace, in bytes; it doubles this for its own bookkeeping.

An ordinary user gets net.core.rmem_max at most, 208 KiB on most machines.
"""

READY_DEADLINE: Final = 5.0
"""How long in seconds a socket may take to stamp what it sees; microseconds on an idle machine."""

# From linux/if_ether.h, linux/if_arp.h, linux/if_packet.h and asm-generic/socket.h.
_ETH_P_ALL = 0x0003
_ETH_P_EXPERIMENT = 0x88B5
_ARPHRD_ETHER = 1
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_AUXDATA = 8
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 64  # the variant with 64 bits everywhere: SO_TIMESTAMPNS_NEW
_SIOCGIFHWADDR = 0x8927
_ANCILLARY = 0xFFFFF000
_ANCILLARY_PROTOCOL = 0
_ANCILLARY_HATYPE = 28

_LOAD_HALF = 0x28
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06

_TIMESTAMP = struct.Struct("=qq")
_AUXDATA = struct.Struct("=IIIHHHH")
_CONTROL = socket.CMSG_SPACE(_TIMESTAMP.size) + socket.CMSG_SPACE(_AUXDATA.size)

_LOOPBACK = "lo"
_PROBE = struct.pack("!12xH", _ETH_P_EXPERIMENT)


class Capture:
    """What the interfaces of some namespaces see, from construction until it is closed."""

    def __init__(self, namespaces: Mapping[str, NetNs], snaplen: int = WHOLE) -> None:
        """Begin to capture; the namespaces are wired and their ``lo`` is up.

        Of each frame ``snaplen`` bytes are kept: where much is transferred, the heads alone fit
        into the kernel's buffer.

        Raises:
            OSError: the kernel has no packet sockets, or this process may not open them.
        """
        self._taps = [_Tap(node, namespace, snaplen) for node, namespace in namespaces.items()]

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Every interface that there was at the beginning, as ``NODE/IFACE``."""
        return tuple(name for tap in self._taps for name in tap.interfaces)

    @property
    def lost(self) -> int:
        """How many frames the kernel had to drop because nobody read in time.

        Above 0 the capture has gaps, and silence in it proves nothing. Asked before it is closed.
        """
        return sum(tap.lost() for tap in self._taps)

    def read(self) -> list[Frame]:
        """Return what has been captured since the last call, in the order of time.

        Raises:
            OSError: a socket failed.
        """
        memory = memoryview(bytearray(WHOLE))
        frames = [frame for tap in self._taps for frame in tap.read(memory)]
        return sorted(frames, key=lambda frame: frame.time_ns)

    def close(self) -> None:
        """Stop to capture, and return at once.

        The kernel takes some 15 ms to let go of each such socket, whether it is closed or the
        process ends. So all are closed side by side, while the caller goes on: the sooner before
        the process ends, the less that has to wait.
        """
        for tap in self._taps:
            Thread(target=tap.close).start()


class _Tap:
    """The packet socket of one node."""

    def __init__(self, node: str, namespace: NetNs, snaplen: int) -> None:
        with namespace.entered():
            self._socket = socket.socket(
                socket.AF_PACKET,
                socket.SOCK_RAW | socket.SOCK_CLOEXEC,
                socket.htons(_ETH_P_ALL),
            )
            names = [name for _, name in socket.if_nameindex()]
        self._node = node
        self._lost = 0
        self.interfaces = [f"{node}/{name}" for name in names if self._is_ethernet(name)]
        self._set_buffer()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._set_filter(snaplen)
        self._socket.settimeout(READY_DEADLINE)
        if not _await_stamps(self._socket):
            raise TimeoutError(f"{node}: its frames get no time stamps from the kernel")
        self._socket.setblocking(False)

    def lost(self) -> int:
        # The kernel counts from its last answer on.
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        _, drops = struct.unpack("=II", statistics)
        self._lost += drops
        return self._lost

    def read(self, memory: memoryview) -> Iterator[Frame]:
        while True:
            try:
                size, control, _, address = self._socket.recvmsg_into([memory], _CONTROL)
            except BlockingIOError:
                return
            seconds, nanoseconds, length = _measured(control)
            yield Frame(
                seconds * 10**9 + nanoseconds,
                f"{self._node}/{address[0]}",
                address[2] == socket.PACKET_OUTGOING,
                bytes(memory[:size]),
                length,
            )

    def close(self) -> None:
        self._socket.close()

    def _is_ethernet(self, name: str) -> bool:
        request = struct.pack("16sH22x", name.encode(), 0)
        answer = fcntl.ioctl(self._socket, _SIOCGIFHWADDR, request)
        (kind,) = struct.unpack_from("=H", answer, 16)
        return bool(kind == _ARPHRD_ETHER)

    def _set_buffer(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def _set_filter(self, snaplen: int) -> None:
        """Let through the beginning of frames on Ethernet, and our own probe on ``lo``."""
        program = struct.pack(
            "=" + 6 * "HBBI",
            *(_LOAD_HALF, 0, 0, _ANCILLARY + _ANCILLARY_HATYPE),
            *(_JUMP_IF_EQUAL, 2, 0, _ARPHRD_ETHER),
            *(_LOAD_HALF, 0, 0, _ANCILLARY + _ANCILLARY_PROTOCOL),
            *(_JUMP_IF_EQUAL, 0, 1, _ETH_P_EXPERIMENT),
            *(_RETURN, 0, 0, snaplen),
            *(_RETURN, 0, 0, 0),
        )
        memory = ctypes.create_string_buffer(program, len(program))
        pointer = struct.pack("HP", len(program) // 8, ctypes.addressof(memory))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


def _measured(control: list[tuple[int, int, bytes]]) -> tuple[int, int, int]:
    """Return when a frame was seen, as seconds and nanoseconds, and its length."""
    seconds = nanoseconds = length = 0
    for level, _, data in control:
        if level == _SOL_PACKET:
            length = _AUXDATA.unpack(data)[1]
        else:
            seconds, nanoseconds = _TIMESTAMP.unpack(data)
    return seconds, nanoseconds, length


@retry(
    retry=retry_if_result(lambda stamped: not stamped),
    stop=stop_after_delay(READY_DEADLINE),
    wait=wait_fixed(0.0001),
    retry_error_callback=lambda _: False,
)
def _await_stamps(sock: socket.socket) -> bool:
    """Send a probe over ``lo`` and tell whether it was stamped when it came, not when it was read.

    The kernel begins to stamp frames a moment after it is first asked to, in the background; a
    frame without a stamp would get the time at which it is read. What came before the probe is
    discarded: the socket was open before its filter was set.
    """
    sock.sendto(_PROBE, (_LOOPBACK, _ETH_P_EXPERIMENT))
    while True:
        asked = time.time_ns()
        data, control, _, address = sock.recvmsg(len(_PROBE), _CONTROL)
        if address[0] == _LOOPBACK and data == _PROBE:
            seconds, nanoseconds, _ = _measured(control)
            return seconds * 10**9 + nanoseconds < asked
