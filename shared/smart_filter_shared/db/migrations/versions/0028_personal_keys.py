"""Mark the keys of signed-in persons, which a digest of 16 bytes marked before."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add a column with a default and fill it.

    Code before this revision leaves it out: until the session ends, keys that a person issues who
    signed in there end with the session.
    """
    op.execute("ALTER TABLE keys ADD COLUMN is_personal boolean NOT NULL DEFAULT false")
    op.execute("UPDATE keys SET is_personal = true WHERE octet_length(digest) = 16")
