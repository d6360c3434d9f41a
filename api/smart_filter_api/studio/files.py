"""Load the files of the studio and the admin page into memory, ready to serve.

There is no build step: the files in `page/` are served as they are, but for the version that their
addresses get. They have less than a megabyte in total, so each is read, hashed and compressed once.
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

# URL path of scripts, styles and fonts, followed by a version; the page itself is at `/`.
FOLDER: Final = "/studio/"
_STUDIO: Final = "index.html"
_ADMIN: Final = "admin.html"
# Replaced by preload links for all scripts of a page, so that a browser need not discover them one
# by one. Those that the page imports only later give way to the first screen and its data.
_PRELOAD_MARKER: Final = b"<!-- modules -->"
_ENTRY_PATTERN: Final = re.compile(rb'<script type="module" src="/studio/([^"]+)">')
_IMPORT_PATTERN: Final = re.compile(rb'(?:\bfrom|^import) ?"([^"\s]+)"', re.MULTILINE)
_LATER_PATTERN: Final = re.compile(rb'\bimport\("([^"\s]+)"\)')
_IMPORT_MAP_PATTERN: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class StudioFiles:
    """The pages, the files that they load by path, and the CSP source of their import map."""

    version: str
    studio: StaticFile
    admin: StaticFile
    by_path: Mapping[str, StaticFile]
    import_map_source: str


@cache
def load() -> StudioFiles:
    """Return all files of the studio, read once per process."""
    folder = resources.files(__package__) / "page"
    contents = dict(sorted(_collect_files(folder, "")))
    version = hashlib.sha256(b"".join(contents.values())).hexdigest()[:16]
    for page in (_STUDIO, _ADMIN):
        contents[page] = _preload_modules(contents[page], contents)
    addresses = (FOLDER.encode(), f"{FOLDER}{version}/".encode())
    prepared = {
        path: static_content.prepare_file(path, content.replace(*addresses))
        for path, content in contents.items()
    }
    studio, admin = prepared.pop(_STUDIO), prepared.pop(_ADMIN)
    (source,) = {_import_map_source(page.content) for page in (studio, admin)}
    return StudioFiles(version, studio, admin, prepared, source)


def _preload_modules(page: bytes, contents: Mapping[str, bytes]) -> bytes:
    (entry,) = _ENTRY_PATTERN.findall(page)
    (inline,) = _IMPORT_MAP_PATTERN.findall(page)
    bare = json.loads(inline)["imports"]
    links: dict[str, str] = {}
    left, later, priority = [entry.decode()], list[str](), ""
    while left:
        path = left.pop()
        if path not in links:
            links[path] = f'<link rel="modulepreload"{priority} href="{FOLDER}{path}">'
            left += [_resolve(name, path, bare) for name in _IMPORT_PATTERN.findall(contents[path])]
            later += [_resolve(name, path, bare) for name in _LATER_PATTERN.findall(contents[path])]
        if not left:
            left, later, priority = later, [], ' fetchpriority="low"'
    return page.replace(_PRELOAD_MARKER, "\n".join(links.values()).encode())


def _resolve(name: bytes, importer: str, bare: Mapping[str, str]) -> str:
    """Return the path of a module that another module imports."""
    joined = posixpath.join(posixpath.dirname(importer), bare.get(name.decode(), name.decode()))
    return posixpath.normpath(joined).removeprefix(FOLDER)


def _collect_files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    files: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            files += _collect_files(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in static_content.MEDIA_TYPES:
            files.append((prefix + entry.name, entry.read_bytes()))
    return files


def _import_map_source(page: bytes) -> str:
    """Return the hash source by which a Content-Security-Policy allows the import map.

    Source: CSP Level 3, 2.3.1 (hash-source). Import maps cannot be loaded from a file.
    """
    (inline,) = _IMPORT_MAP_PATTERN.findall(page)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'"
