"""What the HTTP servers share: sockets, the operators' port and the headers of each answer."""

import socket
from collections.abc import Mapping
from typing import Any, Final

from smart_filter_shared.errors import SetupFailed

# Forbid browsers to store, embed or interpret an answer.
SAFE_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)


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


def is_operators_request(
    scope: Mapping[str, Any],  # ASGI's keys have values of several types
    operators_port: int | None,
) -> bool:
    """Return whether a request arrived at the operators' port; None: the server has none.

    The socket that accepted the connection decides, which no header of a client changes.
    """
    server = scope.get("server")
    return operators_port is not None and server is not None and server[1] == operators_port


def _describe(error: OSError, host: str, port: int, options: str) -> SetupFailed:
    return SetupFailed(
        f"port {port} of {host} is not available ({error.strerror}): stop the process that has it,"
        f" or choose others with {options}"
    )
