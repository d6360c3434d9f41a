"""Which claim it is that begins a job: one alone tells so."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName

_ALONE = text("""
    SELECT pg_advisory_xact_lock(hashtextextended('begins ' || id, 0))
    FROM (SELECT id FROM unnest(CAST(:ids AS uuid[])) AS job (id) ORDER BY id) AS job
""")
_BEGUN = text("""
    SELECT DISTINCT job_id FROM open_stages JOIN unnest(
        CAST(:ids AS uuid[]), CAST(:stages AS text[])
    ) AS own (job_id, claimed) USING (job_id)
    WHERE job_id = ANY(:ids) AND stage <> own.claimed AND started_at IS NOT NULL
""")


def of_one_alone(connection: Connection, perhaps: Mapping[JobId, StageName]) -> list[JobId]:
    """Return those of the jobs that begin with the stages that were just claimed.

    While `prepare` is to be done nothing else can be claimed. But a job that has it from another
    may be ready for two claims at the same moment: of these the second waits until the first has
    committed, and sees it. Nobody who holds a job waits for claims, so that these are never met
    head-on.
    """
    first = {job_id: stage for job_id, stage in perhaps.items() if stage != StageName.PREPARE}
    if not first:
        return list(perhaps)
    ids = list(first)
    connection.execute(_ALONE, {"ids": ids})
    # A statement of its own: its snapshot is taken after the wait.
    others = connection.execute(
        _BEGUN, {"ids": ids, "stages": [str(one) for one in first.values()]}
    )
    begun = {row.job_id for row in others}
    return [job_id for job_id in perhaps if job_id not in begun]
