"""Serve the studio's page at `/`, and the files that it loads; at the operators' port, `/admin`."""

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.routing import Route

from smart_filter_api.http import static_content
from smart_filter_api.http.request_checks import OperatorsRoute
from smart_filter_api.http.static_content import StaticFile
from smart_filter_api.routes.live import LiveEndpoint
from smart_filter_api.studio import files
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


@router.get("/")
async def show(request: Request) -> Response:
    """Return the studio's page."""
    return _page(request, files.load().studio)


@operators_router.get("/admin")
async def show_admin(request: Request) -> Response:
    """Return the admin page; the data that it shows needs a key with the scope `operator`."""
    return _page(request, files.load().admin)


def _page(request: Request, page: StaticFile) -> Response:
    live: LiveEndpoint | None = request.app.state.live
    policy = "; ".join(_CONTENT_SECURITY_POLICY).format(
        import_map=files.load().import_map_source, live="" if live is None else f" {live.origin}"
    )
    return static_content.serve_file(
        request,
        page,
        {"Content-Security-Policy": policy, "Permissions-Policy": _PERMISSIONS},
    )


async def _load(request: Request) -> Response:
    """Return a script, a style or a font.  Raises NotFound."""
    studio, path = files.load(), request.path_params["path"]
    version, _, rest = path.partition("/")
    file = studio.by_path.get(path) or studio.by_path.get(rest)
    if file is None:
        raise NotFound(f"the studio has no file {path}")
    # The page of another release names its version, under which these contents must not be kept.
    return static_content.serve_file(request, file, _KEPT if version == studio.version else {})


# Starlette's route: a page loads two hundred files, and FastAPI took most of the time of each.
FILES: Final = Route(files.FOLDER + "{path:path}", _load)
