"""Issue, check, list and revoke API keys.

A key is shown once, when it is issued; the table holds its SHA-256. A fast digest is enough:
a key has 256 random bits, so a slow hash would add no protection against guessing.
"""

import datetime as dt
import hashlib
import re
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.artifacts.retention import RetentionOverrides
from smart_filter_shared.db import tables
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.errors import InsufficientScope, NotFound, TokenUsedUp, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants import audit_log, settings
from smart_filter_shared.tenants.audit_log import Actor, AuditEvent
from smart_filter_shared.tenants.quotas import Limits
from smart_filter_shared.tenants.settings import TenantOverrides
from smart_filter_wire.words import Scope

_PREFIX = "sf_live_"
_SECRET_BYTES = 32
_INVALID_KEY = "the key is not valid: unknown, expired or revoked"
_KEY_COLUMNS = (
    tables.keys.c.id.label("key_id"),
    *(
        tables.keys.c[name]
        for name in (
            *("tenant", "scopes", "created_at", "expires_at", "revoked_at", "parent"),
            *("max_jobs", "jobs", "issued_by"),
        )
    ),
)

_TENANT_COLUMNS = tuple(tables.tenants.c[name] for name in settings.COLUMNS)
_NO_KEY = uuid.UUID(int=0)

_REVOKE = text("""
    UPDATE keys SET revoked_at = statement_timestamp()
    WHERE id = ANY(:ids) AND revoked_at IS NULL RETURNING id, tenant
""")
# A key is issued by an older one, so this ends.
_LIST_ISSUED = text("""
    SELECT id FROM keys
    WHERE parent = ANY(:ids) OR (:with_issued AND issued_by = ANY(:ids)) ORDER BY id
""")


ALL_SCOPES = tuple(Scope)
# Tenant names are part of object keys and of command lines.
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key, without its secret.

    parent: for a device key, the key that issued it; else None.  max_jobs: for a device key, the
    jobs that it may submit in all.  jobs: the jobs that it has submitted.  issued_by: for a key
    that another key issued, that key; else None.
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
    issued_by: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; `key` cannot be recovered from the table later."""

    row: KeyRow
    key: str = field(repr=False)

    @property
    def key_id(self) -> uuid.UUID:
        """Return the id of the key."""
        return self.row.key_id


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """A key that was valid until now."""

    key_id: uuid.UUID
    tenant: Tenant


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: its key, scopes and tenant settings.

    recipe: the tenant's default recipe fields, as in a JSON body.
    link_seconds: lifetime of signed links of its jobs; None: the setting applies.
    emotions: False: no emotions are read in its photos; None: the setting applies.
    is_fresh: False: a session whose sign-in is too old for sensitive changes.
    """

    key_id: uuid.UUID
    tenant: Tenant
    scopes: frozenset[str]
    is_device: bool = False
    limits: Limits = _NO_LIMITS
    retention: RetentionOverrides = RetentionOverrides()  # noqa: RUF009 - frozen
    recipe: Mapping[str, object] = field(default_factory=dict)
    link_seconds: int | None = None
    emotions: bool | None = None
    is_fresh: bool = True

    @property
    def device_key_id(self) -> uuid.UUID | None:
        """The id of a device key, which can read only its own jobs; None for any other key."""
        return self.key_id if self.is_device else None


def issue(
    connection: Connection,
    *,
    tenant: Tenant,
    scopes: Collection[Scope],
    valid_for: dt.timedelta | None = None,
    issuer: Caller | None = None,
    actor: Actor | None = None,
) -> IssuedKey:
    """Insert a new key and return it; without valid_for it does not expire.

    issuer: the caller that asks for it, and whose key it does not outlive; None for the command
    line.  actor: whose line the log gets; None: none.
    Raises Unauthorized when the issuer was revoked a moment ago.
    """
    now = func.statement_timestamp()
    wanted = None if valid_for is None else now + valid_for
    latest = None if issuer is None else _lock_issuer(connection, issuer)
    ends = [end for end in (wanted, latest) if end is not None]
    made = _insert_key(
        connection,
        tenant=tenant,
        scopes=scopes,
        expires_at=func.least(*ends) if ends else None,
        issued_by=None if issuer is None else issuer.key_id,
    )
    if actor is not None:
        audit_log.record(connection, actor, AuditEvent.KEY_ISSUED, made.key_id, tenant=tenant)
    return made


