"""Map a client's address to the network that its requests are counted under."""

import ipaddress
from typing import Final

from starlette.datastructures import Address

# IPv6 prefix length in bits: a client that has one address usually has its whole /64.
_NETWORK_BITS: Final = 64


def client_network(client: Address | None) -> str:
    """Return the unit that one client controls: an IPv4 address, or an IPv6 network."""
    host = "" if client is None else client.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    bits = _NETWORK_BITS if address.version == 6 else address.max_prefixlen  # noqa: PLR2004
    return str(ipaddress.ip_network((address, bits), strict=False))
