"""Whose a client's address is, for counting what one of them asks for."""

import ipaddress
from typing import Final

from starlette.datastructures import Address

# Whoever has one address of IPv6 has all of these.
_NETWORK_BITS: Final = 64


def network_of(client: Address | None) -> str:
    """Return what a client holds as a whole: an IPv4 address, or an IPv6 network."""
    host = "" if client is None else client.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    bits = _NETWORK_BITS if address.version == 6 else address.max_prefixlen  # noqa: PLR2004
    return str(ipaddress.ip_network((address, bits), strict=False))
