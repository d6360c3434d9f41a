"""The files of the studio and of the admin page, held in memory as browsers get them.

There is no build step: what lies in `page/` is what is served. Everything together is less than
a megabyte, so it is read, named by its digest and compressed once.
"""

import base64
import hashlib
import json
import posixpath
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
_STUDIO: Final = "index.html"
_ADMIN: Final = "admin.html"
# Scripts that a page will import, so that a browser need not find them one by one.
_PRELOADED: Final = b"<!-- modules -->"
_ENTRY: Final = re.compile(rb'<script type="module" src="/studio/([^"]+)">')
_IMPORTED: Final = re.compile(rb'(?:\bfrom|^import) ?"([^"\s]+)"', re.MULTILINE)
_IMPORT_MAP: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Files:
    """The pages, what they load by path, and the CSP source that lets their import map in."""

    studio: File
    admin: File
    by_path: Mapping[str, File]
    import_map_source: str


@cache
def load() -> Files:
    """Return all of it; read once a process."""
    folder = resources.files(__package__) / "page"
    found = dict(sorted(_walk(folder, "")))
    studio, admin = found.pop(_STUDIO), found.pop(_ADMIN)
    (source,) = {_source_of_import_map(page) for page in (studio, admin)}
    return Files(
        studio=_page(_STUDIO, studio, found),
        admin=_page(_ADMIN, admin, found),
        by_path={path: _file(path, content) for path, content in found.items()},
        import_map_source=source,
    )


def _page(name: str, page: bytes, found: Mapping[str, bytes]) -> File:
    (entry,) = _ENTRY.findall(page)
    (inline,) = _IMPORT_MAP.findall(page)
    bare = json.loads(inline)["imports"]
    needed: set[str] = set()
    left = [entry.decode()]
    while left:
        path = left.pop()
        if path not in needed:
            needed.add(path)
            named = (one.decode() for one in _IMPORTED.findall(found[path]))
            left += [_resolved(one, path, bare) for one in named]
    preloaded = (f'<link rel="modulepreload" href="{FOLDER}{path}">' for path in sorted(needed))
    return _file(name, page.replace(_PRELOADED, "\n".join(preloaded).encode()))


def _resolved(named: str, importer: str, bare: Mapping[str, str]) -> str:
    """Return the path of a module as another one names it."""
    if named in bare:
        return bare[named].removeprefix(FOLDER)
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), named))


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
