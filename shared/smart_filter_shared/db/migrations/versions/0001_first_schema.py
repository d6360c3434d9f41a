"""The first schema: tables, functions and triggers; jobs and stages are partitioned by day."""

import datetime as dt
from pathlib import Path

from alembic import op
from sqlalchemy import text

from smart_filter_shared.db import partitions

revision = "0001"
down_revision = None

# The first partition holds everything before this many days from now, so that the clock of a
# process may be wrong by days.
_FIRST_PARTITION = dt.timedelta(days=7)
# Functions for API, workers and senders, which can have roles of their own (db/grants.py). The
# functions run with the rights of the owner of the tables; the roles may neither create nor drop a
# table.
#
# Partitions of one UTC day.  The readers of `jobs` read its partitions directly (db/partitions.py).
# Processes need today and tomorrow. Today can have become yesterday since the caller read the
# clock. A process that was taken over could create any number of tables without the bound; the
# owner may create any table anyway.
_CREATE_DAY = """
    FUNCTION create_day(day date) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        today date := (statement_timestamp() AT TIME ZONE 'UTC')::date;
        parent text;
        reader regrole;
        first uuid;
        after uuid;
        name text := to_char(day, 'YYYY_MM_DD');
    BEGIN
        IF session_user <> current_user AND day NOT BETWEEN today - 1 AND today + 1 THEN
            RAISE EXCEPTION 'no day around today: %', day;
        END IF;
        first := rpad(lpad(to_hex(extract(epoch FROM day)::bigint * 1000), 12, '0'), 32, '0');
        after := rpad(lpad(to_hex(extract(epoch FROM day + 1)::bigint * 1000), 12, '0'), 32, '0');
        FOREACH parent IN ARRAY ARRAY['jobs', 'stages'] LOOP
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = 70)',
                parent || '_' || name, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, parent || '_' || name, first, after);
        END LOOP;
        FOR reader IN
            SELECT DISTINCT grantee FROM pg_class, aclexplode(relacl)
            WHERE oid = 'jobs'::regclass AND privilege_type = 'SELECT' AND grantee <> relowner
        LOOP
            EXECUTE format('GRANT SELECT ON %I TO %s', 'jobs_' || name, reader);
        END LOOP;
    END
    $$
"""
_DROP_DAY = r"""
    FUNCTION drop_day(name text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF name !~ '^(until_)?\d{4}_\d\d_\d\d$' THEN
            RAISE EXCEPTION 'no name of a day: %', name;
        END IF;
        EXECUTE format('DROP TABLE %I, %I', 'jobs_' || name, 'stages_' || name);
    END
    $$
"""
# Replaces open_jobs or open_stages.  since, until: the ids of each range; null: no bound.
_SHOW_DAYS = """
    FUNCTION show_days(parent text, since uuid[], until uuid[], names text[])
    RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        key text := CASE parent WHEN 'jobs' THEN 'id' WHEN 'stages' THEN 'job_id' END;
        shown text := (
            SELECT string_agg(coalesce(nullif(concat_ws(' AND ',
                key || ' >= ' || quote_literal(first), key || ' < ' || quote_literal(after)
            ), ''), 'true'), ' OR ')
            FROM unnest(since, until) AS range (first, after)
        );
    BEGIN
        EXECUTE format('CREATE OR REPLACE VIEW %I AS SELECT * FROM %I WHERE ',
            'open_' || parent, parent) || shown;
        EXECUTE format('COMMENT ON VIEW %I IS %L', 'open_' || parent, array_to_string(names, ' '));
    END
    $$
"""
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
_OWNERS_FUNCTIONS = {
    "create_day(date)": _CREATE_DAY,
    "drop_day(text)": _DROP_DAY,
    "show_days(text, uuid[], uuid[], text[])": _SHOW_DAYS,
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
    until = partitions.today(op.get_bind()) + _FIRST_PARTITION
    for table in partitions.TABLES:
        first = f"{table}_{partitions.until_suffix(until)}"
        op.execute(f"""
            CREATE TABLE {first} PARTITION OF {table}
            FOR VALUES FROM (MINVALUE) TO ('{partitions.first_id(until)}')
            WITH (fillfactor = 70)
        """)
    # Replaced at the end of every upgrade (db/partitions.py).
    for table in partitions.TABLES:
        op.execute(f"CREATE VIEW open_{table} AS SELECT * FROM {table}")  # noqa: S608 - constant names
