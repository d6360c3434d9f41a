"""Answer with a JSON document."""

from typing import Any

from fastapi import Response, status

from smart_filter_api.http import etags
from smart_filter_shared.typed_json import adapter


def encode(shown: object, **options: Any) -> bytes:  # noqa: ANN401 - of TypeAdapter.dump_json
    """Return an answer, a dataclass or a model, as JSON."""
    return adapter(type(shown)).dump_json(shown, **options)


def to_json(shown: object) -> dict[str, Any]:
    """Return an answer as JSON that can be changed before it is encoded."""
    document: dict[str, Any] = adapter(type(shown)).dump_python(shown, mode="json")
    return document


def json_response(shown: object, code: int = status.HTTP_200_OK) -> Response:
    """Return a response with an answer as JSON and this status code."""
    return Response(encode(shown), status_code=code, media_type="application/json")


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
