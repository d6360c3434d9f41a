"""The studio's page at `/`, and the files that it loads."""

from typing import Final

from fastapi import APIRouter, Request, Response

from smart_filter_api import tags
from smart_filter_api.live import Live
from smart_filter_api.studio import files
from smart_filter_api.studio.files import File
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
    """Answer the page."""
    held = files.load()
    live: Live | None = request.app.state.live
    policy = "; ".join(_POLICY).format(
        import_map=held.import_map_source, live="" if live is None else f" {live.origin}"
    )
    return _answer(
        request,
        held.page,
        {"Content-Security-Policy": policy, "Permissions-Policy": _PERMISSIONS},
    )


@router.get(files.FOLDER + "{path:path}")
async def load(request: Request, path: str) -> Response:
    """Answer a script, a style or a font.  Raises NotFound."""
    file = files.load().by_path.get(path)
    if file is None:
        raise NotFound(f"the studio has no {path}")
    return _answer(request, file, {})


def _answer(request: Request, file: File, headers: dict[str, str]) -> Response:
    if tags.is_known(file.tag, request.headers.get("If-None-Match")):
        # A page that is kept is shown under the policy of this answer, so it comes along.
        known = tags.not_modified(file.tag)
        known.headers.update(headers)
        return known
    told = {**tags.headers(file.tag), "Vary": "Accept-Encoding", **headers}
    accepted = request.headers.get("Accept-Encoding", "")
    if file.gzipped is not None and "gzip" in accepted:
        told["Content-Encoding"] = "gzip"
        return Response(file.gzipped, media_type=file.media_type, headers=told)
    return Response(file.content, media_type=file.media_type, headers=told)
