"""Parse the operator's options for cells; each error is one line that names the expected form."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from smart_filter_api.cells.rendezvous import Cell, is_label

_CELL_FORMAT = "expected NAME=URL, such as amber=http://10.0.0.5:8000"


def parse_domain(text: str) -> str:
    """Return a domain in lower case.  Raises ValueError."""
    domain = text.lower()
    if not all(is_label(label) for label in domain.split(".")):
        raise ValueError(f"{text} is not a domain; expected one such as photos.example.com")
    return domain


def parse_host_port(text: str) -> tuple[str, int]:
    """Return the host and port of HOST:PORT.  Raises ValueError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.netloc != text or parts.username is not None:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:8001")
    return host, port


def parse_cells(texts: Iterable[str]) -> tuple[Cell, ...]:
    """Return the cells of texts NAME=URL.  Raises ValueError."""
    cells: dict[str, Cell] = {}
    for text in texts:
        cell = _parse_cell(text)
        if cell.name in cells:
            raise ValueError(f"two cells are named {cell.name}; each needs a name of its own")
        cells[cell.name] = cell
    return tuple(cells.values())


def parse_pins(lines: Iterable[str], cells: Sequence[Cell]) -> Mapping[str, Cell]:
    """Return the cell of each tenant that a line `TENANT CELL` pins; empty lines are skipped.

    Raises ValueError.
    """
    named = {cell.name: cell for cell in cells}
    pins: dict[str, Cell] = {}
    for number, line in enumerate(lines, 1):
        words = line.lower().split()
        if not words:
            continue
        match words:
            case [tenant, name] if is_label(tenant):
                pass
            case _:
                raise ValueError(f"line {number}: expected TENANT CELL, such as `acme amber`")
        if name not in named:
            raise ValueError(f"line {number}: no --cell is named {name}; add it or remove the line")
        if tenant in pins:
            raise ValueError(f"line {number}: {tenant} is pinned twice; remove one of the lines")
        pins[tenant] = named[name]
    return pins


def parse_tenants(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the tenants of lines in lower case; empty lines are skipped.  Raises ValueError."""
    tenants = tuple(line.strip().lower() for line in lines if line.strip())
    for tenant in tenants:
        if not is_label(tenant):
            raise ValueError(
                f"{tenant} cannot be a host name: expected letters, digits and -, at most 63"
            )
    return tenants


def _parse_cell(text: str) -> Cell:
    # Do not repeat parts that may hold a secret: text before an @, or all of it without a =.
    name, is_there, url = text.partition("=")
    if not is_there:
        raise ValueError(f"the = is missing; {_CELL_FORMAT}")
    if not is_label(name):
        raise ValueError(f"a cell's name has lower-case letters, digits and -; {_CELL_FORMAT}")
    if not _is_origin_url(url):
        raise ValueError(f"the URL of {name} is not http(s)://host[:port]; {_CELL_FORMAT}")
    return Cell(name, url.rstrip("/"))


def _is_origin_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    more = (parts.path.strip("/"), parts.query, parts.fragment, parts.username)
    return parts.scheme in {"http", "https"} and host != b"" and port != 0 and not any(more)
