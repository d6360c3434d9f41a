"""Webhooks, their secrets and their deliveries.

`default` in place of a webhook's id stands for deliveries to addresses that jobs name.
"""

from collections.abc import Sequence

from smart_filter_client import exchange
from smart_filter_client.fields import Fields
from smart_filter_client.flows import Feed, Flow, Server
from smart_filter_client.models import Delivery, NewSecret, NewWebhook, Webhook
from smart_filter_client.models.webhooks import (
    delivery_from,
    new_secret_from,
    new_webhook_from,
    webhook_from,
)
from smart_filter_client.operations.pagination import fetch_list, iterate_list
from smart_filter_client.requests import Request, path


def create_webhook(
    server: Server, url: str, events: Sequence[str] | None = None
) -> Flow[NewWebhook]:
    """Create a webhook for the ends of jobs; its secret is shown only once.

    events: from `job.succeeded` `job.failed` `job.canceled` `batch.finished`; None: all.
    """
    body = {"url": url} | ({} if events is None else {"events": list(events)})
    request = Request(method="POST", path=path("webhooks"), json=body)
    return new_webhook_from((yield from exchange.post(server, request)))


def webhooks(server: Server) -> Flow[list[Webhook]]:
    """Return all webhooks, the oldest first."""
    return (yield from fetch_list(server, path("webhooks"), webhook_from))


def webhook(server: Server, webhook_id: str) -> Flow[Webhook]:
    """Return a webhook as it is now."""
    request = Request(method="GET", path=path("webhooks", webhook_id))
    return webhook_from((yield from exchange.ask_json(server, request)))


def change_webhook(
    server: Server,
    webhook_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> Flow[Webhook]:
    """Change the given fields of a webhook; enabled: whether deliveries are sent."""
    payload = {"url": url, "events": None if events is None else list(events), "enabled": enabled}
    request = Request(
        method="PATCH",
        path=path("webhooks", webhook_id),
        json={name: value for name, value in payload.items() if value is not None},
    )
    return webhook_from((yield from exchange.ask_json(server, request)))


def delete_webhook(server: Server, webhook_id: str) -> Flow[None]:
    """Delete a webhook, its secret and its deliveries."""
    yield from exchange.ask(server, Request(method="DELETE", path=path("webhooks", webhook_id)))


def rotate_webhook(server: Server, webhook_id: str) -> Flow[NewSecret]:
    """Generate a new secret, shown only once; the former one also signs for a day."""
    request = Request(method="POST", path=path("webhooks", webhook_id, "rotate"))
    return new_secret_from((yield from exchange.post(server, request)))


def test_webhook(server: Server, webhook_id: str) -> Flow[Delivery]:
    """Send a `webhook.test`, once; return the delivery."""
    request = Request(method="POST", path=path("webhooks", webhook_id, "test"))
    return delivery_from((yield from exchange.post(server, request)))


def deliveries(
    server: Server, webhook_id: str, *, state: str | None = None, limit: int | None = None
) -> Feed[Delivery]:
    """Yield the deliveries of the last days to a webhook, newest first.

    state: only those that are waiting, sending, succeeded or failed.
    """
    params = {} if state is None else {"state": state}
    place = path("webhooks", webhook_id, "deliveries")
    yield from iterate_list(server, place, delivery_from, params=params, limit=limit)


def replay(server: Server, webhook_id: str, delivery_id: str) -> Flow[Delivery]:
    """Send a delivery again; return it."""
    place = path("webhooks", webhook_id, "deliveries", delivery_id, "replay")
    request = Request(method="POST", path=place)
    return delivery_from((yield from exchange.post(server, request)))


def replay_failed(server: Server, webhook_id: str) -> Flow[int]:
    """Send all failed deliveries again; return their number."""
    request = Request(method="POST", path=path("webhooks", webhook_id, "deliveries", "replay"))
    answer = Fields((yield from exchange.post(server, request)), "a replay")
    return answer.integer_or_none("replayed") or 0
