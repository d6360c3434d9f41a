"""Bind the sockets that servers listen on."""

import socket

from smart_filter_shared.errors import SetupFailed


def bind(host: str, port: int, *, options: str = "--host and --port") -> socket.socket:
    """Return a socket of this address, which does not listen yet.  Raises SetupFailed.

    options: the options that choose the address, for the error.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SetupFailed(
            f"port {port} of {host} is not available ({error.strerror}): stop the process that has"
            f" it, or choose others with {options}"
        ) from error
    return listener
