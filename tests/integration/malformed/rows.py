"""Describe a malformed request, and write its body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smart_filter_tests.serving import a_photo

MALFORMED = (400, "malformed_request")
MEDIA = (415, "unsupported_media")
LARGE = (413, "photo_too_large")
INVALID = (422, "invalid_request")
RECIPE = (422, "invalid_recipe")
PHOTO_URL = (422, "invalid_photo_url")
WEBHOOK_URL = (422, "invalid_webhook_url")
CONTRADICTION = (422, "contradiction")

BOUNDARY = "cut"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"Content-Type": "application/json"}
END = f"--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Row:
    """A malformed request and its expected answer.

    operation: as the OpenAPI document has it; `{job_id}` and others stand for existing ids.
    pointers: the fields that `errors` names, in any order.  tells: part of the detail. path,
    method: where they differ from the operation's.  params: of the query, in order. headers: in
    addition to the key; an empty text leaves a header out.
    """

    name: str
    operation: str
    status: int
    code: str
    pointers: Sequence[str] = ()
    tells: str = ""
    path: str = ""
    method: str = ""
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def id(self) -> str:
        """The name of the row's test."""
        return f"{self.operation} {self.name}".replace("/v1/", "").replace(" ", "-")


def raw_row(
    operation: str,
    name: str,
    content: bytes,
    pointer: str = "",
    answer: tuple[int, str] = MALFORMED,
    *,
    tells: str = "",
    path: str = "",
    headers: Mapping[str, str] = JSON,
) -> Row:
    """Make a row whose body is sent unchanged."""
    pointers = (pointer,)
    return Row(name, operation, *answer, pointers, tells, path, headers=headers, content=content)


def compressed_row(operation: str, headers: Mapping[str, str], content: bytes = b"{}") -> Row:
    """Make a row whose body claims to be compressed."""
    coded = {**headers, "Content-Encoding": "gzip"}
    return raw_row(operation, "compressed", content, "/Content-Encoding", MEDIA, headers=coded)


def json_row(
    operation: str,
    name: str,
    body: object,
    *pointers: str,
    answer: tuple[int, str] = INVALID,
    tells: str = "",
    path: str = "",
) -> Row:
    """Make a row whose JSON document has faults at these pointers."""
    return Row(
        name,
        operation,
        *answer,
        pointers=pointers,
        tells=tells,
        path=path,
        headers=JSON,
        content=text(body),
    )


def parameter_rows(operation: str, name: str, *values: str, tells: str = "") -> Sequence[Row]:
    """Make a row for each wrong value of a parameter."""
    return [
        Row(
            f"{name} {ascii(value)[:40]}",
            operation,
            *MALFORMED,
            pointers=(f"/{name}",),
            tells=tells,
            params=((name, value),),
        )
        for value in values
    ]


def header_rows(
    operation: str, name: str, *values: str | bytes, content: bytes = b""
) -> Sequence[Row]:
    """Make a row for each wrong value of a header, each with the JSON document `content`."""
    return [
        Row(
            f"{name} {ascii(value)[:40]}",
            operation,
            *MALFORMED,
            pointers=(f"/{name}",),
            headers={**(JSON if content else {}), name: value},
            content=content or None,
        )
        for value in values
    ]


def part(name: str | bytes, content: str | bytes, *, filename: str | None = None) -> bytes:
    """Return a part of a form."""
    raw = name if isinstance(name, bytes) else name.encode()
    more = "" if filename is None else f'; filename="{filename}"'
    value = content if isinstance(content, bytes) else content.encode()
    return b"".join(
        (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data".encode(),
            b'; name="' + raw + b'"' + more.encode(),
            b"\r\n\r\n" + value + b"\r\n",
        )
    )


def photo(content: bytes | None = None, *, name: str = "photo") -> bytes:
    """Return the part that holds a picture."""
    return part(name, a_photo() if content is None else content, filename="a.jpg")


def fields(**values: str | Sequence[str]) -> bytes:
    """Return a whole form with a photo; `__` in names stands for a dot."""
    parts = [
        part(name.replace("__", "."), value)
        for name, given in values.items()
        for value in ([given] if isinstance(given, str) else given)
    ]
    return photo() + b"".join(parts) + END


def text(document: object) -> bytes:
    """Return a JSON document."""
    return json.dumps(document).encode()
