"""Check the headers of HTTP callers before the MCP server: each must bring one API key."""

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PATH: Final = "/mcp"
_HEADER: Final = "the header `Authorization: Bearer KEY`"


class CallerCheck:
    """Answers requests without a key with 401, and folds the case of `Host`.

    The service checks the key itself; names of hosts have no case (RFC 9110, 4.2.3), but the SDK
    compares them exactly.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        refusal = _refuse(Headers(scope=scope).getlist("authorization"))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        headers = [
            (name, value.lower() if name == b"host" else value) for name, value in scope["headers"]
        ]
        await self._app({**scope, "headers": headers}, receive, send)


def parse_key(authorization: str) -> str:
    """Return the API key of an Authorization header, or ""."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.casefold() == "bearer" else ""


def _refuse(authorizations: list[str]) -> PlainTextResponse | None:
    # A proxy may have checked the header that is not read here.
    if len(authorizations) > 1:
        return PlainTextResponse(f"{_HEADER} is given more than once; send one", 400)
    if not authorizations or not parse_key(authorizations[0]):
        return PlainTextResponse(
            f"send an API key of the service in {_HEADER}",
            401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    return None
