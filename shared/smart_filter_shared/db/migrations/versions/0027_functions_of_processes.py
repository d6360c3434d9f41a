"""Add functions for what only the owner of the tables may do.

API, workers and senders can have roles of their own (db/grants.py). Those may call these functions,
which run with the rights of the owner, and may neither create nor drop a table.
"""

from alembic import op
from sqlalchemy import text

revision = "0027"
down_revision = "0026"

# Partitions of one UTC day.  The readers of `jobs` read its partitions directly (db/partitions.py).
_CREATE_DAY = """
    FUNCTION create_day(day date) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        parent text;
        reader regrole;
        first uuid := rpad(lpad(to_hex(extract(epoch FROM day)::bigint * 1000), 12, '0'), 32, '0');
        after uuid :=
            rpad(lpad(to_hex(extract(epoch FROM day + 1)::bigint * 1000), 12, '0'), 32, '0');
        name text := to_char(day, 'YYYY_MM_DD');
    BEGIN
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
_SIGNATURES = (
    "create_day(date)",
    "drop_day(text)",
    "show_days(text, uuid[], uuid[], text[])",
    "delete_old_audit_events(double precision, bigint)",
)


def upgrade() -> None:
    for function in (_CREATE_DAY, _DROP_DAY, _SHOW_DAYS, _DELETE_OLD_AUDIT_EVENTS):
        op.execute(f"CREATE OR REPLACE {function}")
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for signature in _SIGNATURES:
        # A caller's search path must not choose what the owner runs.
        op.execute(
            f"ALTER FUNCTION {signature} SECURITY DEFINER SET search_path = {schema}, pg_temp"
        )
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
