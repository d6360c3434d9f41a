"""Everything that a client raises.

Error
├── InvalidAddress      the URL or the key cannot be one
├── ServerUnreachable   nothing answers, or the connection broke
├── UnexpectedAnswer    something answers, but it is no Smart Filter server
├── NotFinishedInTime   the caller's patience ended before the jobs
├── NotGenuine          what came to a webhook was not signed with its secret
├── KeyLost             a key was issued, and the answer that showed it was lost
└── Refused             the server says no, and says why: `code` is stable
    ├── Unauthorized    401: no key, or none that is valid
    ├── Forbidden       403: the key's scopes do not allow it
    ├── NotFound        404: there is no such thing, or it is somebody else's
    ├── Conflict        409: it is not in a state for that, such as `job_final`
    ├── Gone            410: there was such a thing, such as `output_expired`
    ├── PhotoRefused    413, 415: too large, or no picture that is accepted
    ├── InvalidRequest  400, 422 and others: `errors` names every field that is wrong
    ├── TryLater        429, 502, 503, 504: the same request may succeed later
    └── ServerFailed    500: a defect of the server
"""

from collections.abc import Sequence
from dataclasses import dataclass


class Error(Exception):
    """Anything that a client raises."""


class InvalidAddress(Error):
    """The URL or the key cannot be one."""


class ServerUnreachable(Error):
    """Nothing answers under the URL, or the connection broke."""


class UnexpectedAnswer(Error):
    """Something answers that is no Smart Filter server."""


class NotFinishedInTime(Error):
    """The caller's patience ended before the jobs did; `job_ids` are those still under way."""

    def __init__(self, job_ids: Sequence[str], seconds: float) -> None:
        super().__init__(f"not finished within {seconds:g} s: {', '.join(job_ids)}")
        self.job_ids = tuple(job_ids)
        self.seconds = seconds


class NotGenuine(Error):
    """What came to a webhook was not signed with its secret, or not in these minutes."""


class KeyLost(Error):
    """A key was issued, but the answer that showed it was lost, and it is not shown again.

    Servers show it again unless they have no key to seal secrets with.  key_id: revoke it.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the answer that showed key {key_id} was lost: revoke it and ask for another"
        )
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a request that is wrong.

    pointer: JSON Pointer (RFC 6901) into what was sent, such as `/background`, or "".
    detail: what is wrong and what would be right, for a person.
    """

    pointer: str
    detail: str


class Refused(Error):
    """The server says no.

    status: of HTTP.  code: stable, such as `invalid_recipe`; the contract lists them.
    title: the same for every answer with this code.  detail: about this one, may be "".
    remedy: what to do, for a person; the same for every answer of a kind, may be "".
    errors: every field that is wrong, for codes about recipes and bodies.
    request_id: by which the server's operator finds the request in the log.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int,
        title: str = "",
        detail: str = "",
        errors: Sequence[FieldError] = (),
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
    """There is no key, or none that is valid."""


class Forbidden(Refused):
    """The key's scopes do not allow it."""


class NotFound(Refused):
    """There is no such thing; what is somebody else's is answered so too."""


class Conflict(Refused):
    """It is not in a state for that, such as `job_final` or `job_not_finished`."""


class Gone(Refused):
    """It was there and is not any more: `job_deleted`, `inputs_expired`, `output_expired`."""


class PhotoRefused(Refused):
    """The photo is too large, or no picture that is accepted."""


class InvalidRequest(Refused):
    """The request is wrong; `errors` names every field that is, with what would be right."""


class TryLater(Refused):
    """The server cannot now; the same request may succeed later.

    Raised when trying again did not help, or would take too long: `retry_after` is after how
    many seconds the server wants to be asked again, if it said so.
    """


class ServerFailed(Refused):
    """A defect of the server; its operator finds `request_id` in the log."""
