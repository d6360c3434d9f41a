"""Count the bytes that each tenant has stored, which a quota can bound.

Triggers count every row of an object, whatever writes or deletes it. A row of `tenants` would make
the completions and submissions of a tenant wait for each other, so each statement adds a row to
`stored_changes`, and the sweeper folds these into `tenants`.
"""

from alembic import op
from sqlalchemy import text

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the columns, the table and the triggers; writers of objects wait for a moment.

    Objects that were stored before count nothing, except uploads, whose lengths are known.
    """
    op.execute("ALTER TABLE artifacts ADD COLUMN length bigint NOT NULL DEFAULT 0")
    op.execute("""
        ALTER TABLE tenants ADD COLUMN stored_bytes bigint,
            ADD COLUMN used_bytes bigint NOT NULL DEFAULT 0
    """)
    op.execute("CREATE TABLE stored_changes (tenant text NOT NULL, bytes bigint NOT NULL)")
    op.execute("CREATE INDEX stored_changes_by_tenant ON stored_changes (tenant)")
    op.execute("""
        CREATE FUNCTION count_stored_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO stored_changes
            SELECT tenant, sum(length) * CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END
            FROM changed GROUP BY tenant HAVING sum(length) > 0;
            RETURN NULL;
        END
        $$
    """)
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    op.execute(f"""
        ALTER FUNCTION count_stored_bytes() SECURITY DEFINER SET search_path = {schema}, pg_temp
    """)
    op.execute("REVOKE ALL ON FUNCTION count_stored_bytes() FROM PUBLIC")
    for table in ("artifacts", "uploads"):
        for event, rows in (("INSERT", "NEW"), ("DELETE", "OLD")):
            op.execute(f"""
                CREATE TRIGGER {table}_counted_on_{event.lower()} AFTER {event} ON {table}
                REFERENCING {rows} TABLE AS changed
                FOR EACH STATEMENT EXECUTE FUNCTION count_stored_bytes()
            """)
    op.execute("INSERT INTO stored_changes SELECT tenant, sum(length) FROM uploads GROUP BY tenant")
