"""Parse URLs from clients strictly.

Programs interpret unusual URLs differently: the program that checks `http://0x7f.1/` and the one
that connects to it may see two hosts. So each host has one spelling here, and any other spelling
is rejected, not interpreted. The fetcher decides whether a host may be reached, as that depends on
its IP addresses.

Source: RFC 3986; the WHATWG URL standard for which hosts are numbers.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

import idna

MAX_CHARACTERS: Final = 2048
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<target>[^#]*)")
_AUTHORITY = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::(?P<port>[0-9]{1,5}))?")
# Underscores are not valid in host names, but some content networks use them.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST_CHARACTERS: Final = 253
_MAX_PORT: Final = 65535
# Characters that RFC 3986 allows in a path or a query, and % for what is encoded already.
_SAFE_CHARACTERS: Final = "/?:@!$&'()*+,;=~-._%"


@dataclass(frozen=True, slots=True)
class WebUrl:
    """A parsed http or https URL.

    scheme: http or https.  host: a name in lower-case ASCII without a dot at its end, or an IP
    address in canonical form, without brackets.  target: path and query, in ASCII.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def place(self) -> str:
        """The value of the `Host:` header: the host, and the port unless it is the default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the whole URL."""
        return f"{self.scheme}://{self.place}{self.target}"


def parse(text: str) -> WebUrl:
    """Parse a URL.

    Raises ValueError, which says what is valid and repeats no part of the text.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"is longer than {MAX_CHARACTERS} characters")
    # Other programs drop tabs and line ends, and read a backslash as a slash.
    if any(
        character.isspace() or not character.isprintable() or character == "\\"
        for character in text
    ):
        raise ValueError(
            "has a space, a backslash or an unprintable character; write it encoded, such as %20"
        )
    parts = _URL.match(text)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in DEFAULT_PORTS:
        raise ValueError("is not a web address; write https://HOST/PATH, or http://")
    if "@" in parts["place"]:
        raise ValueError("has a user or a password; leave them out")
    place = _AUTHORITY.fullmatch(parts["place"])
    if place is None:
        raise ValueError("has no valid host; write https://HOST/PATH, and a port as HOST:8080")
    port = int(place["port"] or DEFAULT_PORTS[scheme])
    if not 0 < port <= _MAX_PORT:
        raise ValueError(f"has an invalid port; write one from 1 to {_MAX_PORT}")
    host = parse_host(place["name"]) if place["six"] is None else _parse_ipv6(place["six"])
    target = parts["target"]
    rooted = target if target.startswith("/") else f"/{target}"
    return WebUrl(scheme, host, port, quote(rooted, safe=_SAFE_CHARACTERS))


def parse_host(text: str) -> str:
    """Return a host name or IP address in its only accepted spelling.

    Raises ValueError, which says what is valid.
    """
    name = text.lower().removesuffix(".")
    if len(name) > _MAX_HOST_CHARACTERS:
        raise ValueError(f"has a host of more than {_MAX_HOST_CHARACTERS} characters")
    if not name.isascii():
        try:
            # Full-width digits become ASCII digits, which the number check below sees.
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            raise ValueError("has an invalid host name") from None
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("has an invalid host name; write it without % or special characters")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("has an unusual form of IP address; write it as 192.0.2.1") from None
    return name


def follow_redirect(address: WebUrl, location: str) -> WebUrl:
    """Return the URL that a `Location` header of an answer from `address` leads to.

    Raises ValueError when it is not a URL, or when https leads to http.
    """
    onward = parse(location) if _URL.match(location) else parse(_join(address, location))
    if address.scheme == "https" and onward.scheme == "http":
        raise ValueError("is http, not https")
    return onward


def _join(address: WebUrl, location: str) -> str:
    # Reject the characters that urljoin would silently remove or replace.
    if any(
        character.isspace() or not character.isprintable() or character == "\\"
        for character in location
    ):
        raise ValueError("has a space, a backslash or an unprintable character")
    try:
        return urljoin(str(address), location)
    except ValueError:  # its message repeats the location
        raise ValueError("is not a web address") from None


def _parse_ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("has no IPv6 address between its brackets") from None
    if address.scope_id is not None:
        raise ValueError("has a network interface; leave out % and the name after it")
    return str(address)
