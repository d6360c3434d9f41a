"""The tables of browsers' sessions: cookies that stand for a key, and codes that open one."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Uuid

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

browser_sessions = Table(
    "browser_sessions",
    metadata,
    # SHA-256 of the cookie; the cookie itself is stored nowhere.
    Column("digest", LargeBinary, primary_key=True),
    # Whose scopes it has; it ends with this key.
    Column("key_id", Uuid, nullable=False),
    Column("created_at", _Moment, nullable=False),
    # To a minute: a look at the page does not cost a write each time.
    Column("used_at", _Moment, nullable=False),
    # However much it is used.
    Column("expires_at", _Moment, nullable=False),
    Index("browser_sessions_expiring", "expires_at"),
)

# Each opens one session and is gone then.
browser_codes = Table(
    "browser_codes",
    metadata,
    # SHA-256 of the code.
    Column("digest", LargeBinary, primary_key=True),
    Column("key_id", Uuid, nullable=False),
    Column("expires_at", _Moment, nullable=False),
)
