"""List the days whose jobs have all ended, and store the snapshot that estimates are made from."""

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"

_CLOSED_DAYS = """
    CREATE TABLE closed_days (
        -- The suffix of the names of the day's partitions.
        name text PRIMARY KEY,
        -- When retention visits the day next: at the first expiry of a job, or a day later.
        visit_at timestamptz DEFAULT '-infinity' NOT NULL,
        -- Whether a job of the day has become unfinished; the next sweep opens the day.
        reopened boolean DEFAULT false NOT NULL
    )
"""
# Unlogged: a sweep writes it each second, and another one is made after a crash.
_QUEUE_SNAPSHOTS = """
    CREATE UNLOGGED TABLE queue_snapshots (
        is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
        made_at timestamptz NOT NULL,
        -- How long it took to make.
        seconds double precision NOT NULL,
        -- JSON; see operations/stored_snapshot.py.
        content text NOT NULL
    )
"""
# Closes a day unless a job of it has not ended, or is not settled; returns whether it was closed.
# From then on a trigger of its partition reports what needs attention (db/partitions.py). The lock
# waits for writes under way, so none of them escapes both the check and the trigger.
_CLOSE_DAY = r"""
    FUNCTION close_day(name text) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        day text := 'jobs_' || name;
        is_open boolean;
    BEGIN
        IF name !~ '^(until_)?\d{4}_\d\d_\d\d$' THEN
            RAISE EXCEPTION 'no name of a day: %', name;
        END IF;
        FOR is_locked IN 0..1 LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %1$I WHERE outcome IS NULL)
                OR EXISTS (SELECT FROM %1$I WHERE outcome IS NOT NULL AND NOT settled)', day)
                INTO is_open;
            IF is_open THEN
                RETURN false;
            END IF;
            IF is_locked = 0 THEN
                EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', day);
            END IF;
        END LOOP;
        INSERT INTO closed_days (name) VALUES (close_day.name)
        ON CONFLICT ON CONSTRAINT closed_days_pkey
            DO UPDATE SET visit_at = DEFAULT, reopened = DEFAULT;
        EXECUTE format('CREATE OR REPLACE TRIGGER jobs_report AFTER INSERT OR UPDATE ON %I
            FOR EACH ROW WHEN (NEW.expired_at IS NULL) EXECUTE FUNCTION report_job()', day);
        RETURN true;
    END
    $$
"""
# The row of the day is locked even when it does not change: a visit under way must not overwrite
# `visit_at` without having seen this job.
_REPORT_JOB = """
    FUNCTION report_job() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE closed_days SET
            visit_at = least(visit_at, NEW.expires_at),
            reopened = NEW.outcome IS NULL OR NOT NEW.settled
        WHERE name = substr(TG_TABLE_NAME, length('jobs_') + 1) AND NOT reopened;
        RETURN NULL;
    END
    $$
"""


def upgrade() -> None:
    """Add two tables and a function of the database; older processes leave them as they are."""
    op.execute(_CLOSED_DAYS)
    op.execute("CREATE INDEX closed_days_due ON closed_days (visit_at)")
    op.execute("CREATE INDEX closed_days_reopened ON closed_days (name) WHERE reopened")
    op.execute(_QUEUE_SNAPSHOTS)
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for signature, function in {"close_day(text)": _CLOSE_DAY, "report_job()": _REPORT_JOB}.items():
        op.execute(f"CREATE {function}")
        # As in revision 0001: a caller's search path must not choose what the owner runs.
        op.execute(
            f"ALTER FUNCTION {signature} SECURITY DEFINER SET search_path = {schema}, pg_temp"
        )
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
