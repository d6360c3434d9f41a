"""Answer submissions: at once, or when the job has ended if `Prefer: wait` asks for it."""

from fastapi import Response, status

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.output_links import LinkTerms
from smart_filter_api.responses import job, long_poll
from smart_filter_api.responses.followed_job import FollowedJob
from smart_filter_api.services.container import Services
from smart_filter_api.services.loops.event_poller import JobWatch
from smart_filter_api.submission.commit import AcceptedJob
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.jobs.queries import JobRow


def respond(
    row: JobRow,
    services: Services,
    estimate: CompletionEstimate | None = None,
    *,
    links: LinkTerms | None = None,
) -> Response:
    """Return the answer to a submission.

    estimate: the estimate to show; None: as in `render_job_with_queue`.  links: as in `render_job`.
    """
    return Response(
        job.render_job_json(row, services, estimate, links=links),
        status_code=status.HTTP_202_ACCEPTED,
        media_type="application/json",
        headers={"Location": f"/v1/jobs/{row.id}"},
    )


async def respond_or_wait(
    services: Services,
    caller: Caller,
    accepted: AcceptedJob,
    *,
    remembered: Response | None,
    prefer: str | None,
    links: LinkTerms | None,
    watch: JobWatch | None = None,
) -> Response:
    """Return the answer to a submission; with `Prefer: wait`, wait for the job's end first.

    A client that asks to wait gets 200 when the job has ended, every other answer is 202.

    A caller that has too many waits is answered at once: a preference can be ignored.
    Source: RFC 7240, 2.
    remembered: the stored answer to the same request; returned when `Prefer` does not ask to wait.
    links: as in `render_job`.  watch: of the job, from before it was written; None: begin one.
    Raises JobDeleted as soon as the job is deleted, DatabaseUnavailable.
    """
    seconds = long_poll.preferred_seconds(prefer)
    if seconds is None or not services.limits.waits.has_room(caller):
        if remembered is not None and accepted.job.finished_at is None:
            return remembered
        return respond(accepted.job, services, accepted.estimate, links=links)
    row = accepted.job
    if row.finished_at is None:
        followed = FollowedJob(caller.tenant, row.id, links)
        with services.limits.waits.hold(caller):
            if watch is None:
                row = await long_poll.wait_for_end(services, followed, seconds=seconds)
            else:
                row = await long_poll.wait_from(
                    row, services, followed, watch, seconds=seconds, changed_from=None
                )
        await services.eta.refresh()
    answer = respond(row, services, links=links)
    if row.finished_at is not None:
        answer.status_code = status.HTTP_200_OK
    answer.headers[long_poll.APPLIED_HEADER] = f"wait={seconds}"
    return answer
