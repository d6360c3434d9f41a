"""Answer submissions: at once, or when the job has ended if `Prefer: wait` asks for it.

With `Accept: image/*` as well, the answer is the picture, so that one request does everything.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response, status

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.problems import problem
from smart_filter_api.responses import long_poll
from smart_filter_api.responses import output as responses_output
from smart_filter_api.responses.long_poll import FollowedJob
from smart_filter_api.services.container import Services
from smart_filter_api.services.loops import JobWatch
from smart_filter_api.submission import commit
from smart_filter_api.submission.commit import AcceptedJob
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    NoPicture,
    NotFound,
    OutputExpired,
    RateLimited,
    ServiceFull,
    TryAgain,
)
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.recipe import Output
from smart_filter_wire.jobs import Job


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """A submission that is answered with the picture of its job.

    until_sent: closed when the answer was sent.
    """

    request: Request
    until_sent: ExitStack

    async def respond(
        self, services: Services, caller: Caller, row: JobRow, *, download: str | None
    ) -> Response | None:
        """Return the picture of a job that has ended, or the problem that it has none.

        Counts as a download until the answer was sent.  download: as in `serve_output`.
        Returns None when the picture cannot be sent now: another request must not make another job.
        """
        try:
            output = responses_output.find_output(services, row, Output.IMAGE)
            self.until_sent.enter_context(
                services.limits.waits.hold_download(caller.tenant, caller)
            )
            answer = await responses_output.serve_output(
                services, self.request, output, download=download
            )
        except (RateLimited, ServiceFull, TryAgain):
            return None
        except (NotFound, OutputExpired) as error:
            reason = str(error)
            if row.error is not None:
                reason = f"job {row.id} has failed: {row.error['detail']}"
            answer = problem.respond_to_error(self.request, NoPicture(reason))
        answer.headers["Location"] = commit.path_of(row)
        return answer


def read_accept(request: Request, until_sent: ExitStack) -> PictureRequest | None:
    """Return the request for a picture of a client that accepts nothing else; None of another.

    until_sent: as in `PictureRequest`.
    """
    ranges = request.headers.get("accept", "").lower().split(",")
    accepted = [
        stripped for media_range in ranges if not _REFUSED.search(stripped := media_range.strip())
    ]
    if not accepted or not all(media_range.startswith("image/") for media_range in accepted):
        return None
    return PictureRequest(request, until_sent)


async def _yield_accept(request: Request) -> AsyncIterator[PictureRequest | None]:
    with ExitStack() as until_sent:
        yield read_accept(request, until_sent)


# An element of `Accept` that is empty, or has the weight 0.
_REFUSED: Final = re.compile(r"^$|;\s*q=0(\.0*)?\s*(;|$)")

# OpenAPI's description of the answer to a submission that waits. A second media type would make
# the job a union in generated clients.
WAITED: Final[dict[int | str, dict[str, Any]]] = {
    status.HTTP_200_OK: {
        "model": Job,
        "description": "Ended within `Prefer: wait`; the picture if `Accept` names only pictures",
    },
}
# Source: RFC 9110, 12.5.1.
PictureWanted = Annotated[PictureRequest | None, Depends(_yield_accept)]


async def respond_or_wait(
    services: Services,
    request: Request,
    caller: Caller,
    accepted: AcceptedJob,
    *,
    remembered: Response | None,
    prefer: str | None,
    links: LinkTerms | None,
    picture: PictureRequest | None,
    watch: JobWatch | None = None,
) -> Response:
    """Return the answer to a submission; with `Prefer: wait`, wait for the job's end first.

    A client that asks to wait gets 200 when the job has ended, every other answer is 202. One that
    accepts only pictures gets the picture with 200, the problem `no_picture`, or 202 with the job
    if the picture cannot be sent now.

    A caller that has too many waits is answered at once: a preference can be ignored.
    Source: RFC 7240, 2.
    remembered: the stored answer to the same request; returned when `Prefer` does not ask to wait.
    links: as in `render_job`.  watch: of the job, from before it was written; None: begin one.
    Raises JobDeleted as soon as the job is deleted, ClientDisconnect.
    """
    seconds = long_poll.preferred_seconds(prefer)
    if seconds is None or not services.limits.waits.has_room(caller):
        if remembered is not None and accepted.job.finished_at is None:
            return remembered
        return commit.accepted_response(accepted.job, services, accepted.estimate, links=links)
    row = accepted.job
    if row.finished_at is None:
        followed = FollowedJob(caller.tenant, row.id, links)
        # The job is accepted: without its id a client would make another one.
        with services.limits.waits.hold(caller), contextlib.suppress(DatabaseUnavailable):
            if watch is None:
                row = await long_poll.wait_for_end(services, request, followed, seconds=seconds)
            else:
                row = await long_poll.wait_from(
                    row, services, request, followed, watch, seconds=seconds, changed_from=None
                )
            await services.eta.refresh()
    answer = None
    if picture is not None and row.finished_at is not None:
        download = None if links is None else links.download
        answer = await picture.respond(services, caller, row, download=download)
    if answer is None:
        answer = commit.accepted_response(row, services, links=links)
        if row.finished_at is not None and picture is None:
            answer.status_code = status.HTTP_200_OK
    answer.headers[long_poll.APPLIED_HEADER] = f"wait={seconds}"
    return answer
