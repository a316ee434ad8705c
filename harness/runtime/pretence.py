"""Lets programs that change their user run where there is one user only.

In the user namespace of an ordinary user nobody but that user exists, as uid 0. tcpdump, for one,
then refuses to start: it wants to give its rights up, and the kernel says that it cannot. So for
commands in such a lab the kernel answers these system calls with success and does nothing. Nothing
is gained by them: there is no other user to be. (Charliecloud emulates root in the same way.)

Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst; linux/audit.h; the kernel's
syscall tables.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_ALLOW = 0x7FFF0000
_SUCCEED = 0x00050000
"""SECCOMP_RET_ERRNO with error number 0: the call is not made, and returns 0."""

# Instructions of classic BPF (linux/filter.h): load a word, jump if equal, return.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06

# Where struct seccomp_data has the call's number and the architecture.
_NUMBER, _ARCHITECTURE = 0, 4

# chown, fchown, lchown, setuid, setgid, setreuid, setregid, setgroups, setresuid, setresgid,
# setfsuid, setfsgid, fchownat; arm64 has no chown and lchown.
_CALLS = {
    "x86_64": (0xC000003E, (92, 93, 94, 105, 106, 113, 114, 116, 117, 119, 122, 123, 260)),
    "aarch64": (0xC00000B7, (54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159)),
}
"""By machine: its AUDIT_ARCH, and the numbers of the calls that change a user or an owner."""


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def pretend_to_be_root() -> None:
    """Have this process, and all that it starts, told that it changed its user where it cannot.

    On other machines than those in the table nothing is pretended.

    Raises:
        OSError: the kernel refused; a kernel without seccomp is one on which nothing is pretended.
    """
    known = _CALLS.get(os.uname().machine)
    if known is None:
        return
    code = _filter(*known)
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        number = ctypes.get_errno()
        if number != errno.EINVAL:
            raise OSError(number, os.strerror(number), "seccomp")


def _filter(architecture: int, calls: tuple[int, ...]) -> bytes:
    """Return the filter as BPF instructions: 16-bit code, two 8-bit jumps, a 32-bit operand."""
    count = len(calls)
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, count + 1, architecture),
        (_LOAD, 0, 0, _NUMBER),
        # From the last call on the next line is "allow", and the one after it "succeed".
        *((_JUMP_IF_EQUAL, count - place, 0, call) for place, call in enumerate(calls)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _SUCCEED),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
