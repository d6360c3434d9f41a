"""The declared moves of stages and jobs, and their enforcement on a real database."""

from sqlalchemy import Connection, text

from smart_filter_tests.bench import Bench

# Whose state, before and after, and the transitions that move it. FAIL: those that can end a job as
# failed, and cancel the other stages; RANK: those that can end the last rating of an album, and
# move its other jobs. A stage that waits succeeds under the lease of another stage of its job.
_FAIL = "expire fail release retry"
_RANK = f"cancel complete delete {_FAIL} fail_overdue"
_TABLE = """
    stage waiting   ready     RANK wake
    stage waiting   failed    fail_overdue
    stage waiting   canceled  cancel FAIL fail_overdue
    stage waiting   succeeded complete
    stage ready     running   claim
    stage ready     waiting   rerun
    stage ready     failed    fail_overdue
    stage ready     canceled  cancel FAIL fail_overdue
    stage running   succeeded complete
    stage running   waiting   expire release rerun retry
    stage running   ready     release reroute
    stage running   failed    FAIL
    stage running   canceled  cancel FAIL
    stage succeeded waiting   rerun
    stage succeeded ready     rerun
    stage failed    ready     redrive
    stage failed    waiting   redrive
    stage canceled  ready     redrive
    stage canceled  waiting   redrive
    job   queued    running   claim
    job   queued    failed    fail_overdue
    job   queued    canceled  cancel
    job   running   succeeded RANK
    job   running   failed    FAIL fail_overdue
    job   running   canceled  cancel
    job   failed    running   redrive
    job   failed    queued    redrive
"""
DECLARED = {
    (whose, before, after, transition)
    for line in _TABLE.replace("FAIL", _FAIL).replace("RANK", _RANK).strip().splitlines()
    for whose, before, after, *by in [line.split()]
    for transition in by
}


def forbid_others(connection: Connection) -> None:
    """Make PostgreSQL refuse any move of a stage that is not declared."""
    allowed = ", ".join(
        f"('{before}', '{after}')" for whose, before, after, _ in DECLARED if whose == "stage"
    )
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
