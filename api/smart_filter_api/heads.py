"""Requests that are no HTTP: told as every other error, though no application sees them."""

import asyncio
import uuid
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from smart_filter_api import problems
from smart_filter_shared.errors import FieldError
from smart_filter_shared.telemetry import logs

_CODE: Final = "malformed_request"
# As long as whoever sends a body may be silent; a line and headers come in one piece or two.
_HEAD_SECONDS: Final = 20.0
_DETAIL: Final = "this is no HTTP/1.1 request: its first line, its headers or its length are broken"


class StrictHeads(H11Protocol):
    """Uvicorn's protocol over h11, with a problem document for what h11 refuses.

    And with a deadline for heads: a half one would hold its connection for ever.
    """

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(_HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

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
