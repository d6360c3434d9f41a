"""Keys, tokens for end users' devices, and usage."""

import datetime as dt
from collections.abc import Sequence

from smart_filter_client import exchange
from smart_filter_client.flows import Feed, Flow, Server
from smart_filter_client.models import Key, NewKey, UsedDay
from smart_filter_client.models.tenants import key_from, new_key_from, used_day_from
from smart_filter_client.operations.pagination import fetch_list, iterate_list
from smart_filter_client.requests import Request, path


def issue_key(
    server: Server,
    scopes: Sequence[str],
    *,
    expires_in_seconds: int | None = None,
    tenant: str | None = None,
    idempotency_key: str | None = None,
) -> Flow[NewKey]:
    """Issue a key; it is shown only once.

    scopes: any of submit, read, admin.  tenant: its tenant; only the operator can name another.
    idempotency_key: a repetition with the same key within a day returns the same result.
    Raises KeyLost.
    """
    payload = {"expires_in_seconds": expires_in_seconds, "tenant": tenant}
    given = {name: value for name, value in payload.items() if value is not None}
    request = Request(method="POST", path=path("keys"), json={"scopes": list(scopes), **given})
    return new_key_from((yield from exchange.post(server, request, idempotency_key)))


def keys(server: Server, *, tenant: str | None = None) -> Feed[Key]:
    """Yield keys, including expired and revoked ones."""
    params = {} if tenant is None else {"tenant": tenant}
    yield from iterate_list(server, path("keys"), key_from, params=params)


def revoke_key(server: Server, key_id: str) -> Flow[None]:
    """Revoke a key, and the tokens that it issued, from now on."""
    yield from exchange.ask(server, Request(method="DELETE", path=path("keys", key_id)))


def issue_token(
    server: Server,
    *,
    ttl_seconds: int = 600,
    max_jobs: int = 1,
    idempotency_key: str | None = None,
) -> Flow[NewKey]:
    """Issue a short-lived key for an end user's device, which can submit `max_jobs` jobs.

    idempotency_key: as for `issue_key`.  Raises KeyLost.
    """
    payload = {"scopes": ["submit"], "ttl_seconds": ttl_seconds, "max_jobs": max_jobs}
    request = Request(method="POST", path=path("tokens"), json=payload)
    return new_key_from((yield from exchange.post(server, request, idempotency_key)))


def usage(
    server: Server, first: dt.date | None = None, last: dt.date | None = None
) -> Flow[list[UsedDay]]:
    """Return the usage of each day, in UTC, on which jobs ended.

    first, last: both included; None: 30 days ago, and today.
    """
    days = {"from": first, "to": last}
    params = {name: day.isoformat() for name, day in days.items() if day is not None}
    return (yield from fetch_list(server, path("usage"), used_day_from, params))
