"""All errors of the client.

Error
├── InvalidAddress      the URL or the key is malformed
├── InvalidRecipe       the recipe has a field that cannot be one of a recipe
├── ServerUnreachable   no response, or the connection broke
├── UnexpectedAnswer    a response, but not from a Smart Filter server
├── NotFinishedInTime   the timeout passed before the jobs ended
├── NoOutput            a job does not have the output, or not in memory
├── NotGenuine          a webhook request without a valid signature
├── KeyLost             a key was issued, and the response that showed it was lost
└── Refused             the server refuses, with the reason: `code` is stable
    ├── Unauthorized    401: no key, or an invalid one
    ├── Forbidden       403: the key's scopes do not allow it
    ├── NotFound        404: it does not exist, or belongs to another tenant
    ├── Conflict        409: its state does not allow it, such as `job_final`
    ├── Gone            410: it existed before, such as `output_expired`
    ├── PhotoRefused    413, 415: too large, or no accepted picture
    ├── InvalidRequest  400, 422 and others: `errors` names every wrong field
    ├── TryLater        429, 502, 503, 504: the same request can succeed later
    └── ServerFailed    500: a defect of the server
"""

from collections.abc import Sequence

from smart_filter_wire.formats import ProblemError


class Error(Exception):
    """Base class of all errors of the client."""


class InvalidAddress(Error):
    """The URL or the key is malformed."""


class InvalidRecipe(Error):
    """The recipe has a field that cannot be one of a recipe; nothing was sent."""


class ServerUnreachable(Error):
    """The URL does not respond, or the connection broke."""


class UnexpectedAnswer(Error):
    """The response is not one of a Smart Filter server."""


class NoOutput(Error):
    """A job does not have the output, or not in memory."""


class NotFinishedInTime(Error):
    """The timeout passed before the jobs ended; `job_ids` are the unfinished ones."""

    def __init__(self, job_ids: Sequence[str], seconds: float) -> None:
        super().__init__(f"not finished within {seconds:g} s: {', '.join(job_ids)}")
        self.job_ids = tuple(job_ids)
        self.seconds = seconds


class NotGenuine(Error):
    """A webhook request was not signed with the secret, or not within the tolerance."""


class KeyLost(Error):
    """A key was issued, but the response that showed it was lost, and it is not shown again.

    Servers show it again if they have a key to encrypt secrets.  key_id: the key to revoke.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the response that showed key {key_id} was lost: revoke it and issue another"
        )
        self.key_id = key_id


class Refused(Error):
    """The server refuses a request.

    status: HTTP status.  code: stable, such as `invalid_recipe`; the contract lists them.
    title: the same for every response with this code.  detail: about this response, can be "".
    remedy: what to do, for people; the same for every response of a kind, can be "".
    errors: every wrong field, for codes about recipes and bodies.
    request_id: identifies the request in the server's log.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int,
        title: str = "",
        detail: str = "",
        errors: Sequence[ProblemError] = (),
        retry_after: float | None = None,
        request_id: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(detail or title or f"{code} ({status})")
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.request_id = request_id
        self.remedy = remedy


class Unauthorized(Refused):
    """The key is missing or invalid."""


class Forbidden(Refused):
    """The key's scopes do not allow it."""


class NotFound(Refused):
    """It does not exist, or belongs to another tenant."""


class Conflict(Refused):
    """Its state does not allow the request, such as `job_final` or `job_not_finished`."""


class Gone(Refused):
    """It no longer exists: `job_deleted`, `inputs_expired`, `output_expired`."""


class PhotoRefused(Refused):
    """The photo is too large, or no accepted picture."""


class InvalidRequest(Refused):
    """The request is wrong; `errors` names every wrong field, with what is allowed."""


class TryLater(Refused):
    """The server is temporarily unable; the same request can succeed later.

    Raised when retries did not help, or would take too long.  `retry_after` has the seconds of the
    server's Retry-After, if it sent one.
    """


class ServerFailed(Refused):
    """The server has a defect; its log has `request_id`."""
