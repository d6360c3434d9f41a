"""The blocking client."""

import functools
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import httpx

from smart_filter_client import operations
from smart_filter_client.http import backends
from smart_filter_client.http.backends import BlockingBackend, iterate_operation, run_operation
from smart_filter_client.http.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")


def returning(
    operation: Callable[Concatenate[Connection, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    """Return the method that runs an operation to its end."""

    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run_operation(operation(self, *args, **kwargs))

    return _described(method, operation)


def yielding(
    operation: Callable[Concatenate[Connection, P], AsyncGenerator[T]],
) -> Callable[Concatenate["Client", P], Iterator[T]]:
    """Return the method that iterates over the results of an operation."""

    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return iterate_operation(operation(self, *args, **kwargs))

    return _described(method, operation)


def _described(method: T, operation: Callable[..., object]) -> T:
    """Return a method with the name, the docstring and the parameters of its operation."""
    return functools.update_wrapper(method, operation)  # type: ignore[return-value, arg-type] # the same


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
        address = backends.parse_address(url, api_key)
        self.url: Final = url.rstrip("/")
        self.attempts: Final = attempts
        self.clock: Final = clock
        self._http = httpx.Client(
            base_url=address, transport=transport, trust_env=backends.uses_proxies(address)
        )
        self.backend: Final = BlockingBackend(self._http, api_key, timeout, sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # The operations, without `await`.
    run = returning(operations.polling.run)
    submit = returning(operations.jobs.submit)
    derive = returning(operations.jobs.derive)
    job = returning(operations.jobs.job)
    jobs = yielding(operations.jobs.jobs)
    cancel = returning(operations.jobs.cancel)
    redrive = returning(operations.jobs.redrive)
    delete = returning(operations.jobs.delete)
    upload = returning(operations.photos.upload)
    wait = returning(operations.polling.wait)
    finished = yielding(operations.polling.finished)
    wait_batch = returning(operations.polling.wait_batch)
    stream = yielding(operations.events.stream)
    stream_batch = yielding(operations.events.stream_batch)
    correct_matte = returning(operations.jobs.correct_matte)
    correct_faces = returning(operations.jobs.correct_faces)
    corrections = returning(operations.jobs.corrections)
    submit_batch = returning(operations.batches.submit_batch)
    batch = returning(operations.batches.batch)
    batches = yielding(operations.batches.batches)
    cancel_batch = returning(operations.batches.cancel_batch)
    delete_batch = returning(operations.batches.delete_batch)
    choose = returning(operations.choices.choose)
    choice = returning(operations.choices.choice)
    act_on_choice = yielding(operations.choices.act_on_choice)
    restore_choice = returning(operations.choices.restore_choice)
    download_choice = returning(operations.choices.download_choice)
    output = returning(operations.outputs.output)
    photo = returning(operations.outputs.photo)
    download = returning(operations.outputs.download)
    create_webhook = returning(operations.webhooks.create_webhook)
    webhooks = returning(operations.webhooks.webhooks)
    webhook = returning(operations.webhooks.webhook)
    change_webhook = returning(operations.webhooks.change_webhook)
    delete_webhook = returning(operations.webhooks.delete_webhook)
    rotate_webhook = returning(operations.webhooks.rotate_webhook)
    test_webhook = returning(operations.webhooks.test_webhook)
    deliveries = yielding(operations.webhooks.deliveries)
    ends = returning(operations.webhooks.ends)
    replay = returning(operations.webhooks.replay)
    replay_failed = returning(operations.webhooks.replay_failed)
    issue_key = returning(operations.tenants.issue_key)
    keys = yielding(operations.tenants.keys)
    revoke_key = returning(operations.tenants.revoke_key)
    audit_events = yielding(operations.tenants.audit_events)
    issue_token = returning(operations.tenants.issue_token)
    usage = returning(operations.tenants.usage)
    tenant = returning(operations.tenants.tenant)
    change_tenant = returning(operations.tenants.change_tenant)
    models = returning(operations.catalog.models)
    backgrounds = returning(operations.catalog.backgrounds)
    background_keywords = returning(operations.catalog.background_keywords)
    thumbnail = returning(operations.catalog.thumbnail)
    filters = returning(operations.catalog.filters)
    recipes = returning(operations.catalog.recipes)
    save_recipe = returning(operations.catalog.save_recipe)
    delete_recipe = returning(operations.catalog.delete_recipe)
    add_picture = returning(operations.catalog.add_picture)
    own_pictures = returning(operations.catalog.own_pictures)
    delete_picture = returning(operations.catalog.delete_picture)
    open_live = returning(operations.tenants.open_live)
