"""Browser sessions: a cookie stands for an API key, so that no page has to hold the key.

The cookie is a random text; the table holds its SHA-256. A session has the scopes of its key. It
ends when the key is revoked or expires, when the session is idle for too long, and in any case
after some hours. A short-lived code can open one session in place of the key.
Source: OWASP Session Management Cheat Sheet (random identifiers of at least 128 bits, renewed at
each sign-in; idle and absolute time-outs enforced by the server).
"""

import datetime as dt
import hashlib
import secrets
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_shared.db.tables import browser_codes, browser_sessions, keys
from smart_filter_shared.errors import InsufficientScope, NotFound, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import Limits

_SECRET_BYTES = 32
# The id of a session is this part of its digest, from which its cookie cannot be found.
_ID_BYTES = 16
# At most this many sessions of a key; a sign-in beyond ends the oldest.
MAX_SESSIONS_OF_KEY = 100
# A sensitive change needs a sign-in of at most this age, so that a page that was left open, or a
# stolen cookie, does not suffice. The catalog of problems names it.
FRESH = dt.timedelta(minutes=15)
# Least time between two writes of `used_at`, so that most requests only read.
_TOUCH_INTERVAL = dt.timedelta(minutes=1)
_INVALID_SESSION = "the session is not valid: unknown, ended or expired; sign in again"
_INVALID_CODE = "the code is not valid: unknown, used or expired; use a new code or a key"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The idle and the absolute time-out of a session."""

    idle: dt.timedelta
    whole: dt.timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """A session and its caller; expires_at is the absolute end, whether it is used or not."""

    caller: Caller
    created_at: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session of a key, for lists.

    session_id: names the session and opens nothing.  used_at: accurate to a minute.
    created_at: earlier, by at most FRESH, if a provider had signed the person in before.
    """

    session_id: uuid.UUID
    created_at: dt.datetime
    used_at: dt.datetime
    expires_at: dt.datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class NewSession:
    """A new session; cookie: the secret that the browser sends with each request."""

    session: Session
    cookie: str = field(repr=False)


def open_with_key(connection: Connection, key: str, lifetimes: Lifetimes) -> NewSession:
    """Open a session for a key and return it.

    Raises Unauthorized, and InsufficientScope for a device key.
    """
    return _create_session(
        connection, api_keys.authenticate(connection, api_keys.hash_key(key)).key_id, lifetimes
    )


def open_with_code(connection: Connection, code: str, lifetimes: Lifetimes) -> NewSession:
    """Open a session with a code, which works once, and return it.  Raises Unauthorized."""
    used = connection.execute(
        delete(browser_codes)
        .where(
            browser_codes.c.digest == _digest(code),
            browser_codes.c.expires_at > func.statement_timestamp(),
        )
        .returning(browser_codes.c.key_id)
    ).one_or_none()
    if used is None:
        raise Unauthorized(_INVALID_CODE)
    return _create_session(connection, used.key_id, lifetimes)


def open_for_person(
    connection: Connection,
    tenant: Tenant,
    scopes: Collection[str],
    lifetimes: Lifetimes,
    *,
    signed_in_at: float | None,
) -> NewSession:
    """Open a session for a person whom a provider signed in, and return it.

    The session has a key of its own, which expires with it and has no secret.
    signed_in_at: Unix time at which the person proved who they are.  None, or more than FRESH ago:
        the session allows no sensitive changes.
    """
    key_id = api_keys.issue_for_person(
        connection,
        tenant=tenant,
        scopes=[Scope(scope) for scope in scopes],
        valid_for=lifetimes.whole,
    )
    seconds = time.time() - (signed_in_at or 0.0)
    age = dt.timedelta(seconds=min(max(seconds, 0.0), FRESH.total_seconds()))
    return _create_session(connection, key_id, lifetimes, age=age)


def allow_code(connection: Connection, code: str, *, key: str, valid_for: dt.timedelta) -> None:
    """Let a code that was generated elsewhere open one session of a key.  Raises Unauthorized."""
    now = func.statement_timestamp()
    connection.execute(delete(browser_codes).where(browser_codes.c.expires_at <= now))
    connection.execute(
        insert(browser_codes).values(
            digest=_digest(code),
            key_id=api_keys.authenticate(connection, api_keys.hash_key(key)).key_id,
            expires_at=now + valid_for,
        )
    )


