"""Follows what happens to a job, or a batch, as it happens."""

import json

import httpx

from smart_filter_client import exchange
from smart_filter_client.errors import UnexpectedAnswer
from smart_filter_client.flows import Close, Feed, Item, Read, Server, Sleep
from smart_filter_client.models import Event, event_from
from smart_filter_client.requests import Request, path
from smart_filter_client.sse import Message, Parser

_MEDIA_TYPE = "text/event-stream"
_COME_AGAIN_SECONDS = 1.0


def stream(server: Server, job_id: str, after: str | None = None) -> Feed[Event]:
    """Yield what happens to a job, from its beginning to its end.

    A connection that breaks is made again, and goes on behind the last event: none is missed,
    none comes twice.  after: the id of an event behind which to begin.
    """
    yield from _stream(server, path("jobs", job_id, "events"), after)


def stream_batch(server: Server, batch_id: str, after: str | None = None) -> Feed[Event]:
    """Yield what happens to a batch as a whole, as `stream` does for a job."""
    yield from _stream(server, path("batches", batch_id, "events"), after)


def _stream(server: Server, place: str, after: str | None) -> Feed[Event]:
    last_id = after or ""
    failed = 0
    while True:
        headers = {"Accept": _MEDIA_TYPE} | ({"Last-Event-ID": last_id} if last_id else {})
        request = Request(method="GET", path=place, headers=headers)
        response = yield from exchange.opened(server, request)
        if response.status_code == httpx.codes.NO_CONTENT:
            return
        parser = Parser(last_id)
        has_ended = False
        try:
            while (piece := (yield Read(response))) is not None:
                for message in parser.feed(piece):
                    event = _event(message)
                    last_id, has_ended, failed = event.id, event.is_final, 0
                    yield Item(event)
        except httpx.HTTPError as error:
            failed += 1
            if failed >= server.attempts:
                raise exchange.translated(server, request, error) from error
        else:
            if has_ended:  # the last that is told, not one before a job was redriven
                return
        yield Close(response)
        yield Sleep(parser.retry_seconds or _COME_AGAIN_SECONDS)


def _event(message: Message) -> Event:
    try:
        return event_from(json.loads(message.data), message.id)
    except ValueError as error:
        raise UnexpectedAnswer(f"an event's data is not JSON: {message.data[:80]!r}") from error
