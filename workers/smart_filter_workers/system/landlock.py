"""Take all rights to files and TCP ports from this thread, by Landlock.

Source: Linux, Documentation/userspace-api/landlock.rst.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38  # Source: linux/prctl.h
# The same numbers on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# Rights to files known to each version of the interface, as numbers of bits.
_FILE_RIGHTS: Final = (13, 14, 15, 15, 16)
_NETWORK_VERSION, _SCOPE_VERSION = 4, 6
_NETWORK_RIGHTS: Final = 0b11  # bind and connect
_SCOPES: Final = 0b11  # abstract sockets and signals


def restrict(*, readable: Iterable[str] = ()) -> str | None:
    """Take all rights that Landlock knows from this thread; return why it cannot, or None.

    Files and sockets that are already open stay usable. Later calls can only take more rights.
    readable: files, and folders with everything in them, that can still be read if they exist.
    """
    system = ctypes.CDLL(None, use_errno=True)
    if not hasattr(system, "prctl"):
        return "Landlock: not in this system"
    version = system.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GET_VERSION)
    if version < 1:
        return _reason()
    rights = struct.pack(
        "=QQQ",
        (1 << _FILE_RIGHTS[min(version, len(_FILE_RIGHTS)) - 1]) - 1,
        _NETWORK_RIGHTS if version >= _NETWORK_VERSION else 0,
        _SCOPES if version >= _SCOPE_VERSION else 0,
    )
    # Older kernels accept a longer structure if the rest is zero.
    rules = system.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0:
        return _reason()
    try:
        for place in readable:
            _allow_reading(system, rules, place)
        if system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or system.syscall(
            _RESTRICT_SELF, rules, 0
        ):
            return _reason()
    finally:
        os.close(rules)
    return None


def _allow_reading(system: ctypes.CDLL, rules: int, place: str) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rights = _READ_FILE | (_READ_FOLDER if is_folder else 0)
        system.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _reason() -> str:
    return f"Landlock: {errno.errorcode.get(ctypes.get_errno(), 'refused')}"