def issue_for_person(
    connection: Connection, *, tenant: Tenant, scopes: Collection[Scope], valid_for: dt.timedelta
) -> uuid.UUID:
    """Insert a key without a secret, for the session of a signed-in person, and return its id.

    Keys that the person issues outlive it.
    """
    # Its secret is dropped.
    return _insert_key(
        connection,
        tenant=tenant,
        scopes=scopes,
        expires_at=func.statement_timestamp() + valid_for,
        is_personal=True,
    ).key_id


def issue_for_device(
    connection: Connection, parent: Caller, *, valid_for: dt.timedelta, max_jobs: int
) -> IssuedKey:
    """Insert a key that may only submit max_jobs jobs and read them, and return it.

    The key is revoked with its parent and expires no later.
    Raises Unauthorized when the parent was revoked a moment ago.
    """
    parent_expires_at = _lock_issuer(connection, parent)
    return _insert_key(
        connection,
        tenant=parent.tenant,
        scopes=[Scope.SUBMIT],
        expires_at=func.least(func.statement_timestamp() + valid_for, parent_expires_at),
        parent=parent.key_id,
        max_jobs=max_jobs,
    )


def ensure(connection: Connection, key: str, *, tenant: Tenant, scopes: Collection[Scope]) -> None:
    """Insert or reactivate a key that was generated elsewhere, for this tenant and these scopes."""
    row = insert(tables.keys).values(
        id=uuid.uuid4(),
        tenant=tenant,
        digest=hash_key(key),
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
    """Return the caller whose key has this digest.

    usual: the limits of a tenant without overrides.
    Raises Unauthorized. Unknown, expired and revoked keys take the same code path, so neither
    the message nor the timing distinguishes them.
    """
    row = connection.execute(select_callers().where(tables.keys.c.digest == digest)).one_or_none()
    if row is None:
        raise Unauthorized(_INVALID_KEY)
    return caller_from_row(row, usual)


def select_callers() -> Select[Any]:
    """Return the query for all callers with a valid key, for `caller_from_row`."""
    keys, tenants = tables.keys, tables.tenants
    return (
        select(*(keys.c.id, keys.c.tenant, keys.c.scopes, keys.c.max_jobs), *_TENANT_COLUMNS)
        .outerjoin_from(keys, tenants, tenants.c.name == keys.c.tenant)
        .where(
            keys.c.revoked_at.is_(None),
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > func.statement_timestamp()),
        )
    )


def call_for_tenant(connection: Connection, tenant: Tenant, *, usual: Limits) -> Caller:
    """Return a caller without a key, for jobs that the service submits for a tenant.

    usual: as in `authenticate`.
    """
    overrides = settings.read_overrides(connection, tenant)
    return _make_caller(_NO_KEY, tenant, [Scope.SUBMIT], overrides, usual)


def caller_from_row(row: Row[Any], usual: Limits) -> Caller:
    """Return the caller of a row of `select_callers`; usual: as in `authenticate`."""
    overrides, tenant = settings.parse_overrides(row), Tenant(row.tenant)
    return _make_caller(
        row.id, tenant, row.scopes, overrides, usual, is_device=row.max_jobs is not None
    )


def _make_caller(
    key_id: uuid.UUID,
    tenant: Tenant,
    scopes: Collection[str],
    overrides: TenantOverrides,
    usual: Limits,
    *,
    is_device: bool = False,
) -> Caller:
    return Caller(
        key_id,
        tenant,
        frozenset(scopes),
        is_device,
        overrides.limits.within(tenant, usual),
        overrides.retention,
        overrides.recipe,
        overrides.link_seconds,
        overrides.emotions,
    )


