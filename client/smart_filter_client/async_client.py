"""The asynchronous client."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Self

import anyio
import httpx

from smart_filter_client import operations
from smart_filter_client.http import backends
from smart_filter_client.http.backends import AsyncBackend


class AsyncClient:
    """A connection to one server; shared by tasks, closed by `async with` or `aclose`.

    It has the methods of Client, with the same parameters and errors. Methods that return there are
    awaited here, and generators are used with `async for`.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        attempts: int = 4,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        address = backends.parse_address(url, api_key)
        self.url: Final = url.rstrip("/")
        self.attempts: Final = attempts
        self.clock: Final = clock
        self._http = httpx.AsyncClient(
            base_url=address, transport=transport, trust_env=backends.uses_proxies(address)
        )
        self.backend: Final = AsyncBackend(self._http, api_key, timeout, sleep)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    run = operations.polling.run
    submit = operations.jobs.submit
    derive = operations.jobs.derive
    job = operations.jobs.job
    jobs = operations.jobs.jobs
    cancel = operations.jobs.cancel
    redrive = operations.jobs.redrive
    delete = operations.jobs.delete
    upload = operations.photos.upload
    wait = operations.polling.wait
    finished = operations.polling.finished
    wait_batch = operations.polling.wait_batch
    stream = operations.events.stream
    stream_batch = operations.events.stream_batch
    correct_matte = operations.jobs.correct_matte
    correct_faces = operations.jobs.correct_faces
    corrections = operations.jobs.corrections
    submit_batch = operations.batches.submit_batch
    batch = operations.batches.batch
    batches = operations.batches.batches
    cancel_batch = operations.batches.cancel_batch
    delete_batch = operations.batches.delete_batch
    choose = operations.choices.choose
    choice = operations.choices.choice
    act_on_choice = operations.choices.act_on_choice
    restore_choice = operations.choices.restore_choice
    download_choice = operations.choices.download_choice
    output = operations.outputs.output
    photo = operations.outputs.photo
    download = operations.outputs.download
    create_webhook = operations.webhooks.create_webhook
    webhooks = operations.webhooks.webhooks
    webhook = operations.webhooks.webhook
    change_webhook = operations.webhooks.change_webhook
    delete_webhook = operations.webhooks.delete_webhook
    rotate_webhook = operations.webhooks.rotate_webhook
    test_webhook = operations.webhooks.test_webhook
    deliveries = operations.webhooks.deliveries
    ends = operations.webhooks.ends
    replay = operations.webhooks.replay
    replay_failed = operations.webhooks.replay_failed
    issue_key = operations.tenants.issue_key
    keys = operations.tenants.keys
    revoke_key = operations.tenants.revoke_key
    audit_events = operations.tenants.audit_events
    issue_token = operations.tenants.issue_token
    usage = operations.tenants.usage
    tenant = operations.tenants.tenant
    change_tenant = operations.tenants.change_tenant
    models = operations.catalog.models
    backgrounds = operations.catalog.backgrounds
    background_keywords = operations.catalog.background_keywords
    thumbnail = operations.catalog.thumbnail
    filters = operations.catalog.filters
    recipes = operations.catalog.recipes
    save_recipe = operations.catalog.save_recipe
    delete_recipe = operations.catalog.delete_recipe
    add_picture = operations.catalog.add_picture
    own_pictures = operations.catalog.own_pictures
    delete_picture = operations.catalog.delete_picture
    open_live = operations.tenants.open_live
