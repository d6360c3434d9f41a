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

from sqlalchemy import Connection, Row, TextClause, text

from smart_filter_shared.artifacts.retention import RetentionOverrides
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
_KEY_COLUMNS = """
    id AS key_id, tenant, scopes, created_at, expires_at, revoked_at, parent, max_jobs, jobs,
    issued_by
"""
_TENANT_COLUMNS = ", ".join(f"tenants.{name}" for name in settings.COLUMNS)
_NO_KEY = uuid.UUID(int=0)

_INSERT = text(f"""
    INSERT INTO keys (
        id, tenant, digest, scopes, created_at, expires_at, parent, max_jobs, issued_by, is_personal
    ) VALUES (
        :id, :tenant, :digest, :scopes, statement_timestamp(),
        -- Of those that are known.
        least(
            statement_timestamp() + CAST(:valid_for AS interval), CAST(:latest AS timestamptz)
        ), :parent, :max_jobs, :issued_by, :is_personal
    ) RETURNING {_KEY_COLUMNS}
""")  # noqa: S608 - names of our own
_ENSURE = text("""
    INSERT INTO keys (id, tenant, digest, scopes, created_at)
    VALUES (:id, :tenant, :digest, :scopes, statement_timestamp())
    ON CONFLICT (digest) DO UPDATE SET
        tenant = excluded.tenant, scopes = excluded.scopes, expires_at = NULL, revoked_at = NULL
""")
_COUNT_JOB = text("UPDATE keys SET jobs = jobs + 1 WHERE id = :id AND jobs < max_jobs")
_LIST = f"""
    SELECT {_KEY_COLUMNS} FROM keys
    WHERE id > coalesce(CAST(:after AS uuid), '{_NO_KEY}') AND {{condition}}
    ORDER BY id LIMIT :limit
"""  # noqa: S608 - names of our own
_FIND_SCOPES = text("""
    SELECT scopes FROM keys WHERE id = :id AND tenant = coalesce(CAST(:tenant AS text), tenant)
""")
_LOCK_ISSUER = text("""
    SELECT CASE WHEN NOT is_personal THEN expires_at END AS expires_at FROM keys
    WHERE id = :id AND revoked_at IS NULL FOR SHARE
""")
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
    latest = None if issuer is None else _lock_issuer(connection, issuer)
    made = _insert_key(
        connection,
        tenant=tenant,
        scopes=scopes,
        valid_for=valid_for,
        latest=latest,
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
        valid_for=valid_for,
        is_personal=True,
    ).key_id


def issue_for_device(
    connection: Connection, parent: Caller, *, valid_for: dt.timedelta, max_jobs: int
) -> IssuedKey:
    """Insert a key that may only submit max_jobs jobs and read them, and return it.

    The key is revoked with its parent and expires no later.
    Raises Unauthorized when the parent was revoked a moment ago.
    """
    latest = _lock_issuer(connection, parent)
    return _insert_key(
        connection,
        tenant=parent.tenant,
        scopes=[Scope.SUBMIT],
        valid_for=valid_for,
        latest=latest,
        parent=parent.key_id,
        max_jobs=max_jobs,
    )


def ensure(connection: Connection, key: str, *, tenant: Tenant, scopes: Collection[Scope]) -> None:
    """Insert or reactivate a key that was generated elsewhere, for this tenant and these scopes."""
    connection.execute(_ENSURE, _columns_of(key, tenant, scopes))


def authenticate(connection: Connection, digest: bytes, *, usual: Limits = _NO_LIMITS) -> Caller:
    """Return the caller whose key has this digest.

    usual: the limits of a tenant without overrides.
    Raises Unauthorized. Unknown, expired and revoked keys take the same code path, so neither
    the message nor the timing distinguishes them.
    """
    row = connection.execute(_FIND_CALLER, {"digest": digest}).one_or_none()
    if row is None:
        raise Unauthorized(_INVALID_KEY)
    return caller_from_row(row, usual)


def select_callers(condition: str, *, columns: str = "", join: str = "") -> TextClause:
    """Return the query for the callers with a valid key, for `caller_from_row`.

    columns, join: SQL of further ones.
    """
    return text(f"""
        SELECT keys.id, keys.tenant, keys.scopes, keys.max_jobs, {_TENANT_COLUMNS}{columns}
        FROM keys LEFT JOIN tenants ON tenants.name = keys.tenant{join}
        WHERE keys.revoked_at IS NULL
            AND coalesce(keys.expires_at > statement_timestamp(), true) AND {condition}
    """)  # noqa: S608 - SQL of our own


_FIND_CALLER = select_callers("keys.digest = :digest")


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
    counted = connection.execute(_COUNT_JOB, {"id": caller.key_id})
    if not counted.rowcount:
        raise TokenUsedUp("the device token has submitted its maximum number of jobs (max_jobs)")


def list_keys(
    connection: Connection, tenant: Tenant | None, *, after: uuid.UUID | None, limit: int
) -> Sequence[KeyRow]:
    """Return a page of keys in order of their ids, including expired and revoked ones.

    tenant: only this tenant's keys; None: all tenants'.  after: the last id of the previous page.
    """
    query = text(_LIST.format(condition="true" if tenant is None else "tenant = :tenant"))
    where = {"tenant": tenant, "after": after, "limit": limit}
    return [read_row(KeyRow, row) for row in connection.execute(query, where)]


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
    key = connection.execute(_FIND_SCOPES, {"id": key_id, "tenant": tenant}).one_or_none()
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
    live = connection.execute(_LOCK_ISSUER, {"id": issuer.key_id}).one_or_none()
    if live is None:
        raise Unauthorized(_INVALID_KEY)
    expires_at: dt.datetime | None = live.expires_at
    return expires_at


def _insert_key(
    connection: Connection,
    *,
    tenant: Tenant,
    scopes: Collection[Scope],
    valid_for: dt.timedelta | None,
    latest: dt.datetime | None = None,
    parent: uuid.UUID | None = None,
    max_jobs: int | None = None,
    issued_by: uuid.UUID | None = None,
    is_personal: bool = False,
) -> IssuedKey:
    key = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    row = connection.execute(
        _INSERT,
        {
            **_columns_of(key, tenant, scopes),
            "valid_for": valid_for,
            "latest": latest,
            "parent": parent,
            "max_jobs": max_jobs,
            "issued_by": issued_by,
            "is_personal": is_personal,
        },
    ).one()
    return IssuedKey(read_row(KeyRow, row), key)


def _columns_of(key: str, tenant: Tenant, scopes: Collection[Scope]) -> dict[str, object]:
    names = [str(scope) for scope in scopes]
    return {"id": uuid.uuid4(), "tenant": tenant, "digest": hash_key(key), "scopes": names}


def hash_key(key: str) -> bytes:
    """Return the SHA-256 of a key, which is what the table stores."""
    return hashlib.sha256(key.encode()).digest()
