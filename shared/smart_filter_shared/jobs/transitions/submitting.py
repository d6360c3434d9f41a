"""How a job begins."""

import datetime as dt

from sqlalchemy import ColumnElement, Connection, func

from smart_filter_shared.db import tables
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import events, retention
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.submission import Submission, stage_rows
from smart_filter_shared.recipe import Recipe


def submit(connection: Connection, submission: Submission) -> list[Capability]:
    """Write a job and the stages that it runs; return what to ring."""
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
            deadline_at=_deadline(recipe),
            degraded=list(submission.degraded) or None,
            foreseen_p50=p50,
            foreseen_p90=p90,
        )
        .returning(tables.jobs.c.deadline_at)
    ).scalar_one()
    given = [submission.photo_key, submission.background_key]
    retention.record(
        connection,
        submission.tenant,
        submission.job_id,
        {key: Kind.PHOTO for key in given if key is not None},
        submission.keeping,
    )
    rows = stage_rows(submission)
    connection.execute(
        tables.stages.insert(), [{**row, "deadline_at": deadline_at} for row in rows]
    )
    events.record(connection, [Happened.to_job(submission.job_id, JobState.QUEUED)])
    return [Capability(str(row["capability"])) for row in rows if row["state"] == StageState.READY]


def _deadline(recipe: Recipe) -> ColumnElement[dt.datetime] | None:
    """Return when a job that is accepted now has to have ended, by the database's clock."""
    if recipe.deadline_ms is None:
        return None
    return func.statement_timestamp() + dt.timedelta(milliseconds=recipe.deadline_ms)
