"""Loads nftables rulesets through libnftables, in process: a ruleset in one call.

The library prints nothing here; its own words are put into the error. It aborts the whole process
when its socket's descriptor is 1024 or higher, so rules are loaded by a lab's own process, which
holds few descriptors.
"""

from __future__ import annotations

import ctypes
from functools import cache

from harness.errors import MachineError

_SONAME = "libnftables.so.1"


class RulesetError(Exception):
    """The kernel or the library refused a ruleset; the text is its own first line."""


@cache
def library() -> ctypes.CDLL:
    """Load libnftables.

    Raises:
        MachineError: it is not installed.
    """
    try:
        lib = ctypes.CDLL(_SONAME)
    except OSError as error:
        raise MachineError(
            f"{_SONAME} is missing: install Debian's package nftables (make setup does)"
        ) from error
    lib.nft_ctx_new.restype = ctypes.c_void_p
    lib.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    lib.nft_ctx_free.argtypes = (ctypes.c_void_p,)
    for buffer in (lib.nft_ctx_buffer_output, lib.nft_ctx_buffer_error):
        buffer.argtypes = (ctypes.c_void_p,)
    for text in (lib.nft_ctx_get_output_buffer, lib.nft_ctx_get_error_buffer):
        text.argtypes = (ctypes.c_void_p,)
        text.restype = ctypes.c_char_p
    lib.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return lib


def load(ruleset: str) -> None:
    """Load a ruleset, all or nothing, in the calling thread's network namespace.

    Raises:
        RulesetError: it was refused.
    """
    _run(ruleset)


def listing() -> str:
    """Return the ruleset that is loaded in the calling thread's network namespace."""
    return _run("list ruleset")


def _run(command: str) -> str:
    lib = library()
    context = lib.nft_ctx_new(0)
    try:
        lib.nft_ctx_buffer_output(context)
        lib.nft_ctx_buffer_error(context)
        failed = lib.nft_run_cmd_from_buffer(context, command.encode())
        if failed:
            said: bytes = lib.nft_ctx_get_error_buffer(context)
            lines = said.decode(errors="replace").strip().splitlines()
            raise RulesetError(lines[0] if lines else "refused without a word")
        output: bytes = lib.nft_ctx_get_output_buffer(context)
        return output.decode()
    finally:
        lib.nft_ctx_free(context)
