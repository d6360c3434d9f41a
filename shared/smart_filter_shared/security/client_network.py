"""The network of a client: the unit that counts as one client where no key is known."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

# IPv6 prefix length in bits: a client that has one address usually has its whole /64.
_NETWORK_BITS = 64


def client_network(scope: Mapping[str, Any]) -> str:  # ASGI's keys have values of several types
    """Return the IPv4 address or the IPv6 network of the client of a request or WebSocket.

    scope: as ASGI defines it; empty text when it has no client.
    """
    client = scope.get("client")
    return "" if client is None else network_of(client[0])


@lru_cache(maxsize=10_000)
def network_of(host: str) -> str:
    """Return the IPv4 address or the IPv6 network of an address; other texts stay as they are."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - the version of IP
        return str(address)
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
