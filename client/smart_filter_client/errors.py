"""Everything that a client raises.

Error
├── InvalidAddress      the URL or the key cannot be one
├── ServerUnreachable   nothing answers, or the connection broke
├── UnexpectedAnswer    something answers, but it is no Smart Filter server
├── NotFinishedInTime   the caller's patience ended before the jobs
└── Refused             the server says no, and says why: `code` is stable
    └── TryLater        … for now: too many requests, or a part of it is away
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


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a request that is wrong.

    pointer: JSON Pointer (RFC 6901) into the recipe, such as `/background`, or "".
    detail: what is wrong and what would be right, for a person.
    """

    pointer: str
    detail: str


class Refused(Error):
    """The server says no.

    status: of HTTP.  code: stable, such as `invalid_recipe`; the contract lists them.
    title: the same for every answer with this code.  detail: about this one, may be "".
    errors: every field that is wrong, for codes about recipes.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int,
        title: str = "",
        detail: str = "",
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail or title or f"{code} ({status})")
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)


class TryLater(Refused):
    """The server cannot now; the same request may succeed later."""
