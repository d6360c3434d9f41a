"""Endpoints for API keys: issue, list and revoke them; issue device keys for end users."""

import datetime as dt
import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, security_log
from smart_filter_api.auth.api_keys import TENANT_PATTERN, Caller, IssuedKey, KeyRow
from smart_filter_api.http.documents import json_response, render_as
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.operating import (
    DEFAULT_KEY_SECONDS,
    DEFAULT_TOKEN_JOBS,
    DEFAULT_TOKEN_SECONDS,
    KeyRequest,
    TokenRequest,
)
from smart_filter_api.schemas.parameters import parse_id
from smart_filter_api.services import idempotency
from smart_filter_api.services.callers import Administrator, RecentAdministrator, Submitter
from smart_filter_api.services.container import OpenServices
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_shared.errors import InsufficientScope
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_wire.tenants import ApiKey, ApiKeyPage, NewApiKey

router = APIRouter(tags=["tenants"])

_MAX_PAGE_SIZE = 200


@router.post(
    "/v1/keys",
    status_code=status.HTTP_201_CREATED,
    summary="Issue a key",
    response_model=NewApiKey,
    openapi_extra=json_document.describe_body(KeyRequest),
    responses=describe_responses(
        *idempotency.PROBLEMS, *("invalid_request", "unsupported_media", "sign_in_again")
    ),
)
async def create_key(
    request: Request,
    services: OpenServices,
    caller: RecentAdministrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Issue a key for the caller's tenant; the operator may name another tenant.

    Only the operator's tenant issues keys without an end.
    """
    body = await json_document.read_body(request)
    payload = json_document.parse_document(KeyRequest, body)
    tenant = resolve_tenant(caller, payload.tenant)
    seconds = payload.expires_in_seconds
    if seconds is None and caller.tenant != OPERATOR:
        seconds = DEFAULT_KEY_SECONDS
    valid_for = None if seconds is None else dt.timedelta(seconds=seconds)

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        made = api_keys.issue(
            connection,
            tenant=tenant,
            scopes=payload.scopes,
            valid_for=valid_for,
            issuer=caller,
            actor=security_log.actor_of(request, caller),
        )
        return _remember_key(connection, once, made, can_seal=services.secret_box is not None)

    return await idempotency.write_once(
        services, request, caller, idempotency_key, write, payload=body
    )


@router.post(
    "/v1/tokens",
    status_code=status.HTTP_201_CREATED,
    summary="Issue a device key",
    description="A short-lived key for an end user's device, which can only submit photos and "
    "read the jobs of these. Its jobs belong to the tenant. It is revoked with the key that issued "
    "it.",
    response_model=NewApiKey,
    openapi_extra=json_document.describe_body(TokenRequest),
    responses=describe_responses(*idempotency.PROBLEMS, "invalid_request", "unsupported_media"),
)
async def create_token(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Issue a short-lived key that may submit a limited number of jobs."""
    body = await json_document.read_body(request)
    payload = json_document.parse_document(TokenRequest, body)

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        made = api_keys.issue_for_device(
            connection,
            caller,
            valid_for=dt.timedelta(seconds=payload.ttl_seconds or DEFAULT_TOKEN_SECONDS),
            max_jobs=payload.max_jobs or DEFAULT_TOKEN_JOBS,
        )
        return _remember_key(connection, once, made, can_seal=services.secret_box is not None)

    return await idempotency.write_once(
        services, request, caller, idempotency_key, write, payload=body
    )


@router.get(
    "/v1/keys",
    summary="List keys",
    description="Includes expired and revoked keys.",
    responses=describe_responses("malformed_request"),
)
async def list_keys(
    services: OpenServices,
    caller: Administrator,
    *,
    tenant: Annotated[str | None, Query(pattern=TENANT_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE_SIZE)] = 50,
    cursor: uuid.UUID | None = None,
) -> ApiKeyPage:
    """Return a page of the keys of the caller's tenant; the operator may name another tenant."""
    whose = resolve_tenant(caller, tenant)
    rows = await services.database.query(api_keys.list_keys, whose, after=cursor, limit=limit + 1)
    more = len(rows) > limit
    return ApiKeyPage(
        items=tuple(render_as(ApiKey, row, jobs=_jobs_of(row)) for row in rows[:limit]),
        next_cursor=str(rows[limit - 1].key_id) if more else None,
    )


@router.delete(
    "/v1/keys/{key_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Revoke a key",
    description="The key and the device keys that it issued become invalid within about a second. "
    "With `with_issued=true` so do the keys that it issued with `POST /v1/keys`, the keys that "
    "those issued, and so on. A key with the scope `operator` can only be revoked with "
    "`smart-filter keys revoke`.",
    responses=describe_responses("not_found"),
)
async def revoke_key(
    key_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    *,
    with_issued: bool = False,
) -> None:
    """Revoke a key of the caller's tenant; the operator may revoke any tenant's."""
    key = parse_id(key_id, "key")
    tenant = None if caller.tenant == OPERATOR else caller.tenant

    await services.database.transact(
        api_keys.revoke,
        security_log.actor_of(request, caller),
        key,
        tenant=tenant,
        with_issued=with_issued,
        spare_operators=True,
    )


def resolve_tenant(caller: Caller, name: str | None) -> Tenant:
    """Return the tenant whose keys the request concerns.

    Raises InsufficientScope for another tenant, whether it exists or not.
    """
    if name is None or name == caller.tenant:
        return caller.tenant
    if caller.tenant != OPERATOR:
        raise InsufficientScope("the key can only administer its own tenant; omit `tenant`")
    return Tenant(name)


def _remember_key(
    connection: Connection, once: IdempotentRequest, made: IssuedKey, *, can_seal: bool
) -> Response:
    """Return the answer with a new key, and store it for repeated requests."""
    answer = _key_response(made.row, made.key)
    # A client that lost the answer gets it again, so the key is stored encrypted. Without a secrets
    # key the stored answer lacks the API key.
    kept = answer if can_seal else _key_response(made.row, None)
    once.remember(connection, kept, secret=can_seal)
    return answer


def _key_response(row: KeyRow, key: str | None) -> Response:
    return json_response(
        render_as(NewApiKey, row, jobs=_jobs_of(row), key=key), status.HTTP_201_CREATED
    )


def _jobs_of(row: KeyRow) -> int | None:
    """Return the number of jobs that a device key submitted; None for another key."""
    return None if row.max_jobs is None else row.jobs
