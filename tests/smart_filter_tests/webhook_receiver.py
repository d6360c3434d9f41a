"""Webhook receivers: real servers on the loopback, and a sender that is run by hand."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.from_thread
import anyio.lowlevel

from smart_filter_api.auth.links import LinkSigner, LinkTerms
from smart_filter_api.presenters import webhook_payload
from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_tests import http_server
from smart_filter_tests.bench import Bench, as_role
from smart_filter_tests.http_server import LOOPBACK, ReceivedRequest, Reply
from smart_filter_workers.sender.delivery_loop import Render, Sender, SendLimits
from smart_filter_workers.sender.http_client import HttpClient, WebhookTransport


@dataclass(slots=True)
class Receiver:
    """A receiver; got: the requests, in order.  answer: makes the answer to a request.

    closing: set when it closes, for an answer that would not come.
    """

    url: str
    answer: Callable[[ReceivedRequest], Reply]
    got: list[ReceivedRequest] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def hang(self, _: ReceivedRequest) -> Reply:
        """Answer nothing until the receiver closes."""
        self.closing.wait()
        return Reply()


@contextlib.contextmanager
def a_receiver(
    answer: Callable[[ReceivedRequest], Reply] = lambda _: Reply(),
) -> Iterator[Receiver]:
    def receive(request: ReceivedRequest) -> Reply:
        if request.method != "POST":
            return Reply(501)
        receiver.got.append(request)
        return receiver.answer(request)

    receiver = Receiver("", answer)
    with http_server.serve(receive) as url:
        receiver.url = f"{url}/hook"
        try:
            yield receiver
        finally:
            receiver.closing.set()


def seal_of(bench: Bench) -> SecretBox:
    return SecretBox([key.get_secret_value() for key in bench.settings.secrets.key])


def send_due(
    bench: Bench, *, times: int = 1, allow: tuple[str, ...] = (LOOPBACK,), seconds: float = 15.0
) -> list[int]:
    """Let one sender send due deliveries `times` times; return the number of each time."""

    async def send() -> list[int]:
        database = sessions.open_async_engine(
            as_role(bench.settings, ProcessRole.SENDER).database, connections=4
        )
        outbound = HttpClient(OutboundSettings(allow=allow), resolve=_no_names, seconds=seconds)
        sender = Sender(
            database,
            outbound,
            seal=seal_of(bench),
            render=_render_for(bench),
            pace=SendLimits(recover_seconds=60),
        )
        try:
            return [await sender.send_due() for _ in range(times)]
        finally:
            await database.dispose()

    return anyio.run(send)


async def _no_names(host: str) -> Sequence[str]:
    """Receivers are named by their address."""
    del host
    return []


def _render_for(bench: Bench) -> Render:
    keys = [key.get_secret_value() for key in bench.settings.secrets.key]
    links = LinkTerms(LinkSigner(keys), base_url="", default_seconds=3600)
    return partial(webhook_payload.render_payload, links=links, emotions=True)


@contextlib.contextmanager
def sending(
    bench: Bench, pace: SendLimits, outbound: WebhookTransport | None = None
) -> Iterator[Callable[[], None]]:
    """Run a sender in a thread while the block lasts; yields the event that stops it.

    outbound: by default it reaches receivers on the loopback.
    """
    loop_ready = threading.Event()
    started: list[tuple[anyio.lowlevel.EventLoopToken, anyio.Event]] = []

    async def run() -> None:
        database = sessions.open_async_engine(
            as_role(bench.settings, ProcessRole.SENDER).database, connections=4
        )
        reaching = outbound or HttpClient(OutboundSettings(allow=(LOOPBACK,)), resolve=_no_names)
        stopping = anyio.Event()
        started.append((anyio.lowlevel.current_token(), stopping))
        loop_ready.set()
        sender = Sender(
            database, reaching, seal=seal_of(bench), render=_render_for(bench), pace=pace
        )
        try:
            await sender.run(stopping)
        finally:
            await database.dispose()

    thread = threading.Thread(target=anyio.run, args=(run,), daemon=True)
    thread.start()
    loop_ready.wait()
    token, stopping = started[0]

    def stop() -> None:
        if thread.is_alive():
            with contextlib.suppress(anyio.RunFinishedError):
                anyio.from_thread.run_sync(stopping.set, token=token)
        thread.join()

    try:
        yield stop
    finally:
        stop()
