"""The queue of photo jobs: its transitions, with their hooks; the caller commits."""

import json
from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared import albums
from smart_filter_shared.albums import MAX_SHOTS, Take, TakeShot
from smart_filter_shared.feedback import examples
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import transitions
from smart_filter_shared.queue.transitions.batches import JobHooks

# The inputs of the ranking; failed and canceled jobs are not ranked.
_RATING_RESULTS = text("""
    SELECT jobs.id, jobs.batch_index AS item, prepared.result AS prepared,
        faces.result AS faces, smiled.result AS smiled, segmented.result AS segmented
    FROM jobs
    LEFT JOIN stages AS prepared ON prepared.job_id = jobs.id AND prepared.stage = 'prepare'
    LEFT JOIN stages AS faces ON faces.job_id = jobs.id AND faces.stage = 'face'
    LEFT JOIN stages AS smiled ON smiled.job_id = jobs.id AND smiled.stage = 'smile'
    LEFT JOIN stages AS segmented
        ON segmented.job_id = jobs.id AND segmented.stage = 'segmentation'
    WHERE jobs.batch_id = :id AND jobs.outcome IS NULL AND jobs.take IS NULL
""")

_STORE_RANKS = text("""
    UPDATE jobs
    SET album_rank = ranked.rank, album_terms = CAST(ranked.terms AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ranks AS integer[]), CAST(:terms AS text[]))
        AS ranked (id, rank, terms)
    WHERE jobs.id = ANY(:ids) AND jobs.id = ranked.id
""")

_STORE_SHOTS = text("""
    UPDATE jobs SET take = CAST(:take AS jsonb)
    WHERE batch_id = :id AND take IS NOT NULL AND outcome IS NULL
""")


class PhotoJobHooks:
    """The hooks of photo jobs."""

    def rank_album(self, connection: Connection, batch_id: BatchId) -> list[JobId]:
        """Rank the unfinished jobs of an album, store their ranks, and return them, best first."""
        rows = connection.execute(_RATING_RESULTS, {"id": batch_id}).all()
        photos = {
            str(row.id): albums.build_album_photo(
                JobId(row.id),
                {
                    StageName.PREPARE: row.prepared,
                    StageName.FACE: row.faces,
                    StageName.SMILE: row.smiled,
                    StageName.SEGMENTATION: row.segmented,
                },
            )
            for row in rows
        }
        album = albums.rank_album(list(photos.values()))
        ids = {str(row.id): JobId(row.id) for row in rows}
        ranked = [ids[photo.id] for photo in album.ranking]
        connection.execute(
            _STORE_RANKS,
            {
                "ids": ranked,
                "ranks": [photo.rank for photo in album.ranking],
                "terms": [json.dumps(terms) for terms in albums.describe_ranks(album, photos)],
            },
        )
        items = {JobId(row.id): row.item for row in rows}
        take = Take(tuple(TakeShot(job_id, items[job_id]) for job_id in ranked[:MAX_SHOTS]))
        connection.execute(_STORE_SHOTS, {"id": batch_id, "take": json.dumps(take.as_json())})
        return ranked

    def forget_job(self, connection: Connection, job_id: JobId) -> None:
        """Remove a job's training examples from every dataset: consent ends with the job."""
        examples.delete_for_job(connection, job_id)


class _QueueClient:
    """The transitions that clients make: jobs are submitted, canceled, redriven and deleted."""

    def __init__(self, hooks: JobHooks) -> None:
        self.submit = transitions.submit
        self.submit_batch = partial(transitions.submit_batch, hooks=hooks)
        self.cancel = partial(transitions.cancel, hooks=hooks)
        self.cancel_batch = partial(transitions.cancel_batch, hooks=hooks)
        self.redrive = transitions.redrive
        self.delete = partial(transitions.delete, hooks=hooks)
        self.begin_batch_deletion = transitions.begin_batch_deletion
        self.continue_batch_deletion = partial(transitions.continue_batch_deletion, hooks=hooks)
        self.list_stalled_deletions = transitions.list_stalled_deletions


class _QueueWorker:
    """The transitions of workers and the sweeper: stages are claimed, completed and given up."""

    def __init__(self, hooks: JobHooks) -> None:
        self.claim = transitions.claim
        self.renew = transitions.renew
        self.charge = transitions.charge
        self.complete = partial(transitions.complete, hooks=hooks)
        self.release = partial(transitions.release, hooks=hooks)
        self.retry = partial(transitions.retry, hooks=hooks)
        self.reroute = transitions.reroute
        self.fail = partial(transitions.fail, hooks=hooks)
        self.rerun = transitions.rerun
        self.expire = partial(transitions.expire, hooks=hooks)
        self.wake = transitions.wake
        self.fail_overdue = partial(transitions.fail_overdue, hooks=hooks)


CLIENT: Final = _QueueClient(PhotoJobHooks())
WORKER: Final = _QueueWorker(PhotoJobHooks())
