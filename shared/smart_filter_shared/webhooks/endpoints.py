"""Webhook endpoints of tenants, and the secrets that sign their deliveries.

Secrets are stored encrypted (sealed). In addition to the secrets of its webhooks, a tenant has a
default secret, which signs deliveries to addresses that single jobs name.
"""

import base64
import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.errors import FieldError, InvalidRequest, NotFound
from smart_filter_shared.ids import Tenant, WebhookId, new_webhook_id
from smart_filter_shared.security.secretbox import SecretBox

# The webhook name of deliveries to addresses that jobs name.
DEFAULT_WEBHOOK: Final = "default"
# Webhooks per tenant.
MAX_WEBHOOKS: Final = 50
# How long a replaced secret also signs, so that receivers can change over.
FORMER_SECRET_HOURS: Final = 24
# Why a webhook is disabled: its owner paused it, or its server answered 410.
PAUSED: Final = "paused"
GONE: Final = "gone"

_INSERT = text("""
    INSERT INTO webhooks (id, tenant, url, events, created_at)
    SELECT :id, :tenant, :url, :events, statement_timestamp()
    WHERE (SELECT count(*) FROM webhooks WHERE tenant = :tenant) < :most
    RETURNING id, tenant, url, events, created_at, disabled
""")
# Creations of one tenant run one after the other, so that they cannot exceed MAX_WEBHOOKS.
_LOCK_TENANT = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 0))")
_LIST = text("""
    SELECT id, tenant, url, events, created_at, disabled FROM webhooks
    WHERE tenant = :tenant ORDER BY id
""")
_FIND = text("""
    SELECT id, tenant, url, events, created_at, disabled FROM webhooks
    WHERE tenant = :tenant AND id = :id FOR NO KEY UPDATE
""")
_GET_MANY = text("""
    SELECT id, tenant, url, events, created_at, disabled FROM webhooks WHERE id = ANY(:ids)
""")
_CHANGE = text("""
    UPDATE webhooks SET url = :url, events = :events, disabled = :disabled WHERE id = :id
""")
_REMOVE = (
    # Waits for a sender that is recording an attempt, so that no row of `delivery_attempts` stays.
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
_FAIL_PENDING = text("""
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

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the specification allows 24 to 64


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook: the address of a tenant, and the event types that are sent to it.

    events: ends of jobs, and `batch.finished`.  disabled: PAUSED or GONE; None while it is enabled.
    """

    id: WebhookId
    tenant: Tenant
    url: str
    events: tuple[str, ...]
    created_at: datetime
    disabled: str | None


@dataclass(frozen=True, slots=True)
class RotatedSecret:
    """A new secret, shown once; former_until: until when the former secret also signs."""

    secret: str
    former_until: datetime | None


def create(
    connection: Connection, seal: SecretBox, tenant: Tenant, *, url: str, events: Sequence[str]
) -> tuple[Webhook, str]:
    """Create a webhook; return it and its secret, which is not shown again.

    Raises InvalidRequest when the tenant has MAX_WEBHOOKS.
    """
    connection.execute(_LOCK_TENANT, {"tenant": f"webhooks {tenant}"})
    row = connection.execute(
        _INSERT,
        {
            "id": new_webhook_id(),
            "tenant": tenant,
            "url": url,
            "events": list(events),
            "most": MAX_WEBHOOKS,
        },
    ).one_or_none()
    if row is None:
        raise InvalidRequest(
            [FieldError("/url", f"you have {MAX_WEBHOOKS} webhooks, the maximum; delete one")]
        )
    webhook = read_row(Webhook, row)
    return webhook, rotate(connection, seal, tenant, str(webhook.id)).secret


def list_webhooks(connection: Connection, tenant: Tenant) -> list[Webhook]:
    """Return a tenant's webhooks, the oldest first."""
    return [read_row(Webhook, row) for row in connection.execute(_LIST, {"tenant": tenant})]


def find(connection: Connection, tenant: Tenant, webhook_id: WebhookId) -> Webhook:
    """Lock and return a tenant's webhook.

    Raises NotFound.
    """
    row = connection.execute(_FIND, {"tenant": tenant, "id": webhook_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no webhook {webhook_id}")
    return read_row(Webhook, row)


def get_many(
    connection: Connection, webhook_ids: Collection[WebhookId]
) -> dict[WebhookId, Webhook]:
    """Return the webhooks that exist, of any tenant, by id."""
    rows = connection.execute(_GET_MANY, {"ids": list(webhook_ids)})
    return {WebhookId(row.id): read_row(Webhook, row) for row in rows}


def change(
    connection: Connection,
    webhook: Webhook,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Change the given fields of a webhook; return the changed webhook.

    Nothing is sent to a disabled webhook; its waiting deliveries fail, and can be replayed.
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
        fail_pending(connection, changed.tenant, str(changed.id))
    return changed


def remove(connection: Connection, webhook: Webhook) -> None:
    """Delete a webhook, its secrets and all its deliveries."""
    for statement in _REMOVE:
        connection.execute(statement, {"tenant": webhook.tenant, "webhook": str(webhook.id)})


def disable(connection: Connection, tenant: Tenant, webhook_id: WebhookId, *, why: str) -> None:
    """Disable a webhook; its waiting deliveries fail, and can be replayed."""
    connection.execute(_DISABLE, {"id": webhook_id, "tenant": tenant, "why": why})
    fail_pending(connection, tenant, str(webhook_id))


def fail_pending(connection: Connection, tenant: Tenant, webhook: str) -> None:
    """Fail all waiting deliveries of a webhook."""
    connection.execute(_FAIL_PENDING, {"tenant": tenant, "webhook": webhook})


def rotate(connection: Connection, seal: SecretBox, tenant: Tenant, webhook: str) -> RotatedSecret:
    """Replace and return the secret of a webhook, or of DEFAULT_WEBHOOK.

    The former secret also signs for FORMER_SECRET_HOURS.
    """
    key = new_key()
    former_until: datetime | None = connection.execute(
        _ROTATE, {**_seal_secret(seal, tenant, webhook, key), "hours": FORMER_SECRET_HOURS}
    ).scalar_one()
    return RotatedSecret(format_key(key), former_until)


def ensure_default(connection: Connection, seal: SecretBox, tenant: Tenant) -> None:
    """Create a tenant's default secret unless it has one; its owner reads it by rotating it."""
    connection.execute(_NEW_SECRET, _seal_secret(seal, tenant, DEFAULT_WEBHOOK, new_key()))


def read_secrets(
    connection: Connection, owners: Collection[tuple[Tenant, str]]
) -> dict[tuple[Tenant, str], list[bytes]]:
    """Return the sealed secrets that sign deliveries: the current one, and a still valid former.

    owners: pairs of tenant and webhook.
    """
    wanted = list(set(owners))
    rows = connection.execute(
        _SECRETS,
        {
            "tenants": [tenant for tenant, _ in wanted],
            "webhooks": [webhook for _, webhook in wanted],
        },
    )
    return {
        (Tenant(row.tenant), row.webhook): [
            secret for secret in (row.sealed, row.former) if secret is not None
        ]
        for row in rows
    }


def open_secrets(
    seal: SecretBox, tenant: Tenant, webhook: str, sealed: Sequence[bytes]
) -> list[bytes]:
    """Decrypt sealed secrets; return the signing keys.

    Raises SetupFailed when they were sealed with another key.
    """
    return [seal.open(secret, about=_seal_context(tenant, webhook)) for secret in sealed]


def _seal_secret(seal: SecretBox, tenant: Tenant, webhook: str, key: bytes) -> dict[str, object]:
    sealed = seal.close(key, about=_seal_context(tenant, webhook))
    return {"tenant": tenant, "webhook": webhook, "sealed": sealed}


def _seal_context(tenant: Tenant, webhook: str) -> str:
    return f"webhook {webhook} of {tenant}"


def new_key() -> bytes:
    """Return a new random signing key."""
    return secrets.token_bytes(_SECRET_BYTES)


def format_key(key: bytes) -> str:
    """Return a key in the form that its owner sees: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(key).decode()


def sign_headers(keys: Sequence[bytes], *, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery, with one signature for each key.

    timestamp: Unix seconds of this attempt, which receivers compare with their own clock.
    """
    signed = f"{id_}.{timestamp}.".encode() + body
    return {
        ID_HEADER: id_,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(f"v1,{_digest(key, signed)}" for key in keys),
    }


def _digest(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
