"""Free TCP ports on the loopback interface."""

import secrets
import socket

from smart_filter_shared.errors import SetupFailed

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes the ports of outgoing connections (32768 up by
# default): a server that is away for a moment finds its port still free, and a client that
# keeps trying to reach it cannot by chance connect to itself.
_FIRST = 15_000
_LAST = 32_000
_TRIES = 200


def free_port() -> int:
    """Return a random port on 127.0.0.1 that is free, and claim it until this process ends.

    The server that is to listen on it starts later, PostgreSQL after it has created its data. The
    claim keeps another process from choosing the same port meanwhile.

    Raises SetupFailed when none is found, which means that loopback cannot be used at all.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        with socket.socket() as probe:
            # As servers do: a port of connections that have just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        if _claim(port):
            return port
    raise SetupFailed(f"no free port on {LOOPBACK}: is the loopback interface up?")


def _claim(port: int) -> bool:
    """Claim a port among processes that ask here; return False when another one has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        # An abstract name: no file, known in the same network namespace as the port, and gone
        # with its socket. Source: unix(7).
        claim.bind(f"\0smart-filter-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # left open, so that the end of the process ends the claim
    return True
