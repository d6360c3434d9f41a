"""How a job begins."""

import datetime as dt
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, func

from smart_filter_shared.db import tables
from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import events, memory, retention, sharing
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.submission import Submission, stage_rows
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe


def submit(connection: Connection, submission: Submission) -> list[Capability]:
    """Write a job and the stages that it runs; return what to ring.

    What earlier jobs have made of its photo has succeeded at once.  Raises InputsExpired when
    an object that it needs of another job is not kept any more; then nothing may be committed.
    """
    recipe = submission.recipe
    p50, p90 = submission.foreseen or (None, None)
    deadline_at = connection.execute(
        tables.jobs.insert()
        .values(
            id=submission.job_id,
            tenant=submission.tenant,
            recipe=recipe.as_json(),
            seed=submission.seed,
            metadata=dict(recipe.metadata),
            photo_key=submission.photo_key,
            photo_digest=submission.photo_digest,
            photo_url=submission.photo_url,
            upload_id=None if submission.upload is None else submission.upload.id,
            upload_etag=None if submission.upload is None else submission.upload.etag,
            background_key=submission.background_key,
            created_at=func.statement_timestamp(),
            estimated_seconds=submission.place.estimated_seconds,
            webhook_url=submission.webhook_url,
            megapixels=submission.megapixels,
            keep_input_seconds=submission.keeping.input_seconds,
            keep_result_seconds=submission.keeping.result_seconds,
            keep_nothing=submission.keeping.nothing,
            parent_id=submission.parent_id,
            corrections=[dict(one) for one in submission.corrections],
            deadline_at=_deadline(recipe),
            degraded=list(submission.degraded) or None,
            foreseen_p50=p50,
            foreseen_p90=p90,
        )
        .returning(tables.jobs.c.deadline_at)
    ).scalar_one()
    _borrow(connection, submission)
    own = {submission.photo_key, submission.background_key} - set(submission.borrows)
    retention.record(
        connection,
        submission.tenant,
        submission.job_id,
        {key: Kind.PHOTO for key in own if key is not None},
        submission.keeping,
    )
    taken = memory.take(
        connection,
        submission.tenant,
        submission.job_id,
        submission.sources,
        running=submission.plans,
        keeping=submission.keeping,
    )
    rows = stage_rows(submission, taken)
    connection.execute(
        tables.stages.insert(), [{**row, "deadline_at": deadline_at} for row in rows]
    )
    _take_over(connection, submission, taken)
    events.record(connection, [Happened.to_job(submission.job_id, JobState.QUEUED)])
    return [Capability(str(row["capability"])) for row in rows if row["state"] == StageState.READY]


def _borrow(connection: Connection, submission: Submission) -> None:
    """Have what the job needs of others.  Raises InputsExpired."""
    there = sharing.borrow(
        connection,
        submission.tenant,
        submission.job_id,
        submission.borrows,
        submission.keeping,
    )
    if len(there) < len(submission.borrows):
        raise InputsExpired(
            f"the photo of job {submission.parent_id}, or what came with it, is not kept any more;"
            " submit it again"
        )


def _take_over(
    connection: Connection, submission: Submission, taken: Mapping[StageName, memory.Result]
) -> None:
    """Write the stages that others have run for this job: no attempt, no time of a model."""
    rows = {StageName(str(row["stage"])): row for row in stage_rows(submission)}
    for stage, result in taken.items():
        connection.execute(
            tables.stages.insert().values(
                **{
                    **rows[stage],
                    "state": str(StageState.SUCCEEDED),
                    "open_needs": 0,
                    "not_before": None,
                    "seconds": 0.0,
                    "result": dict(result),
                },
                finished_at=func.statement_timestamp(),
            )
        )


def _deadline(recipe: Recipe) -> ColumnElement[dt.datetime] | None:
    """Return when a job that is accepted now has to have ended, by the database's clock."""
    if recipe.deadline_ms is None:
        return None
    return func.statement_timestamp() + dt.timedelta(milliseconds=recipe.deadline_ms)
