"""The API's own description, for programs."""

from fastapi import APIRouter, Request, Response

from smart_filter_api import held

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def describe(request: Request) -> Response:
    """Answer the OpenAPI document, which says the same as long as this process lives."""
    return held.answer(request, request.app.state.description())
