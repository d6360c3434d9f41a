"""A request to a server, independent of httpx."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; retries send it unchanged, so that it is executed once.

    path: below the server's URL, or a complete URL of another server, which does not get the key.
    json: a body in JSON.  fields, parts: a form, with files by name.  file: a body.
    patience: additional seconds for the response, because the server waits.
    max_seconds: limit of the whole response, because the caller has no more time.
    """

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object | None = None
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)
    content: bytes | None = None
    file: Path | None = None
    patience: float = 0.0
    max_seconds: float = float("inf")

    @property
    def is_for_server(self) -> bool:
        """Whether the request goes to the server itself, not to a presigned address."""
        return "://" not in self.path


def path(*parts: str) -> str:
    """Return a path of API v1; each part is quoted, so it stays one path segment."""
    return "/".join(["v1", *(quote(part, safe="") for part in parts)])
