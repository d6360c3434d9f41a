"""The first schema: tables, functions and triggers."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None

# Functions for workers, which can have a role of their own (db/grants.py). They run with the rights
# of the owner of the tables.
_DELETE_OLD_AUDIT_EVENTS = """
    FUNCTION delete_old_audit_events(seconds double precision, most bigint)
    RETURNS bigint LANGUAGE sql AS $$
        WITH deleted AS (
            DELETE FROM audit_events WHERE id IN (
                SELECT id FROM audit_events
                WHERE at < statement_timestamp() - make_interval(secs => seconds)
                ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED
            ) RETURNING id
        )
        SELECT count(*) FROM deleted
    $$
"""
_REFUSE_AUDIT_CHANGE = """
    FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.at < statement_timestamp() - interval '30 days' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'rows of audit_events cannot be changed, nor deleted for 30 days';
    END
    $$
"""
# Counts every row of an object, whatever writes or deletes it. A row of `tenants` would make the
# completions and submissions of a tenant wait for each other, so each statement adds a row to
# `stored_changes`, and the sweeper folds these into `tenants`.
_COUNT_STORED_BYTES = """
    FUNCTION count_stored_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO stored_changes
        SELECT tenant, sum(length) * CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END
        FROM changed GROUP BY tenant HAVING sum(length) > 0;
        RETURN NULL;
    END
    $$
"""
# The stages of all jobs, for reads that are not the queue's. Drop it before a column of `stages`.
_ALL_STAGES = """
    CREATE VIEW all_stages AS SELECT * FROM stages UNION ALL
    SELECT {columns} FROM ended_stages, unnest(stages) AS stage
"""
_OWNERS_FUNCTIONS = {
    "delete_old_audit_events(double precision, bigint)": _DELETE_OLD_AUDIT_EVENTS,
    "count_stored_bytes()": _COUNT_STORED_BYTES,
}
_TRIGGERS = (
    """
    audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    audit_events_not_emptied BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
    *(
        f"""
        {table}_counted_on_{event.lower()} AFTER {event} ON {table}
        REFERENCING {rows} TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION count_stored_bytes()
        """
        for table in ("artifacts", "uploads")
        for event, rows in (("INSERT", "NEW"), ("DELETE", "OLD"))
    ),
)


def upgrade() -> None:
    op.execute(Path(__file__).with_suffix(".sql").read_text())
    op.execute(f"CREATE {_REFUSE_AUDIT_CHANGE}")
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for signature, function in _OWNERS_FUNCTIONS.items():
        op.execute(f"CREATE {function}")
        # A caller's search path must not choose what the owner runs.
        op.execute(
            f"ALTER FUNCTION {signature} SECURITY DEFINER SET search_path = {schema}, pg_temp"
        )
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    for trigger in _TRIGGERS:
        op.execute(f"CREATE TRIGGER {trigger}")
    # Rows that processes expect to find.
    op.execute("INSERT INTO installation (id) VALUES (gen_random_uuid())")
    op.execute(
        "INSERT INTO sweeper (swept_at, expires_from, cleared_at) VALUES (now(), now(), now())"
    )
    op.execute(text(_ALL_STAGES.format(columns=", ".join(_list_columns()))))


def _list_columns() -> list[str]:
    """Return the columns of `stages`, as those of a stage of an ended job."""
    names = op.get_bind().scalars(
        text("""
            SELECT attname FROM pg_attribute
            WHERE attrelid = 'stages'::regclass AND attnum > 0 ORDER BY attnum
        """)
    )
    return ["ended_stages.job_id" if name == "job_id" else f"stage.{name}" for name in names]
