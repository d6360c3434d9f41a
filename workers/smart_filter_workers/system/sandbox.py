"""Lock this process: no rights to files and TCP ports, and only the system calls of a computation.

Source: Linux, Documentation/userspace-api/landlock.rst.

A filter is a program of the kernel's packet filter that sees a call's number and arguments. It
lasts for the life of the process. No package is used: docs/decisions/0017 says why.
"""

import ctypes
import errno
import os
import platform
import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
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

# The values of the kernel's interface, by linux/seccomp.h.
_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1  # SECCOMP_FILTER_FLAG_TSYNC
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
# Offsets in struct seccomp_data; arguments have 8 bytes, the lower half first.
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
# Operations of the packet filter.  Source: linux/bpf_common.h
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROT_EXEC: Final = 4
_CLONE_THREAD: Final = 0x10000

# Numbers on x86-64 and on 64-bit Arm.  Source: asm/unistd_64.h and asm-generic/unistd.h
_CALLS: Final[Mapping[str, tuple[int, int]]] = {
    # The socket that the process has got.
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    # Memory.
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    # Threads of its own: the decoder of HEIC starts some.
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Signals to itself, time and random numbers.
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "setitimer": (38, 103),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "getrandom": (318, 278),
}
# Allowed unless an argument has a bit: memory that holds code.  The bit's argument is the third.
_MAPPING_CALLS: Final = {"mmap": (9, 222), "mprotect": (10, 226)}
# Allowed with a flag in the first argument: a thread, but no process.
_CLONE: Final = (56, 220)
# Its flags are in memory, which a filter cannot read. When it is missing, the C library uses
# `clone`.
_CLONE3: Final = (435, 435)
# Place in the tuples above, AUDIT_ARCH_… of linux/audit.h, and the number of seccomp().
_ARCHITECTURES: Final = {
    "x86_64": (0, 0xC000003E, 317),
    "aarch64": (1, 0xC00000B7, 277),
}


def restrict_files(*, readable: Iterable[str] = ()) -> str | None:
    """Take all rights that Landlock knows from this thread; return why it cannot, or None.

    Files and sockets that are already open stay usable. Later calls can only take more rights.
    readable: files, and folders with everything in them, that can still be read if they exist.
    """
    system = ctypes.CDLL(None, use_errno=True)
    if not hasattr(system, "prctl"):
        return "Landlock: not in this system"
    version = system.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GET_VERSION)
    if version < 1:
        return _landlock_reason()
    rights = struct.pack(
        "=QQQ",
        (1 << _FILE_RIGHTS[min(version, len(_FILE_RIGHTS)) - 1]) - 1,
        _NETWORK_RIGHTS if version >= _NETWORK_VERSION else 0,
        _SCOPES if version >= _SCOPE_VERSION else 0,
    )
    # Older kernels accept a longer structure if the rest is zero.
    rules = system.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0:
        return _landlock_reason()
    try:
        for place in readable:
            _allow_reading(system, rules, place)
        if system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or system.syscall(
            _RESTRICT_SELF, rules, 0
        ):
            return _landlock_reason()
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


def _landlock_reason() -> str:
    return f"Landlock: {errno.errorcode.get(ctypes.get_errno(), 'refused')}"


def restrict_calls() -> str | None:
    """Refuse calls that no computation needs, in all threads; return why it cannot, or None.

    Afterwards the process can use its open files and memory, and start threads. It cannot open a
    file, make a socket, start a process or a program, make memory executable, or signal or trace
    another process: these calls fail with EPERM. A call by another architecture's numbers ends it.
    """
    architecture_entry = _ARCHITECTURES.get(platform.machine())
    system = ctypes.CDLL(None, use_errno=True)
    if architecture_entry is None or not hasattr(system, "prctl"):
        return f"no seccomp filter is known for {platform.system()} on {platform.machine()}"
    place, architecture, seccomp = architecture_entry
    code = b"".join(_program(place, architecture))
    instructions = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions and their address.
    program = struct.pack("@HP", len(code) // _INSTRUCTION.size, ctypes.addressof(instructions))
    if system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or system.syscall(
        seccomp, _SET_MODE_FILTER, _ALL_THREADS, program
    ):
        return f"seccomp: {errno.errorcode.get(ctypes.get_errno(), 'refused')}"
    return None


def _program(place: int, architecture: int) -> Iterator[bytes]:
    """Yield the instructions; jumps count the instructions to skip."""
    refuse = _REFUSE | errno.EPERM
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_IF_EQUAL, architecture, if_true=1)
    yield _instruction(_RETURN, _KILL)
    yield _instruction(_LOAD, _NUMBER)
    for numbers in _CALLS.values():
        yield _instruction(_IF_EQUAL, numbers[place], if_false=1)
        yield _instruction(_RETURN, _ALLOW)
    yield _instruction(_IF_EQUAL, _CLONE3[place], if_false=1)
    yield _instruction(_RETURN, _REFUSE | errno.ENOSYS)
    yield _instruction(_IF_EQUAL, _CLONE[place], if_false=4)
    yield _instruction(_LOAD, _FIRST_ARGUMENT)
    yield _instruction(_IF_ANY_BIT, _CLONE_THREAD, if_false=1)
    yield _instruction(_RETURN, _ALLOW)
    yield _instruction(_RETURN, refuse)
    for numbers in _MAPPING_CALLS.values():
        yield _instruction(_IF_EQUAL, numbers[place], if_false=4)
        yield _instruction(_LOAD, _FIRST_ARGUMENT + 2 * 8)
        yield _instruction(_IF_ANY_BIT, _PROT_EXEC, if_true=1)
        yield _instruction(_RETURN, _ALLOW)
        yield _instruction(_RETURN, refuse)
    yield _instruction(_RETURN, refuse)


def _instruction(operation: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(operation, if_true, if_false, value)
