"""How a job begins, and a batch of them."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func

from smart_filter_shared.db import batch_tables
from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import memory, sharing
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.submission import (
    BatchSubmission,
    Submission,
    Submitted,
    stage_rows,
)
from smart_filter_shared.jobs.transitions import batches, submit_statements
from smart_filter_shared.pipeline import StageName


def submit(connection: Connection, submission: Submission) -> Submitted:
    """Write a job and the stages that it runs.

    What earlier jobs have made of its photo has succeeded at once.  Raises InputsExpired when
    an object that it needs of another job is not kept any more; then nothing may be committed.
    """
    _borrow(connection, submission)
    taken = memory.take(
        connection,
        submission.tenant,
        submission.job_id,
        submission.sources,
        running=submission.plans,
        keeping=submission.keeping,
    )
    return _write(
        connection, [submission], [*stage_rows(submission, taken), *_over(submission, taken)]
    )


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
    rows = [row for job in batch.jobs for row in stage_rows(job)]
    ringing = _write(connection, batch.jobs, rows).ringing
    if any(_is_rating(row) for row in rows):
        return ringing
    return [*ringing, *batches.begin(connection, batch.batch_id).ready]


def _write(
    connection: Connection, jobs: Sequence[Submission], rows: Sequence[Mapping[str, object]]
) -> Submitted:
    """Write jobs, and the rows of their stages."""
    pictures = [
        {"job_id": job.job_id, "key": key, "kind": Kind.PHOTO}
        for job in jobs
        for key in {job.photo_key, job.background_key} - {None, *job.borrows}
    ]
    created_at = connection.execute(
        submit_statements.WRITE,
        {
            "jobs": _json([_job_row(job) for job in jobs]),
            "pictures": _json(pictures),
            "stages": _json(rows),
        },
    ).scalar_one()
    ringing = [
        Capability(str(row["capability"])) for row in rows if row["state"] == StageState.READY
    ]
    return Submitted(created_at, rows, ringing)


def _is_rating(row: Mapping[str, object]) -> bool:
    return row["stage"] != StageName.COMPOSITE and row["state"] != StageState.SUCCEEDED


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return json.dumps(rows, default=str)


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
        "deadline_ms": recipe.deadline_ms,
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


def _over(
    submission: Submission, taken: Mapping[StageName, memory.Result]
) -> list[dict[str, object]]:
    """Return the rows of the stages that others have run for this job."""
    if not taken:
        return []
    return [
        {
            **row,
            "state": StageState.SUCCEEDED,
            "open_needs": 0,
            "not_before": None,
            "seconds": 0.0,
            "result": taken[StageName(str(row["stage"]))],
        }
        for row in stage_rows(submission)
        if row["stage"] in taken
    ]
