"""Keys: issue, list, revoke; and short-lived ones for end users' devices."""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api import documents, idempotency, keys
from smart_filter_api.deps import Administrator, OpenServices, Services, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.keys import TENANT_PATTERN, Caller, IssuedKey, KeyRow
from smart_filter_api.problems import documented
from smart_filter_api.schemas.tenants import (
    KeyAnswer,
    KeyPage,
    KeyWish,
    NewKeyAnswer,
    TokenWish,
)
from smart_filter_shared.errors import NotFound, OutOfScope
from smart_filter_shared.ids import OPERATOR, Tenant

router = APIRouter(tags=["tenants"])

_MOST_LISTED = 200
_ONCE = ("malformed_request", "idempotency_in_progress", "idempotency_mismatch")


@router.post(
    "/v1/keys",
    status_code=status.HTTP_201_CREATED,
    summary="Issue a key",
    response_model=NewKeyAnswer,
    openapi_extra=documents.described(KeyWish),
    responses=documented(
        *_ONCE, "invalid_request", "unsupported_media", "unauthorized", "scope", "unavailable"
    ),
)
async def issue(
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Issue a key of the caller's tenant, or, for the operator, of any."""
    body = await documents.read(request)
    wish = documents.parse(KeyWish, body)
    tenant = _tenant(caller, wish.tenant)
    valid_for = (
        None if wish.expires_in_seconds is None else dt.timedelta(seconds=wish.expires_in_seconds)
    )

    def write(connection: Connection) -> IssuedKey:
        return keys.issue(connection, tenant=tenant, scopes=wish.scopes, valid_for=valid_for)

    return await _issued(
        services, request, caller, idempotency_key=idempotency_key, body=body, write=write
    )


@router.post(
    "/v1/tokens",
    status_code=status.HTTP_201_CREATED,
    summary="Issue a key for an end user's device",
    description="It submits photos and nothing else, for a short time; what it submits belongs "
    "to the tenant. It is revoked with the key that issued it.",
    response_model=NewKeyAnswer,
    openapi_extra=documents.described(TokenWish),
    responses=documented(
        *_ONCE, "invalid_request", "unsupported_media", "unauthorized", "scope", "unavailable"
    ),
)
async def issue_for_device(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Issue a short-lived key that may submit so many jobs."""
    body = await documents.read(request)
    wish = documents.parse(TokenWish, body)

    def write(connection: Connection) -> IssuedKey:
        return keys.issue_for_device(
            connection,
            caller,
            valid_for=dt.timedelta(seconds=wish.ttl_seconds),
            max_jobs=wish.max_jobs,
        )

    return await _issued(
        services, request, caller, idempotency_key=idempotency_key, body=body, write=write
    )


@router.get(
    "/v1/keys",
    summary="List keys",
    description="Those that are not valid any more included.",
    responses=documented("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def list_keys(
    services: OpenServices,
    caller: Administrator,
    *,
    tenant: Annotated[str | None, Query(pattern=TENANT_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 50,
    cursor: uuid.UUID | None = None,
) -> KeyPage:
    """Answer a page of the keys of the caller's tenant, or, for the operator, of any."""
    whose = _tenant(caller, tenant)
    async with services.reading() as connection:
        rows = await connection.run_sync(keys.listed, whose, after=cursor, limit=limit + 1)
    more = len(rows) > limit
    return KeyPage(
        items=[KeyAnswer(**_shown(row)) for row in rows[:limit]],
        next_cursor=rows[limit - 1].key_id if more else None,
    )


@router.delete(
    "/v1/keys/{key_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Revoke a key",
    description="Within a second or so it is not valid any more, nor are those for devices that it "
    "issued. One with the scope `operator` is revoked by `smart-filter keys revoke` alone.",
    responses=documented("unauthorized", "scope", "not_found", "unavailable"),
)
async def revoke(key_id: str, services: OpenServices, caller: Administrator) -> None:
    """Revoke a key of the caller's tenant, or, for the operator, of any."""
    try:
        named = uuid.UUID(key_id)
    except ValueError:
        raise NotFound(f"key {key_id}") from None
    tenant = None if caller.tenant == OPERATOR else caller.tenant
    async with services.transaction() as connection:
        await connection.run_sync(keys.revoke, named, tenant=tenant, spare_operators=True)


def _tenant(caller: Caller, named: str | None) -> Tenant:
    """Return whose keys are meant.

    Raises OutOfScope for another tenant, whether there is such a one or not.
    """
    if named is None or named == caller.tenant:
        return caller.tenant
    if caller.tenant != OPERATOR:
        raise OutOfScope("the key administers its own tenant only; leave `tenant` out")
    return Tenant(named)


async def _issued(
    services: Services,
    request: Request,
    caller: Caller,
    *,
    idempotency_key: str | None,
    body: bytes,
    write: Callable[[Connection], IssuedKey],
) -> Response:
    def issued(connection: Connection) -> Response:
        made = write(connection)
        answer = _answer(made.row, made.key)
        # Whoever lost the answer is given it again; nobody can read it where it waits for that.
        can_seal = services.seal is not None
        kept = answer if can_seal else _answer(made.row, None)
        once.remember(connection, kept, secret=can_seal)
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key, body) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.transaction() as connection:
            return await connection.run_sync(issued)


def _answer(row: KeyRow, key: str | None) -> Response:
    return Response(
        NewKeyAnswer(**_shown(row), key=key).model_dump_json(),
        status_code=status.HTTP_201_CREATED,
        media_type="application/json",
    )


def _shown(row: KeyRow) -> dict[str, Any]:  # what the model takes apart
    is_device = row.max_jobs is not None
    return {**asdict(row), "jobs": row.jobs if is_device else None}
