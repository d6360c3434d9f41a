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

from sqlalchemy import Connection, Row, text

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Caller, Scope
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


_USE_CODE = text("""
    DELETE FROM browser_codes WHERE digest = :digest AND expires_at > statement_timestamp()
    RETURNING key_id
""")
_DELETE_CODES = text("DELETE FROM browser_codes WHERE expires_at <= statement_timestamp()")
_INSERT_CODE = text("""
    INSERT INTO browser_codes (digest, key_id, expires_at)
    VALUES (:digest, :key_id, statement_timestamp() + CAST(:valid_for AS interval))
""")
_FIND = api_keys.select_callers(
    """
        browser_sessions.digest = :digest
        AND browser_sessions.expires_at > statement_timestamp()
        AND used_at > statement_timestamp() - CAST(:idle AS interval)
    """,
    columns=""",
        browser_sessions.created_at,
        least(browser_sessions.expires_at, keys.expires_at) AS expires_at,
        used_at < statement_timestamp() - CAST(:untouched AS interval) AS is_late,
        browser_sessions.created_at > statement_timestamp() - CAST(:fresh AS interval) AS is_fresh
    """,
    join=" JOIN browser_sessions ON browser_sessions.key_id = keys.id",
)
_TOUCH = text("UPDATE browser_sessions SET used_at = statement_timestamp() WHERE digest = :digest")
_END = text("DELETE FROM browser_sessions WHERE digest = :digest")
_LIST = text("""
    SELECT digest, created_at, used_at, expires_at FROM browser_sessions
    WHERE key_id = :key_id AND expires_at > statement_timestamp()
        AND used_at > statement_timestamp() - CAST(:idle AS interval)
    ORDER BY created_at DESC LIMIT :most
""")
_END_OF_KEY = text("""
    DELETE FROM browser_sessions
    WHERE key_id = :key_id AND substring(digest, 1, :length) = :session
""")
_INSERT = text("""
    INSERT INTO browser_sessions (digest, key_id, created_at, used_at, expires_at)
    VALUES (
        :digest, :key_id, statement_timestamp() - CAST(:age AS interval), statement_timestamp(),
        statement_timestamp() + CAST(:whole AS interval)
    )
""")
# Each new session cleans up after older ones.
_DELETE_EXPIRED = text("""
    DELETE FROM browser_sessions WHERE digest IN (
        SELECT digest FROM browser_sessions WHERE expires_at <= statement_timestamp()
        LIMIT 100 FOR UPDATE SKIP LOCKED
    )
""")
_DELETE_OLDEST = text("""
    DELETE FROM browser_sessions WHERE digest IN (
        SELECT digest FROM browser_sessions WHERE key_id = :key_id
        ORDER BY created_at DESC OFFSET :most FOR UPDATE SKIP LOCKED
    )
""")


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
    used = connection.execute(_USE_CODE, {"digest": _digest(code)}).one_or_none()
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
    connection.execute(_DELETE_CODES)
    key_id = api_keys.authenticate(connection, api_keys.hash_key(key)).key_id
    values = {"digest": _digest(code), "key_id": key_id, "valid_for": valid_for}
    connection.execute(_INSERT_CODE, values)


def find(
    connection: Connection, cookie: str, lifetimes: Lifetimes, *, usual: Limits | None = None
) -> Session:
    """Return the session of a cookie and record its use.

    usual: the limits of a tenant without overrides.  Raises Unauthorized.
    """
    mine = {"digest": _digest(cookie)}
    limits = {"idle": lifetimes.idle, "untouched": _TOUCH_INTERVAL, "fresh": FRESH}
    row = connection.execute(_FIND, mine | limits).one_or_none()
    if row is None:
        raise Unauthorized(_INVALID_SESSION)
    if row.is_late:
        connection.execute(_TOUCH, mine)
    return _session(row, usual or Limits())


def end(connection: Connection, cookie: str) -> None:
    """Delete the session of a cookie, if there is one."""
    connection.execute(_END, {"digest": _digest(cookie)})


def list_of_key(
    connection: Connection, key_id: uuid.UUID, lifetimes: Lifetimes, *, cookie: str
) -> list[SessionRow]:
    """Return a key's sessions that have not ended, the newest first.

    cookie: of the request; it marks the session to which it belongs.
    """
    where = {"key_id": key_id, "idle": lifetimes.idle, "most": MAX_SESSIONS_OF_KEY}
    rows = connection.execute(_LIST, where)
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
    where = {"key_id": key_id, "session": session_id.bytes, "length": _ID_BYTES}
    ended = connection.execute(_END_OF_KEY, where)
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
    connection.execute(_DELETE_EXPIRED)
    cookie = secrets.token_urlsafe(_SECRET_BYTES)
    values = {"digest": _digest(cookie), "key_id": key_id, "age": age, "whole": lifetimes.whole}
    connection.execute(_INSERT, values)
    # The newest stay.
    connection.execute(_DELETE_OLDEST, {"key_id": key_id, "most": MAX_SESSIONS_OF_KEY})
    # Fails when the key was revoked after the code was issued.
    session = find(connection, cookie, lifetimes)
    if session.caller.is_device:
        raise InsufficientScope("a device key can only submit photos; it opens no session")
    return NewSession(session, cookie)


def _session(row: Row[Any], usual: Limits) -> Session:
    caller = replace(api_keys.caller_from_row(row, usual), is_fresh=row.is_fresh)
    return Session(caller, row.created_at, row.expires_at)


def _digest(secret: str) -> bytes:
    # A fast hash is enough: the secret has 256 random bits.
    return hashlib.sha256(secret.encode()).digest()
