"""Jobs as this process shows them now: with where they stand in the queue."""

from smart_filter_api import answers, tags
from smart_filter_api.deps import Services
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_shared.jobs.forecast import Forecast
from smart_filter_shared.jobs.queries import JobRow


def job(row: JobRow, services: Services, forecast: Forecast | None = None) -> JobAnswer:
    """Return the answer about a job, by what was seen of the queues last.

    forecast: what is foreseen of it, where that is known.
    """
    return answers.job(row, services.keeping, forecast or services.forecasts.of_row(row))


def content(row: JobRow, services: Services, forecast: Forecast | None = None) -> bytes:
    """Return the same as JSON."""
    return job(row, services, forecast).model_dump_json().encode()


def named(row: JobRow, services: Services) -> tuple[str, JobAnswer]:
    """Return a job's tag, and its answer without a queue.

    When it may end is another thing each second, and no news to whoever waits for news.
    """
    answer = answers.job(row, services.keeping)
    named_by = answer.model_dump_json().encode()
    return tags.etag(named_by) if row.finished_at else tags.weak_etag(named_by), answer
