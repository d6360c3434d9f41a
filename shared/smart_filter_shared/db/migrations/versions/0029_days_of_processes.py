"""Create partitions only of the days around today, for callers other than the owner.

A process that was taken over could otherwise create any number of tables.
"""

from alembic import op
from sqlalchemy import text

revision = "0029"
down_revision = "0028"

# As in 0027, and bounded. Processes need today and tomorrow (db/partitions.py). Today can have
# become yesterday since the caller read the clock. The owner may create any table anyway.
_CREATE_DAY = """
    CREATE OR REPLACE FUNCTION create_day(day date) RETURNS void LANGUAGE plpgsql AS $$
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


def upgrade() -> None:
    op.execute(_CREATE_DAY)
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    # A caller's search path must not choose what the owner runs.
    op.execute(
        f"ALTER FUNCTION create_day(date) SECURITY DEFINER SET search_path = {schema}, pg_temp"
    )
