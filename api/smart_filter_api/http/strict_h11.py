"""Answer requests that are not valid HTTP with a problem document, like every other error."""

import asyncio
import uuid
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from smart_filter_api.problems import problem as problems_problem
from smart_filter_shared.errors import FieldError
from smart_filter_shared.security import response_headers
from smart_filter_shared.telemetry import logs

_CODE: Final = "malformed_request"
# The same time-out as for a body; a request line and headers arrive in one or two packets.
_HEAD_TIMEOUT_SECONDS: Final = 20.0
_DETAIL: Final = "not a valid HTTP/1.1 request: its first line, headers or length are malformed"


class StrictH11Protocol(H11Protocol):
    """Uvicorn's h11 protocol, with a problem document for requests that h11 rejects.

    It also sets a deadline for heads: an incomplete one would hold its connection forever.
    """

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Start the deadline of the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes and update the deadline."""
        super().data_received(data)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(
                _HEAD_TIMEOUT_SECONDS, self.timeout_keep_alive_handler
            )

    def _stop_waiting(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - h11's message does not help clients
        """Answer and close the connection, since the start of the next request is unknown."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # an answer is on its way already
            return
        request_id = str(uuid.uuid4())
        logs.logger("api").info("no_http", request_id=request_id)
        problem = problems_problem.build_problem(
            _CODE, _DETAIL, request_id, [FieldError("", _DETAIL)]
        )
        body = problem.model_dump_json(exclude_none=True).encode()
        headers = {
            "Content-Type": problems_problem.MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Link": problems_problem.help_link(_CODE),
            "X-Request-Id": request_id,
            "Connection": "close",
            **dict(response_headers.SAFE),
        }
        answer = h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()
