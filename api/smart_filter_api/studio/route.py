"""The studio's page at `/`, the admin page at `/admin`, and the files that they load."""

from typing import Final

from fastapi import APIRouter, Request, Response

from smart_filter_api import held
from smart_filter_api.held import File
from smart_filter_api.live import Live
from smart_filter_api.studio import files
from smart_filter_shared.errors import NotFound

# For browsers, not for programs.
router = APIRouter(include_in_schema=False)

# What the page may do: load what this service has, show pictures that it made itself, use the
# camera. No inline script but the import map, no style attribute in HTML, no form, no frame.
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self' {import_map}",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' blob:",
    "media-src 'self' blob:",
    "connect-src 'self'{live}",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
_PERMISSIONS: Final = "camera=(self), microphone=(), geolocation=()"


@router.get("/")
async def show(request: Request) -> Response:
    """Answer the studio's page."""
    return _page(request, files.load().studio)


@router.get("/admin")
async def show_admin(request: Request) -> Response:
    """Answer the page of whoever runs the service; what it shows is for its keys alone."""
    return _page(request, files.load().admin)


def _page(request: Request, page: File) -> Response:
    live: Live | None = request.app.state.live
    policy = "; ".join(_POLICY).format(
        import_map=files.load().import_map_source, live="" if live is None else f" {live.origin}"
    )
    return held.answer(
        request,
        page,
        {"Content-Security-Policy": policy, "Permissions-Policy": _PERMISSIONS},
    )


@router.get(files.FOLDER + "{path:path}")
async def load(request: Request, path: str) -> Response:
    """Answer a script, a style or a font.  Raises NotFound."""
    file = files.load().by_path.get(path)
    if file is None:
        raise NotFound(f"the studio has no {path}")
    return held.answer(request, file)
