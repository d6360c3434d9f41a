"""Jobs as this process shows them now: with where they stand in the queue."""

from smart_filter_api import answers
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
