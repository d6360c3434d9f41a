"""Problem documents (RFC 9457)."""

from dataclasses import dataclass, field

from smart_filter_wire.formats import described


@dataclass(frozen=True, slots=True)
class ProblemError:
    """One invalid field: its JSON Pointer and what is expected."""

    detail: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457)."""

    type: str = field(metadata=described("URI of the problem type; ends with `code`"))
    title: str = field(metadata=described("Short name of the problem type"))
    status: int
    detail: str
    instance: str = field(metadata=described("Id of this request, also in X-Request-Id"))
    code: str
    remedy: str = field(metadata=described("What to do about problems of this type"))
    errors: tuple[ProblemError, ...] | None = field(
        default=None, metadata=described("Every invalid field")
    )
