"""Map a host to its tenant, and a tenant to its cell.

Source: Thaler & Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM
Transactions on Networking 6:1, 1998 (rendezvous hashing): the hash of each cell with the tenant is
a weight, and the tenant belongs to the cell with the greatest one. Removing a cell moves only its
own tenants; adding one moves only the tenants whose greatest weight is the new cell's.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# A label of a host name (RFC 1123, 2.1), which holds the tenant's name.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Cell:
    """One installation.

    name: hashed with each tenant, so changing it moves tenants.
    url: of its API, `http(s)://host[:port]`; may change.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Cells:
    """All cells.

    every: at least one, with unique names, in any order.
    pins: cells of tenants that are assigned by hand, whatever their hash.
    """

    every: Sequence[Cell]
    pins: Mapping[str, Cell] = field(default_factory=dict)

    def of(self, tenant: str) -> Cell:
        """Return the cell of a tenant, whose name is as `parse_tenant` returns it."""
        return self.pins.get(tenant) or max(
            self.every, key=lambda cell: _rendezvous_weight(cell, tenant)
        )


def parse_tenant(host: str, domain: str) -> str | None:
    """Return the tenant that a host below a domain names, in lower case; else None.

    host: of a request, `tenant.domain[:port]`.  domain: in lower case.
    """
    name, _, _ = host.lower().partition(":")
    label, dot, rest = name.partition(".")
    return label if dot and rest == domain and is_label(label) else None


def is_label(text: str) -> bool:
    """Whether a text is a valid label of a host name, in lower case."""
    return _LABEL.fullmatch(text) is not None


def _rendezvous_weight(cell: Cell, tenant: str) -> bytes:
    # Names have no slash, so the input is unambiguous. Digests do not collide, so the order of
    # cells does not matter.
    return hashlib.sha256(f"{cell.name}/{tenant}".encode()).digest()
