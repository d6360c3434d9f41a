"""Answer with a JSON document."""

from fastapi import Response, status
from pydantic import BaseModel

from smart_filter_api.http import etags


def json_response(shown: BaseModel, code: int = status.HTTP_200_OK) -> Response:
    """Return a response with the model as JSON and this status code."""
    return Response(shown.model_dump_json(), status_code=code, media_type="application/json")


def revalidated_response(
    content: bytes, if_none_match: str | None, *, tag: str | None = None
) -> Response:
    """Return a JSON document, or 304 when the client already has it.

    tag: the tag to use in place of the one of its bytes.
    """
    tag = tag or etags.etag(content)
    if etags.is_known(tag, if_none_match):
        return etags.not_modified(tag)
    return Response(content, media_type="application/json", headers=etags.caching_headers(tag))
