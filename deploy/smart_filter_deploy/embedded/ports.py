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
    """A random port on 127.0.0.1 on which nobody listens now.

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
        return port
    raise SetupFailed(f"no free port on {LOOPBACK}: is the loopback interface up?")
