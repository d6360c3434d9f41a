"""What is asked of a server, before anything is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; sent again as it is, so that whatever it asks for is done once.

    path: below the server's URL, or a whole URL of somewhere else, where the key is not sent.
    json: a body in JSON.  fields, parts: a form, with files by name.  file: a body.
    patience: seconds that an answer may take beyond the usual, because the server waits.
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

    @property
    def is_for_server(self) -> bool:
        """Whether it goes to the server, not to an address that the server named."""
        return "://" not in self.path


def path(*parts: str) -> str:
    """Return a path of the interface's first version; parts cannot reach out of their place."""
    return "/".join(["v1", *(quote(part, safe="") for part in parts)])
