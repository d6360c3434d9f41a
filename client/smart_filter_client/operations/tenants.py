"""Keys, tokens for end users' devices and live video, usage, and the settings of tenants."""

import datetime as dt
from collections.abc import AsyncGenerator, Sequence

from smart_filter_client.errors import KeyLost
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.http.exchange import fetch_list, iterate_list
from smart_filter_client.models import GrantedScope, NewKey, TenantChange
from smart_filter_client.reading import read_answer
from smart_filter_wire.catalog import LiveConnection
from smart_filter_wire.tenants import ApiKey, AuditRecord, DayUsage, NewApiKey, TenantSettings


async def issue_key(
    client: Connection,
    scopes: Sequence[GrantedScope],
    *,
    expires_in_seconds: int | None = None,
    tenant: str | None = None,
    idempotency_key: str | None = None,
) -> NewKey:
    """Issue a key; it is shown only once.

    tenant: its tenant; only the operator can name another.
    idempotency_key: a repetition with the same key within a day returns the same result.
    Raises KeyLost.
    """
    payload = {"expires_in_seconds": expires_in_seconds, "tenant": tenant}
    given = {name: value for name, value in payload.items() if value is not None}
    request = Request(method="POST", path=path("keys"), json={"scopes": list(scopes), **given})
    return _read_key(await exchange.post(client, request, idempotency_key))


def keys(client: Connection, *, tenant: str | None = None) -> AsyncGenerator[ApiKey]:
    """Yield keys, including expired and revoked ones."""
    params = {} if tenant is None else {"tenant": tenant}
    return iterate_list(client, path("keys"), ApiKey, params=params)


async def revoke_key(client: Connection, key_id: str, *, with_issued: bool = False) -> None:
    """Revoke a key, and the tokens that it issued, from now on.

    with_issued: also the keys that it issued, the keys that those issued, and so on.
    """
    params = {"with_issued": "true"} if with_issued else {}
    request = Request(method="DELETE", path=path("keys", key_id), params=params)
    await exchange.ask(client, request)


def audit_events(
    client: Connection, *, tenant: str | None = None, limit: int | None = None
) -> AsyncGenerator[AuditRecord]:
    """Yield the security log, newest first.

    tenant: whose; only the operator can name another.  limit: maximum number; None: all.
    """
    params = {} if tenant is None else {"tenant": tenant}
    return iterate_list(client, path("audit"), AuditRecord, params=params, limit=limit)


async def issue_token(
    client: Connection,
    *,
    ttl_seconds: int = 600,
    max_jobs: int = 1,
    idempotency_key: str | None = None,
) -> NewKey:
    """Issue a short-lived key for an end user's device, which can submit `max_jobs` jobs.

    idempotency_key: as for `issue_key`.  Raises KeyLost.
    """
    payload = {"scopes": ["submit"], "ttl_seconds": ttl_seconds, "max_jobs": max_jobs}
    request = Request(method="POST", path=path("tokens"), json=payload)
    return _read_key(await exchange.post(client, request, idempotency_key))


async def usage(
    client: Connection, first: dt.date | None = None, last: dt.date | None = None
) -> list[DayUsage]:
    """Return the usage of each day, in UTC, on which jobs ended.

    first, last: both included; None: 30 days ago, and today.
    """
    days = {"from": first, "to": last}
    params = {name: day.isoformat() for name, day in days.items() if day is not None}
    return await fetch_list(client, path("usage"), DayUsage, params)


async def tenant(client: Connection, name: str) -> TenantSettings:
    """Return the settings of a tenant; only the operator can name another than its own."""
    return await exchange.get(client, TenantSettings, "tenants", name)


async def change_tenant(client: Connection, name: str, changes: TenantChange) -> TenantSettings:
    """Change the given settings of a tenant, limits only as the operator; return all."""
    return await exchange.send(client, TenantSettings, "PATCH", "tenants", name, json=changes)


def _read_key(document: object) -> NewKey:
    """Return a new key.  Raises KeyLost, UnexpectedAnswer."""
    issued = read_answer(NewApiKey, document)
    if issued.key is None:
        raise KeyLost(issued.key_id)
    return read_answer(NewKey, document)


async def open_live(client: Connection, background: str | None = None) -> LiveConnection:
    """Return a live video's address and a token for a minute; background: the initial one."""
    body = {} if background is None else {"background": background}
    return await exchange.send(client, LiveConnection, "POST", "live", json=body)
