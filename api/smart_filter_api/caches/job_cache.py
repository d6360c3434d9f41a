"""Cache the answers and ETags of polled jobs while the jobs do not change."""

import dataclasses
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from smart_filter_api.auth.output_links import LinkTerms
from smart_filter_api.http import documents, etags
from smart_filter_api.presenters import job
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_wire.jobs import Job

_MAX_ENTRIES: Final = 512


@dataclass(slots=True)
class _Rendered:
    """A job's answer without a queue, its tag, and its last content with a queue.

    eta: the estimate in `content`.
    """

    row: JobRow
    answer: Job
    tag: str
    eta: CompletionEstimate | None
    content: bytes


class JobCache:
    """ETags and answers of the unfinished jobs that were requested last.

    emotions: as in `render_job`.
    """

    def __init__(self, *, emotions: bool) -> None:
        self._emotions = emotions
        self._kept: LRUCache[JobId, _Rendered] = LRUCache(_MAX_ENTRIES)

    def tag(self, row: JobRow, links: LinkTerms | None) -> str:
        """Return a job's ETag; the estimate, which changes every second, is no part of it.

        links: how its outputs' links are signed; only ended jobs, which are not cached, have any.
        """
        return self._render(row, links).tag

    def content(
        self, row: JobRow, links: LinkTerms | None, eta: CompletionEstimate | None
    ) -> tuple[str, bytes]:
        """Return a job's ETag and its answer as JSON.

        links: as in `tag`.  eta: its estimate; None for an ended job.
        """
        rendered = self._render(row, links)
        if rendered.eta is not eta:
            queue = job.render_queue_position(eta)
            answer = dataclasses.replace(rendered.answer, queue=queue)
            rendered.eta, rendered.content = eta, documents.encode(answer)
        return rendered.tag, rendered.content

    def _render(self, row: JobRow, links: LinkTerms | None) -> _Rendered:
        rendered = self._kept.get(row.id)
        if rendered is None or rendered.row is not row:
            answer = job.render_job(row, links=links, emotions=self._emotions)
            content = documents.encode(answer)
            tag = etags.etag(content) if row.finished_at else etags.weak_etag(content)
            rendered = _Rendered(row, answer, tag, None, content)
        if row.finished_at is None:
            self._kept[row.id] = rendered
        else:
            self._kept.pop(row.id, None)
        return rendered
