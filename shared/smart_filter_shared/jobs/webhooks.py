"""Webhooks: whom a tenant wants told of its jobs' ends, and what that is signed with.

Secrets are stored sealed. Beside those of its webhooks a tenant has one more, the default,
which signs what goes to addresses that single jobs name.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, text

from smart_filter_shared import signing
from smart_filter_shared.errors import FieldError, InvalidRequest, NotFound
from smart_filter_shared.ids import Tenant, WebhookId, new_webhook_id
from smart_filter_shared.jobs.events import FINAL
from smart_filter_shared.sealing import Seal

# Stands for a webhook where addresses that jobs name are meant.
DEFAULT: Final = "default"
# What a webhook may ask for; batches end when the last of their jobs does.
EVENTS: Final = (*sorted(FINAL), "batch.finished")
MOST: Final = 50
# For how long a secret that was replaced signs as well.
FORMER_HOURS: Final = 24
# Why nothing is sent to a webhook: its owner said so, or its server answered 410.
PAUSED: Final = "paused"
GONE: Final = "gone"

_INSERT = text("""
    INSERT INTO webhooks (id, tenant, url, events, created_at)
    SELECT :id, :tenant, :url, :events, statement_timestamp()
    WHERE (SELECT count(*) FROM webhooks WHERE tenant = :tenant) < :most
    RETURNING id, tenant, url, events, created_at, disabled
""")
# One after the other, so that none of several at once passes the bound.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 0))")
_OF_TENANT = text("""
    SELECT id, tenant, url, events, created_at, disabled FROM webhooks
    WHERE tenant = :tenant ORDER BY id
""")
_FIND = text("""
    SELECT id, tenant, url, events, created_at, disabled FROM webhooks
    WHERE tenant = :tenant AND id = :id FOR NO KEY UPDATE
""")
_AMONG = text("""
    SELECT id, tenant, url, events, created_at, disabled FROM webhooks WHERE id = ANY(:ids)
""")
_CHANGE = text("""
    UPDATE webhooks SET url = :url, events = :events, disabled = :disabled WHERE id = :id
""")
_REMOVE = (
    # Whoever is writing down what came of one ends first, so that no line of it is left behind.
    text("""
        SELECT id FROM deliveries WHERE tenant = :tenant AND webhook = :webhook
        ORDER BY id FOR UPDATE
    """),
    text("""
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id
            AND deliveries.tenant = :tenant AND deliveries.webhook = :webhook
    """),
    text("DELETE FROM deliveries WHERE tenant = :tenant AND webhook = :webhook"),
    text("DELETE FROM webhook_secrets WHERE tenant = :tenant AND webhook = :webhook"),
    text("DELETE FROM webhooks WHERE tenant = :tenant AND CAST(id AS text) = :webhook"),
)
_GIVE_UP = text("""
    UPDATE deliveries SET state = 'failed', finished_at = statement_timestamp()
    WHERE tenant = :tenant AND webhook = :webhook AND state = 'waiting'
""")
_DISABLE = text("""
    UPDATE webhooks SET disabled = :why
    WHERE id = :id AND tenant = :tenant AND disabled IS NULL
""")
_NEW_SECRET = text("""
    INSERT INTO webhook_secrets (tenant, webhook, sealed) VALUES (:tenant, :webhook, :sealed)
    ON CONFLICT (tenant, webhook) DO NOTHING
""")
_ROTATE = text("""
    INSERT INTO webhook_secrets AS known (tenant, webhook, sealed)
    VALUES (:tenant, :webhook, :sealed)
    ON CONFLICT (tenant, webhook) DO UPDATE SET
        former = known.sealed, sealed = excluded.sealed,
        former_until = statement_timestamp() + make_interval(hours => :hours)
    RETURNING former_until
""")
_SECRETS = text("""
    SELECT tenant, webhook, sealed,
        CASE WHEN former_until > statement_timestamp() THEN former END AS former
    FROM webhook_secrets JOIN unnest(CAST(:tenants AS text[]), CAST(:webhooks AS text[]))
        AS wanted (tenant, webhook) USING (tenant, webhook)
""")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a tenant wants to be told of what.

    events: types, of EVENTS.  disabled: why nothing is sent, or None.
    """

    id: WebhookId
    tenant: Tenant
    url: str
    events: tuple[str, ...]
    created_at: datetime
    disabled: str | None


@dataclass(frozen=True, slots=True)
class Rotated:
    """A new secret, as it is shown once; former_until: how long the one before signs as well."""

    secret: str
    former_until: datetime | None


def create(
    connection: Connection, seal: Seal, tenant: Tenant, *, url: str, events: Sequence[str]
) -> tuple[Webhook, str]:
    """Write a webhook; return it and its secret, which nobody is shown again.

    Raises InvalidRequest when the tenant has as many as it may.
    """
    connection.execute(_ALONE, {"tenant": f"webhooks {tenant}"})
    row = connection.execute(
        _INSERT,
        {
            "id": new_webhook_id(),
            "tenant": tenant,
            "url": url,
            "events": list(events),
            "most": MOST,
        },
    ).one_or_none()
    if row is None:
        raise InvalidRequest(
            [FieldError("/url", f"there are {MOST} webhooks, no more are kept; delete one")]
        )
    webhook = _webhook(row)
    return webhook, rotate(connection, seal, tenant, str(webhook.id)).secret


