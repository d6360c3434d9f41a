"""Render jobs with their current place in the queue."""

from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_api.services.container import Services
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.jobs.queries import JobRow


def render_job_with_queue(
    row: JobRow, services: Services, forecast: CompletionEstimate | None = None
) -> JobAnswer:
    """Return the answer for a job, with an estimate from the last snapshot of the queues.

    forecast: the estimate to use in place of that one.
    """
    return presenters_job.render_job(
        row, services.keeping, forecast or services.forecasts.estimate_row(row)
    )


def render_job_json(
    row: JobRow, services: Services, forecast: CompletionEstimate | None = None
) -> bytes:
    """Return the answer for a job as JSON; parameters as in `render_job_with_queue`."""
    return render_job_with_queue(row, services, forecast).model_dump_json().encode()
