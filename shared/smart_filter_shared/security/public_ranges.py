"""Tell public IP addresses from others.

Python's `is_global` is not enough, and it changes from release to release: it ignores IPv4
addresses inside IPv6 addresses, multicast, and the addresses that clouds serve only to their own
machines. Therefore the ranges are listed here.

Source: IANA's special-purpose address registries of IPv4 and IPv6 (RFC 6890), as of 2026.
"""

import ipaddress
from functools import cache
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC_4: Final = (
    "0.0.0.0/8",  # this network; on Linux, 0.0.0.0 is this machine
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # shared by carriers; Alibaba's metadata
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # Azure's platform, visible only to its machines
    "169.254.0.0/16",  # link-local; most clouds' metadata
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments; Oracle's metadata
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # 6to4 relays, deprecated
    "192.168.0.0/16",  # private
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
# All space allocated so far. Outside are, among others: ::1, IPv4 in IPv6 (::/96,
# ::ffff:0:0/96), NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard (100::/64), unique local
# (fc00::/7, AWS's metadata), link-local (fe80::/10), site-local (fec0::/10), multicast (ff00::/8).
_ALLOCATED_6: Final = "2000::/3"
_NOT_PUBLIC_6: Final = (
    "2001::/23",  # protocol assignments: Teredo carries IPv4 addresses; benchmarks, ORCHID
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4 carries IPv4 addresses
    "3fff::/20",  # documentation
)


def is_public(address: IpAddress) -> bool:
    """Return whether an address belongs to a machine on the public internet.

    An IPv6 address that carries an IPv4 address never does: no host needs to be reached that way,
    and the gateway that unwraps it decides where it leads.
    """
    if isinstance(address, ipaddress.IPv6Address) and address not in _network(_ALLOCATED_6):
        return False
    ranges = _NOT_PUBLIC_4 if address.version == 4 else _NOT_PUBLIC_6  # noqa: PLR2004 - IPv4
    return not any(address in _network(text) for text in ranges)


@cache
def _network(text: str) -> IpNetwork:
    return ipaddress.ip_network(text)