def of_tenant(connection: Connection, tenant: Tenant) -> list[Webhook]:
    """Return a tenant's webhooks, the oldest first."""
    return [_webhook(row) for row in connection.execute(_OF_TENANT, {"tenant": tenant})]


def find(connection: Connection, tenant: Tenant, webhook_id: WebhookId) -> Webhook:
    """Return a tenant's webhook, which stays as it is until the end of the transaction.

    Raises NotFound.
    """
    row = connection.execute(_FIND, {"tenant": tenant, "id": webhook_id}).one_or_none()
    if row is None:
        raise NotFound(f"webhook {webhook_id}")
    return _webhook(row)


def among(connection: Connection, webhook_ids: Collection[WebhookId]) -> dict[WebhookId, Webhook]:
    """Return those of the webhooks that there are, whosever they are."""
    rows = connection.execute(_AMONG, {"ids": list(webhook_ids)})
    return {WebhookId(row.id): _webhook(row) for row in rows}


def change(
    connection: Connection,
    webhook: Webhook,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Change what is given of a webhook.

    Nothing is sent to one that is not enabled; what waits for it fails, and can be replayed.
    """
    disabled = webhook.disabled
    if enabled is not None:
        disabled = None if enabled else (webhook.disabled or PAUSED)
    changed = replace(
        webhook,
        url=webhook.url if url is None else url,
        events=webhook.events if events is None else tuple(events),
        disabled=disabled,
    )
    connection.execute(
        _CHANGE,
        {
            "id": changed.id,
            "url": changed.url,
            "events": list(changed.events),
            "disabled": changed.disabled,
        },
    )
    if changed.disabled is not None:
        give_up(connection, changed.tenant, str(changed.id))
    return changed


def remove(connection: Connection, webhook: Webhook) -> None:
    """Delete a webhook, its secrets, and all that was or is to be delivered to it."""
    for statement in _REMOVE:
        connection.execute(statement, {"tenant": webhook.tenant, "webhook": str(webhook.id)})


def disable(connection: Connection, tenant: Tenant, webhook_id: WebhookId, *, why: str) -> None:
    """Send nothing to a webhook any more; what waits for it fails, and can be replayed."""
    connection.execute(_DISABLE, {"id": webhook_id, "tenant": tenant, "why": why})
    give_up(connection, tenant, str(webhook_id))


def give_up(connection: Connection, tenant: Tenant, webhook: str) -> None:
    """Let all fail that waits for a webhook."""
    connection.execute(_GIVE_UP, {"tenant": tenant, "webhook": webhook})


def rotate(connection: Connection, seal: Seal, tenant: Tenant, webhook: str) -> Rotated:
    """Draw a new secret, of a webhook or of DEFAULT; the one before signs for a while as well."""
    key = signing.new_key()
    former_until: datetime | None = connection.execute(
        _ROTATE, {**_sealed(seal, tenant, webhook, key), "hours": FORMER_HOURS}
    ).scalar_one()
    return Rotated(signing.written(key), former_until)


def ensure_default(connection: Connection, seal: Seal, tenant: Tenant) -> None:
    """See to it that a tenant has a default secret; whoever wants to know it rotates it."""
    connection.execute(_NEW_SECRET, _sealed(seal, tenant, DEFAULT, signing.new_key()))


def secrets_of(
    connection: Connection, owners: Collection[tuple[Tenant, str]]
) -> dict[tuple[Tenant, str], list[bytes]]:
    """Return what deliveries are signed with, sealed: the secret, and for a while the former.

    owners: tenants and webhooks.
    """
    wanted = list(set(owners))
    rows = connection.execute(
        _SECRETS,
        {"tenants": [one for one, _ in wanted], "webhooks": [one for _, one in wanted]},
    )
    return {
        (Tenant(row.tenant), row.webhook): [
            one for one in (row.sealed, row.former) if one is not None
        ]
        for row in rows
    }


def opened(seal: Seal, tenant: Tenant, webhook: str, sealed: Sequence[bytes]) -> list[bytes]:
    """Return keys to sign with.  Raises SetupFailed when they were sealed with another key."""
    return [seal.open(one, about=_about(tenant, webhook)) for one in sealed]


def _sealed(seal: Seal, tenant: Tenant, webhook: str, key: bytes) -> dict[str, object]:
    sealed = seal.close(key, about=_about(tenant, webhook))
    return {"tenant": tenant, "webhook": webhook, "sealed": sealed}


def _about(tenant: Tenant, webhook: str) -> str:
    return f"webhook {webhook} of {tenant}"


def _webhook(row: Row[tuple[object, ...]]) -> Webhook:
    return Webhook(
        id=WebhookId(row.id),
        tenant=Tenant(row.tenant),
        url=row.url,
        events=tuple(row.events),
        created_at=row.created_at,
        disabled=row.disabled,
    )
