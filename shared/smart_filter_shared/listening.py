"""Bind the sockets that servers listen on."""

import socket

from smart_filter_shared.errors import SetupFailed


def bind(host: str, port: int, *, options: str = "--host and --port") -> socket.socket:
    """Return a socket of this address, which does not listen yet.  Raises SetupFailed.

    options: the options that choose the address, for the error.  Two processes can
    bind an address at which neither listens: `start_listening` tells.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _describe(error, host, port, options) from error
    return listener


def start_listening(listener: socket.socket, backlog: int) -> None:
    """Listen at the socket's address.  Raises SetupFailed when another process was earlier."""
    try:
        listener.listen(backlog)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _describe(error, host, port, "its options") from error


def _describe(error: OSError, host: str, port: int, options: str) -> SetupFailed:
    return SetupFailed(
        f"port {port} of {host} is not available ({error.strerror}): stop the process that has it,"
        f" or choose others with {options}"
    )
