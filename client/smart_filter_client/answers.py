"""Reads the answers that say no: problem documents (RFC 9457) and what others send instead."""

import httpx

from smart_filter_client.errors import Error, FieldError, Refused, TryLater, UnexpectedAnswer
from smart_filter_client.fields import Fields

_LATER = frozenset(
    {
        httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.BAD_GATEWAY,
        httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.GATEWAY_TIMEOUT,
    }
)


def refusal(response: httpx.Response) -> Error:
    """Return the error for an answer that is no success; its body has been read."""
    problem = _problem(response)
    status = response.status_code
    if problem is None:
        if status in _LATER:  # a proxy's own words, while the server behind it is away
            return TryLater("unavailable", status=status, title=f"HTTP {status}")
        request = response.request
        return UnexpectedAnswer(
            f"{request.method} {request.url} answers {status} and not why:"
            " is it a Smart Filter server?"
        )
    kind = TryLater if status in _LATER else Refused
    return kind(
        problem.text("code"),
        status=status,
        title=problem.text_or_none("title") or "",
        detail=problem.text_or_none("detail") or "",
        errors=[
            FieldError(error.text_or_none("pointer") or "", error.text_or_none("detail") or "")
            for error in problem.objects_or_none("errors") or []
        ],
    )


def _problem(response: httpx.Response) -> Fields | None:
    try:
        problem = Fields(response.json(), "a problem document")
    except (ValueError, UnexpectedAnswer):
        return None
    return None if problem.text_or_none("code") is None else problem
