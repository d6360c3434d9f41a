"""The blocking client."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import httpx

from smart_filter_client import connection, operations
from smart_filter_client.flows import Server
from smart_filter_client.sync_runner import Listing, Operation, SyncRunner


class Client:
    """A connection to one server; safe to share between threads, closed by `with` or `close`.

    url: the address of the server, such as `https://photos.example.com`.
    attempts: maximum attempts of a request, if the server is unreachable or temporarily refuses.
    timeout: maximum seconds of one step of a request.
    transport, clock, sleep: replacements for tests; clock and sleep count in seconds.

    Raises InvalidAddress when the URL or the key is malformed. Every method raises
    ServerUnreachable, Refused or UnexpectedAnswer. AsyncClient has the same methods.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        attempts: int = 4,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = connection.parse_address(url, api_key)
        self.url: Final = url.rstrip("/")
        self._http = httpx.Client(
            base_url=address, transport=transport, trust_env=connection.uses_proxies(address)
        )
        self._does = SyncRunner(
            Server(self.url, attempts, clock), self._http, api_key, timeout, sleep
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    submit = Operation(operations.jobs.submit)
    upload = Operation(operations.photos.upload)
    derive = Operation(operations.jobs.derive)
    job = Operation(operations.jobs.job)
    jobs = Listing(operations.jobs.jobs)
    cancel = Operation(operations.jobs.cancel)
    redrive = Operation(operations.jobs.redrive)
    delete = Operation(operations.jobs.delete)

    wait = Operation(operations.polling.wait)
    finished = Listing(operations.polling.finished)
    stream = Listing(operations.events.stream)

    correct_matte = Operation(operations.corrections.correct_matte)
    correct_faces = Operation(operations.corrections.correct_faces)
    corrections = Operation(operations.corrections.corrections)

    submit_batch = Operation(operations.batches.submit_batch)
    batch = Operation(operations.batches.batch)
    batches = Listing(operations.batches.batches)
    wait_batch = Operation(operations.polling.wait_batch)
    stream_batch = Listing(operations.events.stream_batch)
    cancel_batch = Operation(operations.batches.cancel_batch)
    delete_batch = Operation(operations.batches.delete_batch)

    output = Operation(operations.outputs.output)
    photo = Operation(operations.outputs.photo)
    download = Operation(operations.outputs.download)

    create_webhook = Operation(operations.webhooks.create_webhook)
    webhooks = Operation(operations.webhooks.webhooks)
    webhook = Operation(operations.webhooks.webhook)
    change_webhook = Operation(operations.webhooks.change_webhook)
    delete_webhook = Operation(operations.webhooks.delete_webhook)
    rotate_webhook = Operation(operations.webhooks.rotate_webhook)
    test_webhook = Operation(operations.webhooks.test_webhook)
    deliveries = Listing(operations.webhooks.deliveries)
    replay = Operation(operations.webhooks.replay)
    replay_failed = Operation(operations.webhooks.replay_failed)

    issue_key = Operation(operations.tenants.issue_key)
    keys = Listing(operations.tenants.keys)
    revoke_key = Operation(operations.tenants.revoke_key)
    issue_token = Operation(operations.tenants.issue_token)
    usage = Operation(operations.tenants.usage)
    models = Operation(operations.catalog.models)
    backgrounds = Operation(operations.catalog.backgrounds)
    thumbnail = Operation(operations.catalog.thumbnail)

    open_live = Operation(operations.live.open_live)
