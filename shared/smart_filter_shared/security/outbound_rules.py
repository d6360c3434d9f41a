"""The rules that decide which hosts this installation connects to for clients.

The guard of the fetcher and the sender asks `permit` about the addresses of each connection. The
API asks `find_fault` when a client names a URL, to refuse early what needs no lookup to judge. An
answer without fault permits nothing: the guard judges again when it connects.

Public addresses are listed here: Python's `is_global` changes from release to release, and ignores
IPv4 addresses inside IPv6 addresses, multicast, and the addresses that clouds serve only to their
own machines.
Source: IANA's special-purpose address registries of IPv4 and IPv6 (RFC 6890), as of 2026.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from smart_filter_shared.security.urls import WebUrl

# The usual ports of the web. Services on other ports speak other protocols, and an HTTP request
# can trigger some of them; also, clients must not scan the ports of others from here.
ALLOWED_PORTS: Final = frozenset({80, 443, 8080, 8443})
# Opens this machine to its own clients; the value of SETTING where a developer runs everything.
LOOPBACK_TARGETS: Final = ("localhost", "127.0.0.0/8", "::1")
SETTING: Final = "SMART_FILTER_OUTBOUND_ALLOW"
_NOT_PUBLIC: Final = (
    f"is not on the public internet; the server's setting {SETTING} can allow its host"
)

# Source: RFC 6761, 6.3: these names are always the loopback.
_LOCAL_NAME: Final = "localhost"
_LOCAL_ADDRESSES: Final = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
# Domains that are never on the public internet: the name that many systems give to the loopback,
# those of home networks, and the one that ICANN reserved for private networks.
# Source: RFC 6762, 3; RFC 8375; ICANN board resolution 2024.07.29.06.
_LOCAL_DOMAINS: Final = ("localdomain", "local", "home.arpa", "internal")

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


class OutboundRules:
    """Public hosts at the usual ports, and what the operator allows in addition.

    allow: host names, and networks in CIDR notation, that may be reached on any port.
    """

    def __init__(self, allow: Iterable[str]) -> None:
        entries = [(entry, _parse_network(entry)) for entry in allow]
        self._hosts = frozenset(entry for entry, network in entries if network is None)
        self._networks = tuple(network for _, network in entries if network is not None)

    def permit(self, host: str, port: int, addresses: Sequence[IpAddress]) -> list[IpAddress]:
        """Return the addresses of a host that may be connected to; none if it is not public.

        Addresses that the operator allows come first. Otherwise every address of a name must be
        public: a mix is an attack or a mistake.
        """
        if host in self._hosts:
            return [*addresses]
        opened = [address for address in addresses if self._is_allowed(address)]
        if opened:
            return opened
        is_fine = port in ALLOWED_PORTS and all(is_public(address) for address in addresses)
        return [*addresses] if is_fine else []

    def find_fault(self, url: WebUrl) -> str | None:
        """Return why a URL can never be reached, for the client that named it, else None.

        It judges addresses, local names and ports; other names are looked up when they are
        connected to.
        """
        addresses = _known_addresses(url.host)
        if addresses is None:
            # A name can lead to an allowed network, where every port is open.
            if url.host in self._hosts or self._networks:
                return None
            if _is_local_name(url.host):
                return _NOT_PUBLIC
            return None if url.port in ALLOWED_PORTS else _describe_port(url.port)
        if self.permit(url.host, url.port, addresses):
            return None
        if all(is_public(address) for address in addresses):
            return _describe_port(url.port)
        return _NOT_PUBLIC

    def _is_allowed(self, address: IpAddress) -> bool:
        return any(
            address.version == network.version and address in network for network in self._networks
        )


def parse_address(text: str) -> IpAddress | None:
    """Return an IP address, or None for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _known_addresses(host: str) -> Sequence[IpAddress] | None:
    """Return the addresses of a host that are known without a lookup, or None."""
    if host == _LOCAL_NAME or host.endswith(f".{_LOCAL_NAME}"):
        return _LOCAL_ADDRESSES
    address = parse_address(host)
    return None if address is None else (address,)


def _is_local_name(host: str) -> bool:
    """Whether a name can only be one of a local network: reserved for these, or a single label."""
    return "." not in host or host.endswith(tuple(f".{domain}" for domain in _LOCAL_DOMAINS))


def _describe_port(port: int) -> str:
    ports = ", ".join(str(allowed) for allowed in sorted(ALLOWED_PORTS))
    return (
        f"has the port {port}, but only {ports} are reached; the server's setting {SETTING} can "
        "allow its host"
    )


def _parse_network(text: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


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
