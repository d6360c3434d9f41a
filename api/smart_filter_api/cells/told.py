"""What an operator says of cells, read or refused in one line that says what would be right."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from smart_filter_api.cells.choosing import Cell, is_label

_CELL_LIKE = "expected NAME=URL, such as amber=http://10.0.0.5:8000"


def read_domain(text: str) -> str:
    """Return a domain in small letters.  Raises ValueError."""
    domain = text.lower()
    if not all(is_label(label) for label in domain.split(".")):
        raise ValueError(f"{text} is no domain; expected one such as photos.example.com")
    return domain


def read_place(text: str) -> tuple[str, int]:
    """Return the host and port of HOST:PORT.  Raises ValueError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.netloc != text or parts.username is not None:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:8001")
    return host, port


def read_cells(texts: Iterable[str]) -> tuple[Cell, ...]:
    """Return the cells that NAME=URL stand for.  Raises ValueError."""
    cells: dict[str, Cell] = {}
    for text in texts:
        cell = _cell(text)
        if cell.name in cells:
            raise ValueError(f"there are two cells called {cell.name}; give each a name of its own")
        cells[cell.name] = cell
    return tuple(cells.values())


def read_pins(lines: Iterable[str], cells: Sequence[Cell]) -> Mapping[str, Cell]:
    """Return the cells of tenants that lines `TENANT CELL` pin; empty ones say nothing.

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
            raise ValueError(f"line {number}: no --cell is called {name}; name it, or leave it out")
        if tenant in pins:
            raise ValueError(f"line {number}: {tenant} is there already; leave one of them out")
        pins[tenant] = named[name]
    return pins


def read_tenants(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the tenants of lines, in small letters; empty ones say nothing.  Raises ValueError."""
    tenants = tuple(line.strip().lower() for line in lines if line.strip())
    for tenant in tenants:
        if not is_label(tenant):
            raise ValueError(f"{tenant} cannot have a host: letters, digits and -, at most 63, can")
    return tenants


def _cell(text: str) -> Cell:
    # Nothing of it is repeated that may hold a secret: before an @, or where = is missing.
    name, is_there, url = text.partition("=")
    if not is_there:
        raise ValueError(f"there is no =; {_CELL_LIKE}")
    if not is_label(name):
        raise ValueError(f"a cell's name has small letters, digits and -; {_CELL_LIKE}")
    if not _is_address(url):
        raise ValueError(f"the URL of {name} is not http(s)://host[:port]; {_CELL_LIKE}")
    return Cell(name, url.rstrip("/"))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    more = (parts.path.strip("/"), parts.query, parts.fragment, parts.username)
    return parts.scheme in {"http", "https"} and host != b"" and port != 0 and not any(more)
