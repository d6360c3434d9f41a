"""`smart-filter webhooks`: forwards the events of a server to this machine."""

import datetime as dt
import hmac
import json
import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

import click
import httpx

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.server.connection import Server, choose_server, open_client_for
from smart_filter_deploy.cli.terminal.signals import handle_signals
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.webhooks import endpoints
from smart_filter_wire.webhooks import EndedEvent

_POLL_SECONDS: Final = 1.0
# Longest pause while the server is away.
_MAX_PAUSE_SECONDS: Final = 10.0
# As long as a sender waits for a receiver.
_RECEIVER_SECONDS: Final = 15.0
# Ids of events that were forwarded: more than one answer of the server can repeat.
_MAX_REMEMBERED: Final = 10_000
_AWAY: Final = (
    client_errors.ServerUnreachable,
    client_errors.TryLater,
    client_errors.ServerFailed,
)
_PURPOSE: Final = b"smart-filter: webhooks listen"


@click.group(
    epilog=examples("smart-filter webhooks listen --forward-to http://localhost:3000/hook")
)
def webhooks() -> None:
    """Forward the events of a server to this machine, for development."""


@webhooks.command(
    epilog=examples(
        "smart-filter webhooks listen --forward-to http://localhost:3000/hook",
        "smart-filter webhooks listen --json | jq -r .job_id",
    )
)
@click.option(
    "--forward-to",
    metavar="URL",
    help="Where to post each event. Default: only show them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per event.")
def listen(forward_to: str | None, *, as_json: bool) -> None:
    """Show the ends of jobs and batches as they happen, and post them to a receiver, until Ctrl-C.

    The receiver gets what a webhook would send, signed with the secret that is printed first. It
    is the same each time for a server and a key. A failed post is shown and not repeated.

    Uses the server in SMART_FILTER_URL (with SMART_FILTER_API_KEY, which needs the scope read),
    else the local stack of `smart-filter up`. No webhook has to exist there.
    """
    if forward_to is not None:
        _check_url(forward_to)
    server = choose_server()
    key = hmac.digest(server.api_key.encode(), _PURPOSE + server.url.encode(), "sha256")
    try:
        with (
            handle_signals((signal.SIGINT, signal.SIGTERM), signal.default_int_handler),
            open_client_for(server) as client,
            httpx.Client(timeout=_RECEIVER_SECONDS, trust_env=False) as receiver,
        ):
            cursor = client.ends().next_cursor
            _print_start(server, endpoints.format_key(key), forward_to, as_json=as_json)
            forwarder = _Forwarder(client, receiver, forward_to, key, as_json=as_json)
            forwarder.run(cursor)
    except KeyboardInterrupt:
        return


@dataclass(frozen=True, slots=True)
class _Post:
    """One post to the receiver: its status, or in `error` why there is none."""

    status: int | None = None
    error: str | None = None
    seconds: float | None = None


class _Forwarder:
    """Polls a server for ends, shows them, and posts them to a receiver, if there is one."""

    def __init__(
        self, client: Client, receiver: httpx.Client, url: str | None, key: bytes, *, as_json: bool
    ) -> None:
        self._client = client
        self._receiver = receiver
        self._url = url
        self._key = key
        self._as_json = as_json
        self._seen: deque[str] = deque(maxlen=_MAX_REMEMBERED)

    def run(self, cursor: str) -> None:
        """Forward the ends after a cursor, without an end.

        A server that is away is asked again with the same cursor.  Raises the client's errors when
        the server refuses the key.
        """
        pause = _POLL_SECONDS
        while True:
            time.sleep(pause)
            try:
                page = self._client.ends(cursor)
                for end in page.items:
                    if end.id not in self._seen:
                        self._forward(end)
                        self._seen.append(end.id)
            except _AWAY as error:
                if pause == _POLL_SECONDS:
                    print_line(f"connection lost, trying again: {error}", err=True)
                pause = min(_MAX_PAUSE_SECONDS, 2 * pause)
                continue
            if pause != _POLL_SECONDS:
                print_line("connected again", err=True)
            cursor, pause = page.next_cursor, _POLL_SECONDS

    def _forward(self, end: EndedEvent) -> None:
        post = None if self._url is None else self._post(self._url, end)
        if self._as_json:
            shown = {
                "id": end.id,
                "type": end.type,
                "job_id": end.job_id,
                "batch_id": end.batch_id,
                "status": None if post is None else post.status,
                "error": None if post is None else post.error,
                "seconds": None if post is None else post.seconds,
            }
            print_json(shown)
        else:
            print_line(_describe(end, post))

    def _post(self, url: str, end: EndedEvent) -> _Post:
        body = self._render_body(end)
        if body is None:
            return _Post(error="it was deleted meanwhile; not forwarded")
        headers = endpoints.sign_headers(
            [self._key], id_=f"event_{end.id}", timestamp=int(time.time()), body=body
        )
        began = time.monotonic()
        try:
            # The body is not read: it could be endless.
            with self._receiver.stream(
                "POST", url, content=body, headers={"Content-Type": "application/json", **headers}
            ) as answer:
                seconds = time.monotonic() - began
        except httpx.TimeoutException:
            return _Post(error=f"no answer within {_RECEIVER_SECONDS:g} s")
        except httpx.HTTPError as error:
            return _Post(error=f"no answer: {error}")
        return _Post(status=answer.status_code, seconds=round(seconds, 3))

    def _render_body(self, end: EndedEvent) -> bytes | None:
        """Return the body that a webhook would send, or None when the job or batch is deleted."""
        try:
            if end.batch_id is not None:
                data = dict(self._client.batch(end.batch_id).document)
            else:
                data = dict(self._client.job(end.job_id or "").document)
        except (client_errors.NotFound, client_errors.Gone):
            return None
        timestamp = end.timestamp.isoformat().replace("+00:00", "Z")
        event = {"type": end.type, "timestamp": timestamp, "data": data}
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _check_url(url: str) -> None:
    """End the command unless a receiver can be at this URL."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise click.UsageError(
            f"--forward-to: {url} is not a URL; write http://localhost:3000/hook"
        )


def _print_start(server: Server, secret: str, forward_to: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"server": server.url, "secret": secret, "forward_to": forward_to})
        return
    print_line(f"listening to {server.url}; the signing secret is {secret}")
    print_line(f"forwarding to {forward_to}" if forward_to else "not forwarding: see --forward-to")


def _describe(end: EndedEvent, post: _Post | None) -> str:
    about = f"batch {end.batch_id}" if end.job_id is None else f"job {end.job_id}"
    line = f"{dt.datetime.now().astimezone():%H:%M:%S}  {end.type:<14}  {about}"
    if post is None:
        return line
    if post.status is None:
        return f"{line}  {post.error}"
    return f"{line}  {post.status} in {post.seconds:.2f} s"
