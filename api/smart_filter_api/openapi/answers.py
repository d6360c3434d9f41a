"""What every answer has, told once for all operations: headers, the defect, plain descriptions."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from smart_filter_api import problems

# FastAPI's, for whatever a route says nothing of.
_NOTHING_SAID: Final = "Successful Response"
_PLAINLY: Mapping[str, str] = {
    "200": "what was asked for",
    "201": "it is made",
    "202": "it is accepted, and goes on by itself",
    "204": "it is done; there is nothing to show",
}
_COME_AGAIN = {str(int(HTTPStatus.TOO_MANY_REQUESTS)), str(int(HTTPStatus.SERVICE_UNAVAILABLE))}

HEADERS: Mapping[str, Any] = {
    "X-Request-Id": {
        "description": "names the request in the service's log",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "Link": {
        "description": "`rel=help`: the page about this kind of problem",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "after how many seconds to send it again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}


def add(document: dict[str, Any], operations: Iterable[dict[str, Any]]) -> None:
    """Write into every operation what its answers share with all others."""
    document["components"]["headers"] = dict(HEADERS)
    for operation in operations:
        answers = operation["responses"]
        for status, answer in problems.documented("internal").items():
            answers.setdefault(str(status), answer)
        for status, answer in answers.items():
            if answer["description"] == _NOTHING_SAID:
                answer["description"] = _PLAINLY[status]
            names = ["X-Request-Id"]
            if problems.MEDIA_TYPE in answer.get("content", {}):
                names.append("Link")
            if status in _COME_AGAIN:
                names.append("Retry-After")
            told = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            answer["headers"] = {**told, **answer.get("headers", {})}
