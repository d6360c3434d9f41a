"""Endpoint for the pages of problems, to which the header `Link` of a problem leads."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from smart_filter_api.problems import problem
from smart_filter_api.problems.catalog import PAGES
from smart_filter_api.problems.problem import PAGES_PATH, describe_responses
from smart_filter_shared.errors import NotFound

router = APIRouter(prefix=PAGES_PATH, tags=["problems"])


@router.get(
    "/{code}",
    summary="Explain a problem",
    description="`code` is the `code` of a problem document. Needs no key.",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The page", "content": {"text/html": {}}},
        **describe_responses("not_found", needs_key=False),
    },
)
async def explain_problem(code: str) -> HTMLResponse:
    """Return the page of a problem code."""
    if code not in PAGES:
        raise NotFound(f"no problem has the code {code}; the codes are {', '.join(sorted(PAGES))}")
    return HTMLResponse(problem.render_html(code))
