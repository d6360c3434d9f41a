"""Add the parts that all responses share: headers, the 500 problem, default descriptions."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from smart_filter_api.problems import problem

# FastAPI's description for responses that a route does not describe.
_DEFAULT_DESCRIPTION: Final = "Successful Response"
_DESCRIPTIONS: Mapping[str, str] = {
    "200": "Success",
    "201": "Created",
    "202": "Accepted; processing continues in the background",
    "204": "Done; the response has no body",
}
_BINARY_TYPES = ("image/", "application/zip")
_RETRYABLE_STATUSES = {
    str(int(HTTPStatus.TOO_MANY_REQUESTS)),
    str(int(HTTPStatus.SERVICE_UNAVAILABLE)),
}

HEADERS: Mapping[str, Any] = {
    "X-Request-Id": {
        "description": "Id of the request, also in the server's log",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "Link": {
        "description": "`rel=help`: the page about this type of problem",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the request is sent again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}


def add_shared_responses(document: dict[str, Any], operations: Iterable[dict[str, Any]]) -> None:
    """Add to all responses what they share: headers, descriptions, the 500, the type of files."""
    document["components"]["headers"] = dict(HEADERS)
    for operation in operations:
        answers = operation["responses"]
        for status, answer in problem.describe_responses("internal", needs_key=False).items():
            answers.setdefault(str(status), answer)
        for status, answer in answers.items():
            if answer["description"] == _DEFAULT_DESCRIPTION:
                answer["description"] = _DESCRIPTIONS[status]
            names = ["X-Request-Id"]
            if problem.MEDIA_TYPE in answer.get("content", {}):
                names.append("Link")
            if status in _RETRYABLE_STATUSES:
                names.append("Retry-After")
            for media_type, content in answer.get("content", {}).items():
                if media_type.startswith(_BINARY_TYPES):
                    content.setdefault("schema", {"type": "string", "format": "binary"})
            shared = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            answer["headers"] = {**shared, **answer.get("headers", {})}
