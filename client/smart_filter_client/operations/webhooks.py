"""Webhooks, their secrets and their deliveries.

`default` in place of a webhook's id stands for deliveries to addresses that jobs name.
"""

from collections.abc import AsyncGenerator, Sequence

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.http.exchange import fetch_list, iterate_list
from smart_filter_client.models import WebhookEvent
from smart_filter_client.reading import read_answer
from smart_filter_wire.webhooks import (
    Delivery,
    EndedEventPage,
    NewWebhook,
    ReplayedDeliveries,
    Webhook,
    WebhookSecret,
)
from smart_filter_wire.words import DeliveryState


async def create_webhook(
    client: Connection, url: str, events: Sequence[WebhookEvent] | None = None
) -> NewWebhook:
    """Create a webhook for these ends of jobs, None: all; its secret is shown only once."""
    body = {"url": url} | ({} if events is None else {"events": list(events)})
    return await exchange.send(client, NewWebhook, "POST", "webhooks", json=body)


async def webhooks(client: Connection) -> list[Webhook]:
    """Return all webhooks, the oldest first."""
    return await fetch_list(client, path("webhooks"), Webhook)


async def webhook(client: Connection, webhook_id: str) -> Webhook:
    """Return a webhook as it is now."""
    return await exchange.get(client, Webhook, "webhooks", webhook_id)


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
    return read_answer(Webhook, await exchange.ask_json(client, request))


async def delete_webhook(client: Connection, webhook_id: str) -> None:
    """Delete a webhook, its secret and its deliveries."""
    await exchange.delete(client, "webhooks", webhook_id)


async def rotate_webhook(client: Connection, webhook_id: str) -> WebhookSecret:
    """Generate a new secret, shown only once; the former one also signs for a day."""
    return await exchange.send(client, WebhookSecret, "POST", "webhooks", webhook_id, "rotate")


async def test_webhook(client: Connection, webhook_id: str) -> Delivery:
    """Send a `webhook.test`, once; return the delivery."""
    return await exchange.send(client, Delivery, "POST", "webhooks", webhook_id, "test")


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
    return iterate_list(client, place, Delivery, params=params, limit=limit)


async def ends(client: Connection, cursor: str | None = None) -> EndedEventPage:
    """Return the ends of jobs and batches since a cursor, where no webhook can be received.

    cursor: of the page before; None: no ends, but a cursor to begin with. Poll every second or
    few; an end can be returned again, with the same id.
    """
    params = {} if cursor is None else {"cursor": cursor}
    return await exchange.get(client, EndedEventPage, "events", params=params)


async def replay(client: Connection, webhook_id: str, delivery_id: str) -> Delivery:
    """Send a delivery again; return it."""
    place = "webhooks", webhook_id, "deliveries", delivery_id, "replay"
    return await exchange.send(client, Delivery, "POST", *place)


async def replay_failed(client: Connection, webhook_id: str) -> int:
    """Send all failed deliveries again; return their number."""
    place = "webhooks", webhook_id, "deliveries", "replay"
    return (await exchange.send(client, ReplayedDeliveries, "POST", *place)).replayed
