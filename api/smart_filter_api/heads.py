"""Requests that are no HTTP: told as every other error, though no application sees them."""

import uuid
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from smart_filter_api import problems
from smart_filter_shared.errors import FieldError
from smart_filter_shared.telemetry import logs

_CODE: Final = "malformed_request"
_DETAIL: Final = "this is no HTTP/1.1 request: its first line, its headers or its length are broken"


class StrictHeads(H11Protocol):
    """Uvicorn's protocol over h11, with a problem document for what h11 refuses."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - h11's own words tell nobody what to do
        """Answer, and end the connection: nobody knows where the next request begins."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # an answer is on its way already
            return
        request_id = str(uuid.uuid4())
        logs.logger("api").info("no_http", request_id=request_id)
        problem = problems.document(_CODE, _DETAIL, request_id, [FieldError("", _DETAIL)])
        body = problem.model_dump_json(exclude_none=True).encode()
        headers = {
            "Content-Type": problems.MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Link": problems.help_link(_CODE),
            "X-Request-Id": request_id,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
        answer = h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()
