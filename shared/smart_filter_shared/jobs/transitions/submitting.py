"""How a job begins, and a batch of them."""

import datetime as dt
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from smart_filter_shared.db import batch_tables, tables
from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import events, memory, retention, sharing
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.retention import Kind, Made
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.submission import BatchSubmission, Submission, stage_rows
from smart_filter_shared.jobs.transitions import batches
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe


def submit(connection: Connection, submission: Submission) -> list[Capability]:
    """Write a job and the stages that it runs; return what to ring.

    What earlier jobs have made of its photo has succeeded at once.  Raises InputsExpired when
    an object that it needs of another job is not kept any more; then nothing may be committed.
    """
    now = connection.execute(select(func.statement_timestamp())).scalar_one()
    deadline_at = _deadline(submission.recipe, now)
    connection.execute(
        tables.jobs.insert(),
        [{**_job_row(submission), "created_at": now, "deadline_at": deadline_at}],
    )
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


def submit_batch(connection: Connection, batch: BatchSubmission) -> list[Capability]:
    """Write a batch, its jobs, and which of its items were refused; return what to ring.

    Nothing is borrowed, and nothing remembered.
    """
    connection.execute(
        batch_tables.batches.insert().values(
            id=batch.batch_id,
            tenant=batch.tenant,
            total=len(batch.jobs) + len(batch.gaps),
            best=batch.best,
            webhook_url=batch.webhook_url,
            created_at=func.statement_timestamp(),
        )
    )
    if batch.gaps:
        connection.execute(
            batch_tables.batch_gaps.insert(),
            [
                {
                    "batch_id": batch.batch_id,
                    "index": gap.index,
                    "outcome": JobState.FAILED,
                    "error": dict(gap.error),
                }
                for gap in batch.gaps
            ],
        )
    ringing = _submit_all(connection, batch.jobs)
    return [*ringing, *batches.begin(connection, batch.batch_id).ready]


def _submit_all(connection: Connection, jobs: Sequence[Submission]) -> list[Capability]:
    """Write jobs of one tenant, in a few statements however many they are."""
    # All of a batch are accepted at once: with one moment each deadline is one value.
    now = connection.execute(select(func.statement_timestamp())).scalar_one()
    deadlines = [_deadline(job.recipe, now) for job in jobs]
    connection.execute(
        tables.jobs.insert(),
        [
            {**_job_row(job), "created_at": now, "deadline_at": deadline_at}
            for job, deadline_at in zip(jobs, deadlines, strict=True)
        ],
    )
    given = [
        Made(job.job_id, key, Kind.PHOTO)
        for job in jobs
        for key in (job.photo_key, job.background_key)
        if key is not None
    ]
    retention.record_each(connection, jobs[0].tenant, given, jobs[0].keeping)
    rows = [
        {**row, "deadline_at": deadline_at}
        for job, deadline_at in zip(jobs, deadlines, strict=True)
        for row in stage_rows(job)
    ]
    connection.execute(tables.stages.insert(), rows)
    events.record(connection, [Happened.to_job(job.job_id, JobState.QUEUED) for job in jobs])
    return [Capability(str(row["capability"])) for row in rows if row["state"] == StageState.READY]


def _job_row(submission: Submission) -> dict[str, object]:
    recipe, member = submission.recipe, submission.membership
    p50, p90 = submission.foreseen or (None, None)
    return {
        "id": submission.job_id,
        "tenant": submission.tenant,
        "recipe": recipe.as_json(),
        "seed": submission.seed,
        "metadata": dict(recipe.metadata),
        "photo_key": submission.photo_key,
        "photo_digest": submission.photo_digest,
        "photo_url": submission.photo_url,
        "upload_id": None if submission.upload is None else submission.upload.id,
        "upload_etag": None if submission.upload is None else submission.upload.etag,
        "background_key": submission.background_key,
        "estimated_seconds": submission.place.estimated_seconds,
        "webhook_url": submission.webhook_url,
        "megapixels": submission.megapixels,
        "keep_input_seconds": submission.keeping.input_seconds,
        "keep_result_seconds": submission.keeping.result_seconds,
        "keep_nothing": submission.keeping.nothing,
        "parent_id": submission.parent_id,
        "corrections": [dict(one) for one in submission.corrections],
        "batch_id": None if member is None else member.batch_id,
        "batch_index": None if member is None else member.index,
        "degraded": list(submission.degraded) or None,
        "foreseen_p50": p50,
        "foreseen_p90": p90,
    }


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


def _deadline(recipe: Recipe, now: dt.datetime) -> dt.datetime | None:
    """Return when a job that is accepted now has to have ended."""
    if recipe.deadline_ms is None:
        return None
    return now + dt.timedelta(milliseconds=recipe.deadline_ms)