def find(
    connection: Connection, cookie: str, lifetimes: Lifetimes, *, usual: Limits | None = None
) -> Session:
    """Return the session of a cookie and record its use.

    usual: the limits of a tenant without overrides.  Raises Unauthorized.
    """
    now, used_at = func.statement_timestamp(), browser_sessions.c.used_at
    is_late: ColumnElement[bool] = used_at < now - _TOUCH_INTERVAL
    is_fresh: ColumnElement[bool] = browser_sessions.c.created_at > now - FRESH
    row = connection.execute(
        api_keys.select_callers()
        .add_columns(
            browser_sessions.c.created_at,
            func.least(browser_sessions.c.expires_at, keys.c.expires_at).label("expires_at"),
            is_late.label("is_late"),
            is_fresh.label("is_fresh"),
        )
        .join(browser_sessions, browser_sessions.c.key_id == keys.c.id)
        .where(
            browser_sessions.c.digest == _digest(cookie),
            browser_sessions.c.expires_at > now,
            used_at > now - lifetimes.idle,
        )
    ).one_or_none()
    if row is None:
        raise Unauthorized(_INVALID_SESSION)
    if row.is_late:
        mine = browser_sessions.c.digest == _digest(cookie)
        connection.execute(update(browser_sessions).where(mine).values(used_at=now))
    return _session(row, usual or Limits())


def end(connection: Connection, cookie: str) -> None:
    """Delete the session of a cookie, if there is one."""
    mine = browser_sessions.c.digest == _digest(cookie)
    connection.execute(delete(browser_sessions).where(mine))


def list_of_key(
    connection: Connection, key_id: uuid.UUID, lifetimes: Lifetimes, *, cookie: str
) -> list[SessionRow]:
    """Return a key's sessions that have not ended, the newest first.

    cookie: of the request; it marks the session to which it belongs.
    """
    columns = browser_sessions.c
    now = func.statement_timestamp()
    rows = connection.execute(
        select(columns.digest, columns.created_at, columns.used_at, columns.expires_at)
        .where(
            columns.key_id == key_id,
            columns.expires_at > now,
            columns.used_at > now - lifetimes.idle,
        )
        .order_by(columns.created_at.desc())
        .limit(MAX_SESSIONS_OF_KEY)
    )
    digest = _digest(cookie)
    return [
        SessionRow(
            uuid.UUID(bytes=row.digest[:_ID_BYTES]),
            row.created_at,
            row.used_at,
            row.expires_at,
            is_current=row.digest == digest,
        )
        for row in rows
    ]


def end_of_key(connection: Connection, key_id: uuid.UUID, session_id: uuid.UUID) -> None:
    """Delete a session of a key.  Raises NotFound when the key has no such session."""
    columns = browser_sessions.c
    is_session = func.substring(columns.digest, 1, _ID_BYTES) == session_id.bytes
    ended = connection.execute(delete(browser_sessions).where(columns.key_id == key_id, is_session))
    if not ended.rowcount:
        raise NotFound(f"there is no session {session_id}")


def _create_session(
    connection: Connection,
    key_id: uuid.UUID,
    lifetimes: Lifetimes,
    *,
    age: dt.timedelta = dt.timedelta(0),
) -> NewSession:
    """Store a session and return it.  age: time since its sign-in."""
    now = func.statement_timestamp()
    _delete_expired(connection)
    cookie = secrets.token_urlsafe(_SECRET_BYTES)
    connection.execute(
        insert(browser_sessions).values(
            digest=_digest(cookie),
            key_id=key_id,
            created_at=now - age,
            used_at=now,
            expires_at=now + lifetimes.whole,
        )
    )
    _delete_oldest(connection, key_id)
    # Fails when the key was revoked after the code was issued.
    session = find(connection, cookie, lifetimes)
    if session.caller.is_device:
        raise InsufficientScope("a device key can only submit photos; it opens no session")
    return NewSession(session, cookie)


def _delete_expired(connection: Connection) -> None:
    """Delete up to 100 expired sessions; each new session cleans up after older ones."""
    over = (
        select(browser_sessions.c.digest)
        .where(browser_sessions.c.expires_at <= func.statement_timestamp())
        .limit(100)
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(browser_sessions).where(browser_sessions.c.digest.in_(over)))


def _delete_oldest(connection: Connection, key_id: uuid.UUID) -> None:
    """Delete a key's sessions beyond the newest MAX_SESSIONS_OF_KEY."""
    of_key = browser_sessions.c.key_id == key_id
    oldest = (
        select(browser_sessions.c.digest)
        .where(of_key)
        .order_by(browser_sessions.c.created_at.desc())
        .offset(MAX_SESSIONS_OF_KEY)
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(browser_sessions).where(browser_sessions.c.digest.in_(oldest)))


def _session(row: Row[Any], usual: Limits) -> Session:
    caller = replace(api_keys.caller_from_row(row, usual), is_fresh=row.is_fresh)
    return Session(caller, row.created_at, row.expires_at)


def _digest(text: str) -> bytes:
    # A fast hash is enough: the text has 256 random bits.
    return hashlib.sha256(text.encode()).digest()
