"""Endpoint for the OpenAPI document."""

from fastapi import APIRouter, Request, Response

from smart_filter_api.http import static_content

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def describe(request: Request) -> Response:
    """Return the OpenAPI document, which does not change while the process runs."""
    return static_content.serve_file(request, request.app.state.description())
