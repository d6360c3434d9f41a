"""Cache the answers and ETags of polled jobs while the jobs do not change."""

from typing import Final

from smart_filter_api.auth.output_links import LinkTerms
from smart_filter_api.http import etags
from smart_filter_api.presenters import job
from smart_filter_api.schemas.jobs import Job
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.lru_dict import LruDict

_MAX_ENTRIES: Final = 512


class JobCache:
    """ETags and answers of the unfinished jobs that were requested last.

    keeping, emotions: as in `render_job`.
    """

    def __init__(self, keeping: RetentionPolicy, *, emotions: bool) -> None:
        self._keeping = keeping
        self._emotions = emotions
        self._kept: LruDict[JobId, tuple[JobRow, str, Job]] = LruDict(_MAX_ENTRIES)

    def of(self, row: JobRow, links: LinkTerms | None) -> tuple[str, Job]:
        """Return a job's ETag, and its answer without a queue; the answer must not be changed.

        links: how its outputs' links are signed; only ended jobs, which are not cached, have any.
        The ETA changes every second, so it is not part of the ETag.
        """
        known = self._kept.get(row.id)
        if known is None or known[0] is not row:
            answer = job.render_job(row, self._keeping, links=links, emotions=self._emotions)
            named_by = answer.model_dump_json().encode()
            tag = etags.etag(named_by) if row.finished_at else etags.weak_etag(named_by)
            known = row, tag, answer
        if row.finished_at is None:
            self._kept.put(row.id, known)
        else:
            self._kept.drop(row.id)
        return known[1:]
