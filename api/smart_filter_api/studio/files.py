"""Load the files of the studio and the admin page into memory, ready to serve.

There is no build step: the files in `page/` are served as they are. They have less than a megabyte
in total, so each is read, hashed and compressed once.
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

from smart_filter_api.http import static_content
from smart_filter_api.http.static_content import StaticFile

# URL path of scripts, styles and fonts; the page itself is at `/`.
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
_PRECOMPRESSED_TYPES: Final = frozenset({"font/woff2"})
_STUDIO: Final = "index.html"
_ADMIN: Final = "admin.html"
# Replaced by preload links for all scripts of a page, so that a browser need not discover them one
# by one.
_PRELOAD_MARKER: Final = b"<!-- modules -->"
_ENTRY_PATTERN: Final = re.compile(rb'<script type="module" src="/studio/([^"]+)">')
_IMPORT_PATTERN: Final = re.compile(rb'(?:\bfrom|^import) ?"([^"\s]+)"', re.MULTILINE)
_IMPORT_MAP_PATTERN: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class StudioFiles:
    """The pages, the files that they load by path, and the CSP source of their import map."""

    studio: StaticFile
    admin: StaticFile
    by_path: Mapping[str, StaticFile]
    import_map_source: str


@cache
def load() -> StudioFiles:
    """Return all files of the studio, read once per process."""
    folder = resources.files(__package__) / "page"
    contents = dict(sorted(_collect_files(folder, "")))
    studio, admin = contents.pop(_STUDIO), contents.pop(_ADMIN)
    (source,) = {_import_map_source(page) for page in (studio, admin)}
    return StudioFiles(
        studio=_prepare_page(_STUDIO, studio, contents),
        admin=_prepare_page(_ADMIN, admin, contents),
        by_path={path: _prepare(path, content) for path, content in contents.items()},
        import_map_source=source,
    )


def _prepare_page(name: str, page: bytes, contents: Mapping[str, bytes]) -> StaticFile:
    (entry,) = _ENTRY_PATTERN.findall(page)
    (inline,) = _IMPORT_MAP_PATTERN.findall(page)
    bare = json.loads(inline)["imports"]
    needed: set[str] = set()
    left = [entry.decode()]
    while left:
        path = left.pop()
        if path not in needed:
            needed.add(path)
            imports = (imported.decode() for imported in _IMPORT_PATTERN.findall(contents[path]))
            left += [_resolve_import(imported, path, bare) for imported in imports]
    preloaded = (f'<link rel="modulepreload" href="{FOLDER}{path}">' for path in sorted(needed))
    return _prepare(name, page.replace(_PRELOAD_MARKER, "\n".join(preloaded).encode()))


def _resolve_import(imported: str, importer: str, bare: Mapping[str, str]) -> str:
    """Return the path of a module that another module imports."""
    if imported in bare:
        return bare[imported].removeprefix(FOLDER)
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), imported))


def _collect_files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    files: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            files += _collect_files(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            files.append((prefix + entry.name, entry.read_bytes()))
    return files


def _prepare(path: str, content: bytes) -> StaticFile:
    media_type = _TYPES[path.rpartition(".")[2]]
    return static_content.prepare_file(
        content, media_type, is_compressed=media_type in _PRECOMPRESSED_TYPES
    )


def _import_map_source(page: bytes) -> str:
    """Return the hash source by which a Content-Security-Policy allows the import map.

    Source: CSP Level 3, 2.3.1 (hash-source). Import maps cannot be loaded from a file.
    """
    (inline,) = _IMPORT_MAP_PATTERN.findall(page)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'"
