"""The table of what operators have stopped."""

from sqlalchemy import Column, DateTime, Table, Text

from smart_filter_shared.db.tables import metadata

# Capabilities from which nobody claims for now: see jobs/pauses.py.
pauses = Table(
    "pauses",
    metadata,
    Column("capability", Text, primary_key=True),
    Column("paused_at", DateTime(timezone=True), nullable=False),
)
