"""Answer with a JSON document."""

from fastapi import Response, status
from pydantic import BaseModel


def json_response(shown: BaseModel, code: int = status.HTTP_200_OK) -> Response:
    """Return a response with the model as JSON and this status code."""
    return Response(shown.model_dump_json(), status_code=code, media_type="application/json")
