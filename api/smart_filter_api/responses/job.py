"""Render jobs with their current place in the queue and signed links to their outputs."""

from smart_filter_api.auth.output_links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.services.container import Services
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_wire.jobs import Job


def render_job_with_queue(
    row: JobRow,
    services: Services,
    estimate: CompletionEstimate | None = None,
    *,
    links: LinkTerms | None,
) -> Job:
    """Return the answer for a job, with an estimate from the last snapshot of the queues.

    estimate: the estimate to use in place of that one.  links: as in `render_job`.
    """
    return presenters_job.render_job(
        row,
        estimate or services.eta.estimate_row(row),
        links=links,
        emotions=services.settings.engine.emotions,
    )


def render_job_json(
    row: JobRow,
    services: Services,
    estimate: CompletionEstimate | None = None,
    *,
    links: LinkTerms | None,
) -> bytes:
    """Return the answer for a job as JSON; parameters as in `render_job_with_queue`."""
    return documents.encode(render_job_with_queue(row, services, estimate, links=links))
