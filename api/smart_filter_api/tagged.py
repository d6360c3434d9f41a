"""Jobs that are polled: while nothing happens to one, its answer and its tag are made once."""

from collections import OrderedDict
from typing import Final

from smart_filter_api import answers, tags
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Keeping

_MOST: Final = 512


class Tagged:
    """Tags and answers of jobs; those of unfinished ones are kept, the last ones asked for.

    keeping: how long what is stored is kept.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._kept: OrderedDict[JobId, tuple[JobRow, str, JobAnswer]] = OrderedDict()

    def of(self, row: JobRow) -> tuple[str, JobAnswer]:
        """Return a job's tag, and its answer without a queue, which nobody may change.

        When it may end is another thing each second, and no news to whoever waits for news.
        """
        known = self._kept.pop(row.id, None)
        if known is None or known[0] is not row:
            answer = answers.job(row, self._keeping)
            named_by = answer.model_dump_json().encode()
            tag = tags.etag(named_by) if row.finished_at else tags.weak_etag(named_by)
            known = row, tag, answer
        if row.finished_at is None:
            self._kept[row.id] = known
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return known[1:]
