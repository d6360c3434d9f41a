"""Enforce the declared moves of stages and jobs on a real database."""

from sqlalchemy import Connection, text

from smart_filter_shared.queue.states import STAGE_MOVES
from smart_filter_tests.bench import Bench


def forbid_others(connection: Connection) -> None:
    """Make PostgreSQL refuse any move of a stage that states.py does not declare."""
    allowed = ", ".join(f"('{move.before}', '{move.after}')" for move in STAGE_MOVES)
    connection.execute(
        text(f"""
            CREATE OR REPLACE FUNCTION refuse_undeclared() RETURNS trigger AS $$
            BEGIN
                RAISE EXCEPTION 'undeclared move of %: % to %', OLD.stage, OLD.state, NEW.state;
            END $$ LANGUAGE plpgsql;
            CREATE OR REPLACE TRIGGER undeclared BEFORE UPDATE OF state ON stages FOR EACH ROW
            WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN ({allowed}))
            EXECUTE FUNCTION refuse_undeclared();
        """)
    )


def current_states(bench: Bench) -> dict[tuple[str, str], str]:
    """Return the state of every stage and job, by (its job, its name or `job`)."""
    with bench.transaction() as connection:
        stages = connection.execute(text("SELECT job_id, stage, state FROM all_stages")).all()
        jobs = connection.execute(
            text("""
                SELECT id, coalesce(outcome, CASE WHEN EXISTS (
                    SELECT FROM all_stages WHERE job_id = id AND started_at IS NOT NULL
                ) THEN 'running' ELSE 'queued' END) AS state FROM jobs
            """)
        ).all()
    return {
        **{(str(row.job_id), row.stage): row.state for row in stages},
        **{(str(row.id), "job"): row.state for row in jobs},
    }
