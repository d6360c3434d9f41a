"""Tables of browser sessions: cookies that stand for an API key, and codes that open a session."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Uuid

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

browser_sessions = Table(
    "browser_sessions",
    metadata,
    # SHA-256 of the cookie; the cookie itself is stored nowhere.
    Column("digest", LargeBinary, primary_key=True),
    # The session has this key's scopes and ends with the key.
    Column("key_id", Uuid, nullable=False),
    Column("created_at", _Moment, nullable=False),
    # Accurate to a minute, so that not every page view writes.
    Column("used_at", _Moment, nullable=False),
    # Absolute expiry: use does not extend it.
    Column("expires_at", _Moment, nullable=False),
    Index("browser_sessions_expiring", "expires_at"),
)

# Single-use codes: each opens one session and is deleted.
browser_codes = Table(
    "browser_codes",
    metadata,
    # SHA-256 of the code.
    Column("digest", LargeBinary, primary_key=True),
    Column("key_id", Uuid, nullable=False),
    Column("expires_at", _Moment, nullable=False),
)
