"""Keys that callers identify themselves with.

A key is shown once, when it is issued; the table holds its SHA-256. A fast digest is right
here: a key has 256 random bits, so there is nothing to guess that slowness would protect.
"""

import datetime as dt
import hashlib
import re
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.db import tables
from smart_filter_shared.errors import NotFound, OutOfScope, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.limits import Limits, OwnLimits
from smart_filter_shared.jobs.retention import OwnKeeping

_PREFIX = "sf_live_"
_SECRET_BYTES = 32
_NOT_VALID = "the key is not valid: unknown, expired or revoked"
_SHOWN = tuple(
    tables.keys.c[name]
    for name in "id tenant scopes created_at expires_at revoked_at parent max_jobs jobs".split()
)


class Scope(StrEnum):
    """What a key allows.

    submit: to submit and cancel jobs.  read: to read them.  admin: to administer its tenant, or,
    of the operator's, any.  operator: to see and stop the whole service; no key gives it over HTTP.
    """

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"
    OPERATOR = "operator"


ALL_SCOPES = tuple(Scope)
# Part of objects' keys and of command lines.
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is known afterwards.

    parent: the key that made it, of a key for a device; such a one may submit max_jobs and has
    submitted `jobs`.
    """

    key_id: uuid.UUID
    tenant: Tenant
    scopes: tuple[Scope, ...]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    parent: uuid.UUID | None
    max_jobs: int | None
    jobs: int


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; the table holds nothing that `key` could be shown from again."""

    row: KeyRow
    key: str = field(repr=False)

    @property
    def key_id(self) -> uuid.UUID:
        """What it is called."""
        return self.row.key_id


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, what its key allows, and what is said of its tenant.

    recipe: what its recipes say that say nothing else, as a JSON body writes it.
    """

    key_id: uuid.UUID
    tenant: Tenant
    scopes: frozenset[str]
    is_device: bool = False
    limits: Limits = _NO_LIMITS
    keeping: OwnKeeping = OwnKeeping()  # noqa: RUF009 - frozen
    recipe: Mapping[str, object] = field(default_factory=dict)


def issue(
    connection: Connection,
    *,
    tenant: Tenant,
    scopes: Collection[Scope],
    valid_for: dt.timedelta | None = None,
) -> IssuedKey:
    """Write a new key; without valid_for it does not expire."""
    now = func.statement_timestamp()
    key = _drawn()
    row = connection.execute(
        tables.keys.insert()
        .values(
            id=uuid.uuid4(),
            tenant=tenant,
            digest=digest_of(key),
            scopes=[str(scope) for scope in scopes],
            created_at=now,
            expires_at=None if valid_for is None else now + valid_for,
        )
        .returning(*_SHOWN)
    ).one()
    return IssuedKey(_row(row), key)


def issue_for_device(
    connection: Connection, parent: Caller, *, valid_for: dt.timedelta, max_jobs: int
) -> IssuedKey:
    """Write a key that submits so many jobs and does nothing else; it dies with its parent.

    Raises Unauthorized when the parent was revoked a moment ago.
    """
    now = func.statement_timestamp()
    keys = tables.keys
    # Locked, so that whoever revokes the parent meanwhile finds the child.
    live = connection.execute(
        select(keys.c.expires_at)
        .where(keys.c.id == parent.key_id, keys.c.revoked_at.is_(None))
        .with_for_update(read=True)
    ).one_or_none()
    if live is None:
        raise Unauthorized(_NOT_VALID)
    key = _drawn()
    row = connection.execute(
        keys.insert()
        .values(
            id=uuid.uuid4(),
            tenant=parent.tenant,
            digest=digest_of(key),
            scopes=[str(Scope.SUBMIT)],
            created_at=now,
            expires_at=func.least(now + valid_for, live.expires_at),
            parent=parent.key_id,
            max_jobs=max_jobs,
        )
        .returning(*_SHOWN)
    ).one()
    return IssuedKey(_row(row), key)


def ensure(connection: Connection, key: str, *, tenant: Tenant, scopes: Collection[Scope]) -> None:
    """See to it that a key that somebody else drew is valid, for this tenant and these scopes."""
    row = insert(tables.keys).values(
        id=uuid.uuid4(),
        tenant=tenant,
        digest=digest_of(key),
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


def authenticate(connection: Connection, digest: bytes, *, usual: Limits = _NO_LIMITS) -> Caller:
    """Return whose key it is that has this digest.

    usual: what its tenant may do when nothing else is said of it.
    Raises Unauthorized; an unknown, an expired and a revoked key take the same way, so that
    neither message nor time tells them apart.
    """
    row = connection.execute(callers().where(tables.keys.c.digest == digest)).one_or_none()
    if row is None:
        raise Unauthorized(_NOT_VALID)
    return caller_of(row, usual)


def callers() -> Select[Any]:
    """Return the query of all who have a valid key, for `caller_of`."""
    keys, tenants = tables.keys, tables.tenants
    return (
        select(
            *(keys.c.id, keys.c.tenant, keys.c.scopes, keys.c.max_jobs),
            *(tenants.c.requests_per_minute, tenants.c.jobs_waiting, tenants.c.megapixels_per_day),
            *(tenants.c.keep_input_seconds, tenants.c.keep_result_seconds),
            *(tenants.c.keep_nothing, tenants.c.recipe),
        )
        .outerjoin_from(keys, tenants, tenants.c.name == keys.c.tenant)
        .where(
            keys.c.revoked_at.is_(None),
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > func.statement_timestamp()),
        )
    )


def caller_of(row: Row[Any], usual: Limits) -> Caller:
    """Return who a row of `callers` is; usual: as in `authenticate`."""
    own = OwnLimits(row.requests_per_minute, row.jobs_waiting, row.megapixels_per_day)
    tenant = Tenant(row.tenant)
    return Caller(
        key_id=row.id,
        tenant=tenant,
        scopes=frozenset(row.scopes),
        is_device=row.max_jobs is not None,
        limits=own.within(tenant, usual),
        keeping=OwnKeeping(
            row.keep_input_seconds, row.keep_result_seconds, nothing=bool(row.keep_nothing)
        ),
        recipe=row.recipe or {},
    )


def count_job(connection: Connection, caller: Caller) -> None:
    """Count a job that a device submits, in the transaction that writes it.

    Raises OutOfScope when its key has submitted all that it may.
    """
    if not caller.is_device:
        return
    keys = tables.keys
    counted = connection.execute(
        update(keys)
        .where(keys.c.id == caller.key_id, keys.c.jobs < keys.c.max_jobs)
        .values(jobs=keys.c.jobs + 1)
    )
    if not counted.rowcount:
        raise OutOfScope("the key has submitted as many jobs as it may; ask for another")


def listed(
    connection: Connection, tenant: Tenant | None, *, after: uuid.UUID | None, limit: int
) -> Sequence[KeyRow]:
    """Return keys by their ids, those that are not valid any more included.

    tenant: whose; None: everybody's.  after: the id that the last page ended with.
    """
    keys = tables.keys
    query = select(*_SHOWN).order_by(keys.c.id).limit(limit)
    if tenant is not None:
        query = query.where(keys.c.tenant == tenant)
    if after is not None:
        query = query.where(keys.c.id > after)
    return [_row(row) for row in connection.execute(query)]


def revoke(
    connection: Connection,
    key_id: uuid.UUID,
    *,
    tenant: Tenant | None,
    spare_operators: bool = False,
) -> None:
    """Let a key, and those for devices that it made, not be valid any more, from now on.

    tenant: whose it must be; None: anybody's.  spare_operators: refuse one that is an operator's.
    Revoking it again changes nothing.  Raises NotFound, OutOfScope.
    """
    keys = tables.keys
    mine = keys.c.id == key_id
    if tenant is not None:
        mine = and_(mine, keys.c.tenant == tenant)
    found = connection.execute(select(keys.c.scopes).where(mine)).one_or_none()
    if found is None:
        raise NotFound(f"key {key_id}")
    if spare_operators and Scope.OPERATOR in found.scopes:
        raise OutOfScope(
            "an operator's key is revoked where the service runs: "
            f"smart-filter keys revoke {key_id}"
        )
    now = func.statement_timestamp()
    connection.execute(
        update(keys).where(mine).values(revoked_at=func.coalesce(keys.c.revoked_at, now))
    )
    connection.execute(
        update(keys)
        .where(keys.c.parent == key_id)
        .values(revoked_at=func.coalesce(keys.c.revoked_at, now))
    )


def is_tenant(name: str) -> bool:
    """Whether a tenant may be called so: letters, digits, `.`, `_` and `-`, at most 100."""
    return re.fullmatch(TENANT_PATTERN, name) is not None


def _row(row: Row[Any]) -> KeyRow:
    return KeyRow(
        key_id=row.id,
        tenant=Tenant(row.tenant),
        scopes=tuple(Scope(scope) for scope in row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        parent=row.parent,
        max_jobs=row.max_jobs,
        jobs=row.jobs,
    )


def _drawn() -> str:
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(key: str) -> bytes:
    """Return what is stored of a key: its SHA-256."""
    return hashlib.sha256(key.encode()).digest()
