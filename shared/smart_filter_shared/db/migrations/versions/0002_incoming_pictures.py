"""Queue the pictures that tenants add over REST, and limit how many they may have."""

from alembic import op

revision = "0002"
down_revision = "0001"

_INCOMING_PICTURES = """
    CREATE TABLE incoming_pictures (
        tenant text NOT NULL,
        name text NOT NULL,
        title text NOT NULL,
        tags text[] NOT NULL,
        is_logo boolean NOT NULL,
        key text NOT NULL,
        digest text NOT NULL,
        -- In bytes.
        length bigint NOT NULL,
        created_at timestamptz NOT NULL,
        -- Workers claim the lowest; see stock/incoming.py.
        rank timestamptz NOT NULL,
        attempt integer DEFAULT 0 NOT NULL,
        -- Lease: only one worker describes the picture before this time.
        leased_until timestamptz,
        -- Why it was refused; null while it waits.
        code text,
        detail text,
        CONSTRAINT incoming_pictures_key UNIQUE (key),
        CONSTRAINT incoming_pictures_refusal CHECK ((code IS NULL) = (detail IS NULL)),
        PRIMARY KEY (tenant, name)
    )
"""


def upgrade() -> None:
    """Add a table and two columns; older processes leave all three as they are."""
    op.execute(_INCOMING_PICTURES)
    op.execute(
        "CREATE INDEX incoming_pictures_waiting ON incoming_pictures (rank) WHERE code IS NULL"
    )
    # In bytes; 0 for a picture from before this revision.
    op.execute("ALTER TABLE backgrounds ADD COLUMN length bigint DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE tenants ADD COLUMN pictures integer")
