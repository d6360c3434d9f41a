"""Sessions of browsers: a cookie that stands for a key, so that no page has to hold the key.

The cookie is a random text; the table holds its SHA-256. It does what the key does, and ends with
it: when the key is revoked or expires, when it is not used for a while, and in any case after some
hours. Once, a short-lived code opens a session in place of the key.
Source: OWASP Session Management Cheat Sheet (random identifiers of 128 bits and more, renewed when
somebody signs in, idle and absolute time-outs that the server keeps).
"""

import datetime as dt
import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from smart_filter_api import keys
from smart_filter_api.keys import Caller
from smart_filter_shared.db import tables
from smart_filter_shared.db.browser_tables import browser_codes, browser_sessions
from smart_filter_shared.errors import OutOfScope, Unauthorized
from smart_filter_shared.jobs.limits import Limits

_SECRET_BYTES = 32
# A look at a page costs no write more often than this.
_NOTED_EVERY = dt.timedelta(minutes=1)
_NOT_VALID = "the session is not valid: unknown, ended or expired; sign in again"
_NOT_A_CODE = "the code is not valid: unknown, used or expired; take a new one, or a key"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lasts: without being used, and in all."""

    idle: dt.timedelta
    whole: dt.timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """A session, and who is behind it; it ends at expires_at if it is used until then."""

    caller: Caller
    created_at: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session; cookie: what the browser is to send with each request."""

    session: Session
    cookie: str = field(repr=False)


def open_with_key(connection: Connection, key: str, lifetimes: Lifetimes) -> Opened:
    """Begin a session of a key.  Raises Unauthorized, OutOfScope for a device's."""
    return _begun(connection, keys.authenticate(connection, keys.digest_of(key)).key_id, lifetimes)


def open_with_code(connection: Connection, code: str, lifetimes: Lifetimes) -> Opened:
    """Begin a session with a code, which is used up by that.  Raises Unauthorized."""
    used = connection.execute(
        delete(browser_codes)
        .where(
            browser_codes.c.digest == _digest(code),
            browser_codes.c.expires_at > func.statement_timestamp(),
        )
        .returning(browser_codes.c.key_id)
    ).one_or_none()
    if used is None:
        raise Unauthorized(_NOT_A_CODE)
    return _begun(connection, used.key_id, lifetimes)


def allow_code(connection: Connection, code: str, *, key: str, valid_for: dt.timedelta) -> None:
    """Let a code that somebody else drew open one session of a key.  Raises Unauthorized."""
    now = func.statement_timestamp()
    connection.execute(delete(browser_codes).where(browser_codes.c.expires_at <= now))
    connection.execute(
        insert(browser_codes).values(
            digest=_digest(code),
            key_id=keys.authenticate(connection, keys.digest_of(key)).key_id,
            expires_at=now + valid_for,
        )
    )


def find(
    connection: Connection, cookie: str, lifetimes: Lifetimes, *, usual: Limits | None = None
) -> Session:
    """Return the session of a cookie, and note that it is used.

    usual: what its tenant may do when nothing else is said of it.  Raises Unauthorized.
    """
    now, used_at = func.statement_timestamp(), browser_sessions.c.used_at
    is_late: ColumnElement[bool] = used_at < now - _NOTED_EVERY
    row = connection.execute(
        keys.callers()
        .add_columns(
            browser_sessions.c.created_at,
            func.least(browser_sessions.c.expires_at, tables.keys.c.expires_at).label("expires_at"),
            is_late.label("is_late"),
        )
        .join(browser_sessions, browser_sessions.c.key_id == tables.keys.c.id)
        .where(
            browser_sessions.c.digest == _digest(cookie),
            browser_sessions.c.expires_at > now,
            used_at > now - lifetimes.idle,
        )
    ).one_or_none()
    if row is None:
        raise Unauthorized(_NOT_VALID)
    if row.is_late:
        mine = browser_sessions.c.digest == _digest(cookie)
        connection.execute(update(browser_sessions).where(mine).values(used_at=now))
    return _session(row, usual or Limits())


def end(connection: Connection, cookie: str) -> None:
    """End a session, if there is one."""
    mine = browser_sessions.c.digest == _digest(cookie)
    connection.execute(delete(browser_sessions).where(mine))


def _begun(connection: Connection, key_id: uuid.UUID, lifetimes: Lifetimes) -> Opened:
    now = func.statement_timestamp()
    _forget_ended(connection)
    cookie = secrets.token_urlsafe(_SECRET_BYTES)
    connection.execute(
        insert(browser_sessions).values(
            digest=_digest(cookie),
            key_id=key_id,
            created_at=now,
            used_at=now,
            expires_at=now + lifetimes.whole,
        )
    )
    # A key that was revoked since its code was drawn opens nothing.
    session = find(connection, cookie, lifetimes)
    if session.caller.is_device:
        raise OutOfScope("the key is for a device: it submits photos and opens no session")
    return Opened(session, cookie)


def _forget_ended(connection: Connection) -> None:
    """Forget some of those that are over; whoever begins one tidies up after others."""
    over = (
        select(browser_sessions.c.digest)
        .where(browser_sessions.c.expires_at <= func.statement_timestamp())
        .limit(100)
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(browser_sessions).where(browser_sessions.c.digest.in_(over)))


def _session(row: Row[Any], usual: Limits) -> Session:
    return Session(keys.caller_of(row, usual), row.created_at, row.expires_at)


def _digest(text: str) -> bytes:
    # Fast on purpose: there are 256 random bits to guess.
    return hashlib.sha256(text.encode()).digest()
