"""How stages stand, as the database has it and as the model foretells it: to be compared."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.recipe import Recipe, stages
from smart_filter_tests.bench import Bench
from smart_filter_tests.model import Model
from smart_filter_tests.model_rows import GIVE_UP_SECONDS, Key, StageModel


def first_rows(
    job_id: JobId, recipe: Recipe, run_in_seconds: float | None
) -> dict[Key, StageModel | None]:
    """Return what `submit` writes; run_in_seconds: until the recipe's run_at, if it has one."""
    running = stages(recipe)
    rows: dict[Key, StageModel | None] = {}
    for stage in PIPELINE:
        if stage.name in running:
            needs = needs_within(stage, running)
            state = "waiting" if needs or run_in_seconds is not None else "ready"
            not_before = None if needs else run_in_seconds
            rows[job_id, stage.name] = StageModel(state, needs, len(needs), not_before)
    return rows


def stored(bench: Bench) -> dict[Key, tuple[object, ...]]:
    """Return what the database has of every stage."""
    with bench.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT job_id, stage, state, open_needs, attempt, releases, rerouted, lease_token,
                    leased_until < statement_timestamp() IS TRUE AS late,
                    not_before <= statement_timestamp() AS due,
                    extract(epoch FROM statement_timestamp() - patience_since) >= :give_up
                        AS impatient
                FROM stages
            """),
            {"give_up": GIVE_UP_SECONDS},
        )
        return {(JobId(row.job_id), StageName(row.stage)): tuple(row[2:]) for row in rows}


def part(connection: Connection, jobs: Sequence[JobId]) -> None:
    """Let no two jobs have the same rank, where this transaction has given them another."""
    connection.execute(
        text("""
            UPDATE stages SET rank = CAST(round(CAST(rank AS numeric), 4) AS float8) + number * 1e-7
            FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS known (id, number)
            WHERE job_id = known.id AND stages.xmin = CAST(pg_current_xact_id() AS xid)
                AND state IN ('waiting', 'ready')
        """),
        {"ids": jobs},
    )


def ranks(bench: Bench) -> dict[Key, float]:
    """Return by what the database ranks every stage."""
    with bench.transaction() as connection:
        rows = connection.execute(text("SELECT job_id, stage, rank FROM stages"))
        return {(JobId(row.job_id), StageName(row.stage)): row.rank for row in rows}


def foretold(model: Model) -> dict[Key, tuple[object, ...]]:
    """Return what the model has of every stage."""
    return {
        key: (
            *(
                row.state,
                row.open_needs,
                row.attempt,
                row.releases,
                row.rerouted,
                row.token,
                row.late,
            ),
            None if row.not_before is None else row.not_before <= 0,
            None if row.patience_since is None else row.is_impatient,
        )
        for key, row in model.stages.items()
    }
