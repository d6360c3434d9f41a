"""Choose the cell of a tenant: an installation that holds its keys, jobs and photos.

Source: Thaler & Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM
Transactions on Networking 6:1, 1998 (rendezvous hashing): the hash of each cell with the tenant is
a weight, and the tenant belongs to the cell with the greatest one. Removing a cell moves only its
own tenants; adding one moves only the tenants whose greatest weight is the new cell's.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smart_filter_shared.ids import OPERATOR

# A label of a host name (RFC 1123, 2.1), which holds the tenant's name.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
_CELL_FORMAT = "expected NAME=URL, such as amber=http://10.0.0.5:8000"
_PORTS = {"http": "80", "https": "443"}
# Requests to one cell at a time. A client that follows a job holds one until the job ends.
_MAX_REQUESTS = 1000
# Of each nginx worker process.
_MAX_IDLE_CONNECTIONS = 50
# The API closes connections that were idle for 5 s; a new request must not race with that.
_MAX_IDLE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One installation.

    name: hashed with each tenant, so changing it moves tenants.
    scheme, host, port: of its API, or of the balancer in front of several; may change.
    """

    name: str
    scheme: str
    host: str
    port: str

    @property
    def origin(self) -> str:
        """The URL under which nginx sends requests to the upstream of the cell."""
        return f"{self.scheme}://{self.name}"


def choose_cell(tenant: str, cells: Iterable[Cell], pins: Mapping[str, Cell]) -> Cell:
    """Return the cell of a tenant: the pinned one, else the one with the greatest hash.

    tenant: in lower case.  cells: at least one, with unique names, in any order.
    pins: cells of tenants that are assigned by hand, whatever their hash.
    """
    return pins.get(tenant) or max(cells, key=lambda cell: _rendezvous_weight(cell, tenant))


def render_nginx(domain: str, cells: Sequence[Cell], placed: Mapping[str, Cell]) -> str:
    """Return what `deploy/nginx/cells.conf` includes: an upstream for each cell, and two maps.

    domain: the domain below which each tenant has a host.  placed: the cell of each tenant; the
    operator's is left out, because every cell has one.
    """
    upstreams = (
        f"""\
upstream {cell.name} {{
    zone {cell.name} 64k;
    server {cell.host}:{cell.port} max_conns={_MAX_REQUESTS};
    keepalive {_MAX_IDLE_CONNECTIONS};
    keepalive_timeout {_MAX_IDLE_SECONDS}s;
}}
"""
        for cell in cells
    )
    hosts = (
        f"    {tenant}.{domain} {cell.origin};\n"
        for tenant, cell in placed.items()
        if tenant != OPERATOR
    )
    names = (f"    {cell.origin} {cell.host};\n" for cell in cells)
    return "".join(
        (
            *upstreams,
            *("map $host $cell_url {\n", *hosts, "}\n"),
            *("map $cell_url $cell_tls_name {\n", *names, "}\n"),
        )
    )


def parse_domain(text: str) -> str:
    """Return a domain in lower case.  Raises ValueError."""
    domain = text.lower()
    if not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise ValueError(f"{text} is not a domain; expected one such as photos.example.com")
    return domain


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
            case [tenant, name] if _LABEL.fullmatch(tenant):
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
    """Return the tenants of lines in lower case, each once; empty lines are skipped.

    Raises ValueError.
    """
    tenants = dict.fromkeys(line.strip().lower() for line in lines if line.strip())
    for tenant in tenants:
        if not _LABEL.fullmatch(tenant):
            raise ValueError(
                f"{tenant} cannot be a host name: expected letters, digits and -, at most 63"
            )
    return tuple(tenants)


def _parse_cell(text: str) -> Cell:
    # Do not repeat parts that may hold a secret: text before an @, or all of it without a =.
    name, is_there, url = text.partition("=")
    if not is_there:
        raise ValueError(f"the = is missing; {_CELL_FORMAT}")
    if not _LABEL.fullmatch(name):
        raise ValueError(f"a cell's name has lower-case letters, digits and -; {_CELL_FORMAT}")
    parts = _URL.fullmatch(url.lower())
    if parts is None:
        raise ValueError(f"the URL of {name} is not http(s)://host[:port]; {_CELL_FORMAT}")
    scheme, host, port = parts["scheme"], parts["host"], parts["port"]
    return Cell(name, scheme, host, port or _PORTS[scheme])


def _rendezvous_weight(cell: Cell, tenant: str) -> bytes:
    # Names have no slash, so the input is unambiguous. Digests do not collide, so the order of
    # cells does not matter.
    return hashlib.sha256(f"{cell.name}/{tenant}".encode()).digest()
