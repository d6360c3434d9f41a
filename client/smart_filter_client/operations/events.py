"""Follow the events of a job or a batch."""

import codecs
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httpx
from httpx_sse import EventSource, ServerSentEvent

from smart_filter_client.errors import UnexpectedAnswer
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.http.exchange import EVENT, BodyCount
from smart_filter_client.models import Event, read_event

_MEDIA_TYPE = "text/event-stream"
_RECONNECT_SECONDS = 1.0


def stream(client: Connection, job_id: str, after: str | None = None) -> AsyncGenerator[Event]:
    """Yield the events of a job, from its beginning to its end.

    A broken connection is reopened after the last event: no event is missed or repeated.
    after: the id of the event after which to begin.
    """
    return _stream(client, path("jobs", job_id, "events"), after)


def stream_batch(
    client: Connection, batch_id: str, after: str | None = None
) -> AsyncGenerator[Event]:
    """Yield the events of a batch as a whole, like `stream` for a job."""
    return _stream(client, path("batches", batch_id, "events"), after)


async def _stream(client: Connection, place: str, after: str | None) -> AsyncGenerator[Event]:
    last_id = after or ""
    failed = 0
    while True:
        headers = {"Accept": _MEDIA_TYPE} | ({"Last-Event-ID": last_id} if last_id else {})
        request = Request(method="GET", path=place, headers=headers)
        pause = _RECONNECT_SECONDS
        count = BodyCount.begin(client, request, EVENT)
        has_ended = False
        async with exchange.open_response(client, request) as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                return
            try:
                text = _CountedText(client, response, count)
                source = EventSource(cast("httpx.Response", text))
                async with aclosing(source.aiter_sse()) as messages:
                    async for message in messages:
                        if message.retry is not None:
                            pause = max(0, message.retry) / 1000
                        if not message.data:  # such as a block with `retry` alone
                            continue
                        event = _event(message)
                        count.seen_bytes = 0
                        last_id, has_ended, failed = event.id, event.is_final, 0
                        yield event
            except httpx.HTTPError as error:
                failed += 1
                if failed >= client.attempts:
                    raise exchange.translate_error(client, request, error) from error
            else:
                if has_ended:  # by its last event: a redriven job goes on after an earlier end
                    return
        await client.backend.sleep(pause)


@dataclass(frozen=True, slots=True)
class _CountedText:
    """The part of a response that httpx-sse reads, within the limit of an event's bytes."""

    client: Connection
    response: httpx.Response
    count: BodyCount

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": _MEDIA_TYPE}

    async def aiter_text(self) -> AsyncIterator[str]:
        decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        async for piece in self.client.backend.pieces(self.response):
            self.count.add(piece)
            yield decode(piece)


def _event(message: ServerSentEvent) -> Event:
    try:
        return read_event(json.loads(message.data), message.id)
    except ValueError as error:
        raise UnexpectedAnswer(f"an event's data is not JSON: {message.data[:80]!r}") from error