def count_job(connection: Connection, caller: Caller) -> None:
    """Count a job that a device key submits, in the transaction that inserts the job.

    Raises TokenUsedUp when the key has used up its jobs.
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
        raise TokenUsedUp("the device token has submitted its maximum number of jobs (max_jobs)")


def list_keys(
    connection: Connection, tenant: Tenant | None, *, after: uuid.UUID | None, limit: int
) -> Sequence[KeyRow]:
    """Return a page of keys in order of their ids, including expired and revoked ones.

    tenant: only this tenant's keys; None: all tenants'.  after: the last id of the previous page.
    """
    keys = tables.keys
    query = select(*_KEY_COLUMNS).order_by(keys.c.id).limit(limit)
    if tenant is not None:
        query = query.where(keys.c.tenant == tenant)
    if after is not None:
        query = query.where(keys.c.id > after)
    return [read_row(KeyRow, row) for row in connection.execute(query)]


def revoke(
    connection: Connection,
    actor: Actor,
    key_id: uuid.UUID,
    *,
    tenant: Tenant | None,
    with_issued: bool = False,
    spare_operators: bool = False,
) -> list[RevokedKey]:
    """Revoke a key and the device keys that it issued, from now on; return the revoked keys.

    actor: whose lines the log gets.
    tenant: the tenant that must own the key; None: any.  with_issued: also revoke the keys that it
    issued, the keys that those issued, and so on.  spare_operators: refuse to revoke a key with
    the operator scope.  Revoking a key twice changes nothing, but with_issued still finds its keys.
    Raises NotFound, InsufficientScope.
    """
    keys = tables.keys
    mine = keys.c.id == key_id
    if tenant is not None:
        mine = and_(mine, keys.c.tenant == tenant)
    key = connection.execute(select(keys.c.scopes).where(mine)).one_or_none()
    if key is None:
        raise NotFound(f"there is no key {key_id}")
    if spare_operators and Scope.OPERATOR in key.scopes:
        raise InsufficientScope(
            f"an operator key can only be revoked on the server: smart-filter keys revoke {key_id}"
        )
    revoked: list[RevokedKey] = []
    key_ids = [key_id]
    # One generation at a time: each is locked and revoked before the next is read, so that a key
    # which a member issues at this moment is either refused or found.
    while key_ids:
        rows = connection.execute(_REVOKE, {"ids": key_ids})
        revoked += [RevokedKey(row.id, Tenant(row.tenant)) for row in rows]
        key_ids = list(
            connection.execute(_LIST_ISSUED, {"ids": key_ids, "with_issued": with_issued}).scalars()
        )
    for row in revoked:
        audit_log.record(connection, actor, AuditEvent.KEY_REVOKED, row.key_id, tenant=row.tenant)
    return revoked


def is_tenant_name(name: str) -> bool:
    """Whether this is a valid tenant name: letters, digits, `.`, `_` and `-`, at most 100."""
    return re.fullmatch(TENANT_PATTERN, name) is not None


def _lock_issuer(connection: Connection, issuer: Caller) -> dt.datetime | None:
    """Lock the key of a caller that issues another, and return when the new key ends at the latest.

    That is the end of the caller's key; None without one, and for the key of a signed-in person.
    A concurrent revocation waits, then finds the new key and revokes it too.
    Raises Unauthorized when the key was revoked a moment ago.
    """
    keys = tables.keys
    live = connection.execute(
        select(case((keys.c.is_personal, None), else_=keys.c.expires_at).label("expires_at"))
        .where(keys.c.id == issuer.key_id, keys.c.revoked_at.is_(None))
        .with_for_update(read=True)
    ).one_or_none()
    if live is None:
        raise Unauthorized(_INVALID_KEY)
    expires_at: dt.datetime | None = live.expires_at
    return expires_at


def _insert_key(
    connection: Connection, *, tenant: Tenant, scopes: Collection[Scope], **columns: object
) -> IssuedKey:
    key = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    row = connection.execute(
        tables.keys.insert()
        .values(
            id=uuid.uuid4(),
            tenant=tenant,
            digest=hash_key(key),
            scopes=[str(scope) for scope in scopes],
            created_at=func.statement_timestamp(),
            **columns,
        )
        .returning(*_KEY_COLUMNS)
    ).one()
    return IssuedKey(read_row(KeyRow, row), key)


def hash_key(key: str) -> bytes:
    """Return the SHA-256 of a key, which is what the table stores."""
    return hashlib.sha256(key.encode()).digest()
