"""Serve the reference of the API at `/docs`: Swagger UI, which shows `/openapi.json`.

Swagger UI comes from the package fastapi-standalone-docs. Only its files are used.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from fastapi import APIRouter, Request, Response

from smart_filter_api.http import documents
from smart_filter_api.http.documents import StaticFile
from smart_filter_shared.errors import NotFound

# The page is for browsers, not for API clients.
router = APIRouter(include_in_schema=False)

_PAGE: Final = "index.html"
_OWN_FILES: Final = (_PAGE, "page.css", "page.js")
_SWAGGER_FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
# The page may load files of this service and send requests to it. Its styles have icons as data
# URLs, and pictures in answers are shown as blobs.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
async def show(request: Request) -> Response:
    """Return the page."""
    return documents.serve_file(
        request, _load()[_PAGE], {"Content-Security-Policy": _CONTENT_SECURITY_POLICY}
    )


@router.get("/docs/{name}")
async def load(request: Request, name: str) -> Response:
    """Return a script or a style of the page.  Raises NotFound."""
    file = _load().get(name)
    if file is None:
        raise NotFound(f"the reference has no file {name}")
    return documents.serve_file(request, file)


@cache
def _load() -> Mapping[str, StaticFile]:
    """Return all files by name, read and compressed once per process."""
    page = resources.files(__package__) / "page"
    swagger = resources.files("fastapi_standalone_docs") / "static" / "swagger"
    files = {
        **{name: page / name for name in _OWN_FILES},
        **{name: swagger / name for name in _SWAGGER_FILES},
    }
    return {name: documents.prepare_file(name, file.read_bytes()) for name, file in files.items()}
