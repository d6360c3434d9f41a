"""What problems mean: a page for each, where the header `Link` of a problem leads."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from smart_filter_api import pages
from smart_filter_api.problem_pages import PAGES
from smart_filter_api.problems import PAGES_PATH, documented
from smart_filter_shared.errors import NotFound

router = APIRouter(prefix=PAGES_PATH, tags=["problems"])


@router.get(
    "/{code}",
    summary="Explain a problem",
    description="`code` is that of a problem document, or the end of its `type`. Needs no key.",
    response_class=HTMLResponse,
    responses={
        200: {"description": "the page", "content": {"text/html": {}}},
        **documented("not_found"),
    },
)
async def explain(code: str) -> HTMLResponse:
    """Answer the page of a code."""
    if code not in PAGES:
        raise NotFound(f"no problem is called {code}; the codes are {', '.join(sorted(PAGES))}")
    return HTMLResponse(pages.as_html(code))
