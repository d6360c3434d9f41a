"""Detect a read-only server: a replica answers every SELECT and refuses writes."""

from sqlalchemy import Connection, text


def is_read_only(connection: Connection) -> bool:
    """Return whether the server refuses writes on this connection."""
    return bool(connection.scalar(text("SHOW transaction_read_only")) == "on")
