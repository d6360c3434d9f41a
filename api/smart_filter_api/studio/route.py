"""Serve the studio's page at `/`, and the files that it loads; at the operators' port, `/admin`."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.routing import Route

from smart_filter_api.http import documents
from smart_filter_api.http.documents import StaticFile
from smart_filter_api.http.request_checks import OperatorsRoute
from smart_filter_api.routes.live import LiveEndpoint
from smart_filter_api.studio import bundles
from smart_filter_api.studio.bundles import FOLDER
from smart_filter_shared.errors import NotFound

# These pages are for browsers, not for API clients.
router = APIRouter(include_in_schema=False)
operators_router = APIRouter(include_in_schema=False, route_class=OperatorsRoute)

# The page may load files of this service, show pictures that it created itself, and use the camera.
# Inline scripts except the import map, style attributes in HTML, forms and frames are blocked.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self' {import_map}",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' blob:",
    "media-src 'self' blob:",
    "connect-src 'self'{live}",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
_KEPT: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_PERMISSIONS: Final = "camera=(self), microphone=(), geolocation=()"
_STUDIO: Final = "index.html"
_ADMIN: Final = "admin.html"
# Replaced by preload links for the other scripts of a page, so that a browser need not discover
# them. The bundle of later screens gives way to the first screen and its data.
_PRELOAD_MARKER: Final = "<!-- modules -->"
_ENTRY_PATTERN: Final = re.compile(r'<script type="module" src="/studio/([^"]+)">')
_IMPORT_MAP_PATTERN: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@router.get("/")
async def show(request: Request) -> Response:
    """Return the studio's page."""
    return _page(request, load_files().studio)


@operators_router.get("/admin")
async def show_admin(request: Request) -> Response:
    """Return the admin page; the data that it shows needs a key with the scope `operator`."""
    return _page(request, load_files().admin)


def _page(request: Request, page: StaticFile) -> Response:
    live: LiveEndpoint | None = request.app.state.live
    policy = "; ".join(_CONTENT_SECURITY_POLICY).format(
        import_map=load_files().import_map_source, live="" if live is None else f" {live.origin}"
    )
    return documents.serve_file(
        request,
        page,
        {"Content-Security-Policy": policy, "Permissions-Policy": _PERMISSIONS},
    )


async def _load(request: Request) -> Response:
    """Return a script, a style or a font.  Raises NotFound."""
    studio, path = load_files(), request.path_params["path"]
    version, _, rest = path.partition("/")
    file = studio.by_path.get(path) or studio.by_path.get(rest)
    if file is None:
        raise NotFound(f"the studio has no file {path}")
    # The page of another release names its version, under which these contents must not be kept.
    return documents.serve_file(request, file, _KEPT if version == studio.version else {})


# Starlette's route: a page loads two hundred files, and FastAPI took most of the time of each.
FILES: Final = Route(FOLDER + "{path:path}", _load)


@dataclass(frozen=True, slots=True)
class StudioFiles:
    """The pages, the files that they load by path, and the CSP source of their import map."""

    version: str
    studio: StaticFile
    admin: StaticFile
    by_path: Mapping[str, StaticFile]
    import_map_source: str


@cache
def load_files() -> StudioFiles:
    """Return all files of the studio, read once per process."""
    folder = resources.files(__package__) / "page"
    contents = dict(sorted(_collect_files(folder, "")))
    version = hashlib.sha256(b"".join(contents.values())).hexdigest()[:16]
    joined = [_join_files(page, contents) for page in (_STUDIO, _ADMIN)]
    for files in joined:
        contents |= files
    addresses = (FOLDER.encode(), f"{FOLDER}{version}/".encode())
    prepared = {
        path: documents.prepare_file(path, content.replace(*addresses))
        for path, content in contents.items()
    }
    studio, admin = prepared.pop(_STUDIO), prepared.pop(_ADMIN)
    (source,) = {_import_map_source(page.content) for page in (studio, admin)}
    return StudioFiles(version, studio, admin, prepared, source)


def _join_files(page: str, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return a page that loads its bundles, and these."""
    text = contents[page].decode()
    (entry,) = _ENTRY_PATTERN.findall(text)
    (inline,) = _IMPORT_MAP_PATTERN.findall(contents[page])
    bare = json.loads(inline)["imports"]
    files = bundles.join_scripts(entry, contents, bare)
    links = [f'<link rel="modulepreload" href="{address}">' for address in bare.values()]
    if bundles.LATER in files:
        later = f'href="{FOLDER}{bundles.LATER}" fetchpriority="low"'
        links.append(f'<link rel="modulepreload" {later}>')
    styles = page.replace(".html", ".css")
    text, files[styles] = bundles.join_styles(text, styles, contents)
    files[page] = text.replace(_PRELOAD_MARKER, "\n".join(links)).encode()
    return files


def _collect_files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    files: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            files += _collect_files(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in documents.MEDIA_TYPES:
            files.append((prefix + entry.name, entry.read_bytes()))
    return files


def _import_map_source(page: bytes) -> str:
    """Return the hash source by which a Content-Security-Policy allows the import map.

    Source: CSP Level 3, 2.3.1 (hash-source). Import maps cannot be loaded from a file.
    """
    (inline,) = _IMPORT_MAP_PATTERN.findall(page)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'"
