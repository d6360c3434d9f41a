"""The operators' port of a server, which keeps operators' pages from its clients."""

from collections.abc import Mapping
from typing import Any


def is_operators_request(
    scope: Mapping[str, Any],  # ASGI's keys have values of several types
    operators_port: int | None,
) -> bool:
    """Return whether a request arrived at the operators' port; None: the server has none.

    The socket that accepted the connection decides, which no header of a client changes.
    """
    server = scope.get("server")
    return operators_port is not None and server is not None and server[1] == operators_port
