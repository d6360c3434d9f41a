"""Webhooks, their secrets and their deliveries.

`default` in place of a webhook's id stands for deliveries to addresses that jobs name.
"""

from collections.abc import AsyncGenerator, Sequence

from smart_filter_client.fields import Fields
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.models import (
    Delivery,
    DeliveryState,
    Ends,
    NewSecret,
    NewWebhook,
    Webhook,
    WebhookEvent,
)
from smart_filter_client.models.webhooks import (
    delivery_from,
    ends_from,
    new_secret_from,
    new_webhook_from,
    webhook_from,
)
from smart_filter_client.operations.pagination import fetch_list, iterate_list
from smart_filter_client.requests import Request, path


async def create_webhook(
    client: Connection, url: str, events: Sequence[WebhookEvent] | None = None
) -> NewWebhook:
    """Create a webhook for these ends of jobs, None: all; its secret is shown only once."""
    body = {"url": url} | ({} if events is None else {"events": list(events)})
    request = Request(method="POST", path=path("webhooks"), json=body)
    return new_webhook_from(await exchange.post(client, request))


async def webhooks(client: Connection) -> list[Webhook]:
    """Return all webhooks, the oldest first."""
    return await fetch_list(client, path("webhooks"), webhook_from)


async def webhook(client: Connection, webhook_id: str) -> Webhook:
    """Return a webhook as it is now."""
    request = Request(method="GET", path=path("webhooks", webhook_id))
    return webhook_from(await exchange.ask_json(client, request))


async def change_webhook(
    client: Connection,
    webhook_id: str,
    *,
    url: str | None = None,
    events: Sequence[WebhookEvent] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Change the given fields of a webhook; enabled: whether deliveries are sent."""
    payload = {"url": url, "events": None if events is None else list(events), "enabled": enabled}
    request = Request(
        method="PATCH",
        path=path("webhooks", webhook_id),
        json={name: value for name, value in payload.items() if value is not None},
    )
    return webhook_from(await exchange.ask_json(client, request))


async def delete_webhook(client: Connection, webhook_id: str) -> None:
    """Delete a webhook, its secret and its deliveries."""
    await exchange.ask(client, Request(method="DELETE", path=path("webhooks", webhook_id)))


async def rotate_webhook(client: Connection, webhook_id: str) -> NewSecret:
    """Generate a new secret, shown only once; the former one also signs for a day."""
    request = Request(method="POST", path=path("webhooks", webhook_id, "rotate"))
    return new_secret_from(await exchange.post(client, request))


async def test_webhook(client: Connection, webhook_id: str) -> Delivery:
    """Send a `webhook.test`, once; return the delivery."""
    request = Request(method="POST", path=path("webhooks", webhook_id, "test"))
    return delivery_from(await exchange.post(client, request))


def deliveries(
    client: Connection,
    webhook_id: str,
    *,
    state: DeliveryState | None = None,
    limit: int | None = None,
) -> AsyncGenerator[Delivery]:
    """Yield the deliveries of the last days to a webhook, newest first.

    state: only those in this state.
    """
    params = {} if state is None else {"state": state}
    place = path("webhooks", webhook_id, "deliveries")
    return iterate_list(client, place, delivery_from, params=params, limit=limit)


async def ends(client: Connection, cursor: str | None = None) -> Ends:
    """Return the ends of jobs and batches since a cursor, where no webhook can be received.

    cursor: of the page before; None: no ends, but a cursor to begin with. Poll every second or
    few; an end can be returned again, with the same id.
    """
    params = {} if cursor is None else {"cursor": cursor}
    request = Request(method="GET", path=path("events"), params=params)
    return ends_from(await exchange.ask_json(client, request))


async def replay(client: Connection, webhook_id: str, delivery_id: str) -> Delivery:
    """Send a delivery again; return it."""
    place = path("webhooks", webhook_id, "deliveries", delivery_id, "replay")
    request = Request(method="POST", path=place)
    return delivery_from(await exchange.post(client, request))


async def replay_failed(client: Connection, webhook_id: str) -> int:
    """Send all failed deliveries again; return their number."""
    request = Request(method="POST", path=path("webhooks", webhook_id, "deliveries", "replay"))
    answer = Fields(await exchange.post(client, request), "a replay")
    return answer.integer_or_none("replayed") or 0
