"""Addresses on the web that somebody sends us, read strictly.

Programs disagree on what odd addresses mean: one that checks `http://0x7f.1/` and one that
connects to it may see two hosts. So there is one spelling of each host here, and what has
another is refused, not interpreted. Whether a host may be reached is not asked here: that
takes a look at its IP addresses, which is the fetcher's.

Source: RFC 3986; the WHATWG URL standard for which hosts are numbers.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

import idna

MAX_CHARACTERS: Final = 2048
USUAL_PORTS: Final = {"http": 80, "https": 443}

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<target>[^#]*)")
_PLACE = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::(?P<port>[0-9]{1,5}))?")
# Underscores are no letters of host names, and stand in those of some content networks.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST_CHARACTERS: Final = 253
_MAX_PORT: Final = 65535
# All of RFC 3986 that may stand in a path or a query, and % for what is encoded already.
_KEPT: Final = "/?:@!$&'()*+,;=~-._%"


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where something lies on the web.

    scheme: http or https.  host: a name in lower-case ASCII without a dot at its end, or an IP
    address in its usual spelling, without brackets.  target: path and query, in ASCII.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def place(self) -> str:
        """The host, and the port unless it is the scheme's usual one: what `Host:` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == USUAL_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the whole address."""
        return f"{self.scheme}://{self.place}{self.target}"


def read(text: str) -> WebAddress:
    """Return the address that a text is.

    Raises ValueError, which says what would be right, and repeats nothing of the text.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"is longer than {MAX_CHARACTERS} characters")
    # Other programs drop tabs and line ends, and take a backslash for a slash.
    if any(one.isspace() or not one.isprintable() or one == "\\" for one in text):
        raise ValueError("holds a blank, a backslash or what cannot be seen; write %20 or alike")
    parts = _ADDRESS.match(text)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in USUAL_PORTS:
        raise ValueError("is no web address; write https://HOST/PATH, or http://")
    if "@" in parts["place"]:
        raise ValueError("names a user or a password; leave them out")
    place = _PLACE.fullmatch(parts["place"])
    if place is None:
        raise ValueError("names no host; write https://HOST/PATH, and a port as HOST:8080")
    port = int(place["port"] or USUAL_PORTS[scheme])
    if not 0 < port <= _MAX_PORT:
        raise ValueError("names a port that there is not")
    host = read_host(place["name"]) if place["six"] is None else _six(place["six"])
    target = parts["target"]
    rooted = target if target.startswith("/") else f"/{target}"
    return WebAddress(scheme, host, port, quote(rooted, safe=_KEPT))


def read_host(text: str) -> str:
    """Return a host's name, or its IP address, in the one spelling that it has here.

    Raises ValueError, which says what would be right.
    """
    name = text.lower().removesuffix(".")
    if len(name) > _MAX_HOST_CHARACTERS:
        raise ValueError("names a host that is too long")
    if not name.isascii():
        try:
            # Wide digits become digits, and are looked at as such below.
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            raise ValueError("names a host that cannot be one") from None
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("names a host that cannot be one; write it without % or special signs")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("names a host by an odd number; write it as 192.0.2.1") from None
    return name


def followed(address: WebAddress, location: str) -> WebAddress:
    """Return where an address leads that answers with this `Location`.

    Raises ValueError when that is none, or when a secure address leads to one that is not.
    """
    onward = read(location) if _ADDRESS.match(location) else read(_joined(address, location))
    if address.scheme == "https" and onward.scheme == "http":
        raise ValueError("is http, where https was asked for")
    return onward


def _joined(address: WebAddress, location: str) -> str:
    # Whatever urljoin would tidy up is refused before it can.
    if any(one.isspace() or not one.isprintable() or one == "\\" for one in location):
        raise ValueError("holds a blank, a backslash or what cannot be seen")
    try:
        return urljoin(str(address), location)
    except ValueError:  # it tells what it was given
        raise ValueError("is no web address") from None


def _six(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("names no IPv6 address between its brackets") from None
    if address.scope_id is not None:
        raise ValueError("names an interface of a machine; leave out % and what follows")
    return str(address)
