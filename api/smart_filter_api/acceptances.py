"""How submissions are answered: at once, or at their job's end where that is preferred."""

from fastapi import Response, status

from smart_filter_api import shown, waiting
from smart_filter_api.deps import Services
from smart_filter_api.keys import Caller
from smart_filter_api.submission import Accepted
from smart_filter_shared.jobs.forecast import Forecast
from smart_filter_shared.jobs.queries import JobRow


def answer(row: JobRow, services: Services, forecast: Forecast | None = None) -> Response:
    """Return the answer to a submission: 202, or 200 when the job has ended by now.

    forecast: where it stands; None: as `shown` knows.
    """
    ended = row.finished_at is not None
    return Response(
        shown.content(row, services, forecast),
        status_code=status.HTTP_200_OK if ended else status.HTTP_202_ACCEPTED,
        media_type="application/json",
        headers={"Location": f"/v1/jobs/{row.id}"},
    )


async def preferred(
    services: Services,
    caller: Caller,
    taken: Accepted,
    *,
    remembered: Response | None,
    prefer: str | None,
) -> Response:
    """Return the answer to a submission, after its job's end where `Prefer` says so.

    remembered: what the same request is answered again; it never waits.
    Raises JobDeleted as soon as the job is deleted, DatabaseUnavailable.
    """
    seconds = waiting.preferred_seconds(prefer)
    if seconds is None:
        return remembered or answer(taken.job, services, taken.forecast)
    row = await waiting.until(services, caller.tenant, taken.job.id, seconds=seconds)
    await services.forecasts.refresh()
    told = answer(row, services)
    told.headers[waiting.APPLIED] = f"wait={seconds}"
    return told
