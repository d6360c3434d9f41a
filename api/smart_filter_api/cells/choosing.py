"""Which cell a tenant belongs to, and which tenant a host names.

Source: Thaler & Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM
Transactions on Networking 6:1, 1998 (rendezvous hashing): each cell is weighed with the tenant, the
heaviest is the tenant's. To take a cell away moves its tenants only; to add one moves those that it
is heaviest for.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# A label of a host name (RFC 1123, 2.1), as names of tenants are written there.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Cell:
    """An installation.

    name: what tenants are hashed with; to change it moves tenants.
    url: of its API, `http(s)://host[:port]`; may change.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Cells:
    """All cells.

    every: one at least, each of a name of its own, in any order.
    pins: tenants that stay in a cell whatever the hash says.
    """

    every: Sequence[Cell]
    pins: Mapping[str, Cell] = field(default_factory=dict)

    def of(self, tenant: str) -> Cell:
        """Return the cell of a tenant, named as `tenant_of` returns it."""
        return self.pins.get(tenant) or max(self.every, key=lambda cell: _weight(cell, tenant))


def tenant_of(host: str, domain: str) -> str | None:
    """Return the tenant that a host below a domain names, in small letters; else None.

    host: of a request, `tenant.domain[:port]`.  domain: in small letters.
    """
    name, _, _ = host.lower().partition(":")
    label, dot, rest = name.partition(".")
    return label if dot and rest == domain and is_label(label) else None


def is_label(text: str) -> bool:
    """Whether a text can be one label of a host name, in small letters."""
    return _LABEL.fullmatch(text) is not None


def _weight(cell: Cell, tenant: str) -> bytes:
    # No name has a slash. Equal digests do not happen, so that the order of cells says nothing.
    return hashlib.sha256(f"{cell.name}/{tenant}".encode()).digest()
