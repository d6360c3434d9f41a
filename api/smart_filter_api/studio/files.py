"""The studio's files, held in memory as browsers get them.

There is no build step: what lies in `page/` is what is served. Everything together is less than
a megabyte, so it is read, named by its digest and compressed once.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from smart_filter_api import held
from smart_filter_api.held import File

# Where scripts, styles and fonts lie; the page itself is at `/`.
FOLDER: Final = "/studio/"
_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
    "woff2": "font/woff2",
}
_COMPRESSED_ALREADY: Final = frozenset({"font/woff2"})
_PAGE: Final = "index.html"
# Scripts of the page's own, so that a browser need not find them import by import.
_PRELOADED: Final = "<!-- modules -->"
_IMPORT_MAP: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Files:
    """The page, what it loads by path, and the CSP source that lets its import map in."""

    page: File
    by_path: Mapping[str, File]
    import_map_source: str


@cache
def load() -> Files:
    """Return all of it; read once a process."""
    folder = resources.files(__package__) / "page"
    found = dict(sorted(_walk(folder, "")))
    modules = "\n".join(
        f'<link rel="modulepreload" href="{FOLDER}{path}">'
        for path in found
        if path.endswith(".js")
    )
    page = found.pop(_PAGE).replace(_PRELOADED.encode(), modules.encode())
    return Files(
        page=_file(_PAGE, page),
        by_path={path: _file(path, content) for path, content in found.items()},
        import_map_source=_source_of_import_map(page),
    )


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _file(path: str, content: bytes) -> File:
    media_type = _TYPES[path.rpartition(".")[2]]
    return held.file(content, media_type, is_compressed=media_type in _COMPRESSED_ALREADY)


def _source_of_import_map(page: bytes) -> str:
    """Return the hash that Content-Security-Policy names an inline script by.

    Source: CSP Level 3, 2.3.1 (hash-source). Import maps cannot be loaded from a file.
    """
    (inline,) = _IMPORT_MAP.findall(page)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'"
