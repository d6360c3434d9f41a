"""Keys that callers identify themselves with.

A key is shown once, when it is issued; the table holds its SHA-256. A fast digest is right
here: a key has 256 random bits, so there is nothing to guess that slowness would protect.
"""

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.db import tables
from smart_filter_shared.errors import Unauthorized
from smart_filter_shared.ids import Tenant

_PREFIX = "sf_live_"
_SECRET_BYTES = 32


class Scope(StrEnum):
    """What a key allows: to submit and cancel jobs, to read them, to administer the service."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


ALL_SCOPES = tuple(Scope)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; nobody can be shown `key` again."""

    key_id: uuid.UUID
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and what its key allows."""

    key_id: uuid.UUID
    tenant: Tenant
    scopes: frozenset[str]


def issue(
    connection: Connection,
    *,
    tenant: Tenant,
    scopes: Collection[Scope],
    valid_for: dt.timedelta | None = None,
) -> IssuedKey:
    """Write a new key; without valid_for it does not expire."""
    issued = IssuedKey(uuid.uuid4(), _PREFIX + secrets.token_urlsafe(_SECRET_BYTES))
    now = func.statement_timestamp()
    connection.execute(
        tables.keys.insert().values(
            id=issued.key_id,
            tenant=tenant,
            digest=_digest(issued.key),
            scopes=[str(scope) for scope in scopes],
            created_at=now,
            expires_at=None if valid_for is None else now + valid_for,
        )
    )
    return issued


def ensure(connection: Connection, key: str, *, tenant: Tenant, scopes: Collection[Scope]) -> None:
    """See to it that a key that somebody else drew is valid, for this tenant and these scopes."""
    row = insert(tables.keys).values(
        id=uuid.uuid4(),
        tenant=tenant,
        digest=_digest(key),
        scopes=[str(scope) for scope in scopes],
        created_at=func.statement_timestamp(),
    )
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["digest"],
            set_={
                "tenant": row.excluded.tenant,
                "scopes": row.excluded.scopes,
                "expires_at": None,
                "revoked_at": None,
            },
        )
    )


def authenticate(connection: Connection, key: str) -> Caller:
    """Return whose key this is.

    Raises Unauthorized; an unknown, an expired and a revoked key take the same way, so that
    neither message nor time tells them apart.
    """
    keys = tables.keys
    row = connection.execute(
        select(keys.c.id, keys.c.tenant, keys.c.scopes).where(
            keys.c.digest == _digest(key),
            keys.c.revoked_at.is_(None),
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > func.statement_timestamp()),
        )
    ).one_or_none()
    if row is None:
        raise Unauthorized("the key is not valid: unknown, expired or revoked")
    return Caller(row.id, Tenant(row.tenant), frozenset(row.scopes))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
