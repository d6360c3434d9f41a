"""Dependencies of routes: the caller of a request, by key or browser session, and link options."""

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, csrf, links, security_log
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.auth.sessions import FRESH, Session
from smart_filter_api.services.container import OpenServices, Services, services_of
from smart_filter_shared.errors import InsufficientScope, SignInAgain, Unauthorized
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.recipe.files import MAX_NAME_CHARACTERS
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.tenants.audit_log import Actor

# A device may use this part of its tenant's requests, and no more than two a second, so that one
# device cannot lock its tenant out.
_DEVICE_SHARE: Final = 4
_DEVICE_REQUESTS_PER_MINUTE: Final = 120

BEARER = HTTPBearer(auto_error=False, description="An API key: `sf_live_…`")
_COOKIE = APIKeyCookie(
    name=csrf.SECURE_COOKIE,
    scheme_name="Session",
    auto_error=False,
    description="A browser session from POST /v1/session. Requests that change something send its "
    f"`csrf_token` in the header {csrf.TOKEN_HEADER}. Over http the cookie is {csrf.PLAIN_COOKIE}",
)

FOREIGN: Final = "another key submitted it; the scope admin is needed"
# The API key or the session of a request; None without one.
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
SessionCookie = Annotated[str | None, Depends(_COOKIE)]


def _require_scope(
    scope: Scope | None, *, also: Scope | None = None, also_devices: bool = False
) -> Callable[..., Awaitable[Caller]]:
    async def authenticated(request: Request, credentials: Credentials, _: SessionCookie) -> Caller:
        services = services_of(request)
        caller = await authorize(request, services, credentials, scope, also_devices=also_devices)
        if also is not None and also not in caller.scopes:
            raise InsufficientScope(f"the key lacks the scope {also}")
        return caller

    return authenticated


def list_foreign_jobs(
    connection: Connection,
    caller: Caller,
    job_ids: Collection[JobId] = (),
    batch: BatchId | None = None,
) -> frozenset[JobId]:
    """Return the jobs of these, and of a batch, that a caller may not change."""
    if Scope.ADMIN in caller.scopes:
        return frozenset()
    return queries.list_jobs_of_other_keys(connection, job_ids, caller.tenant, caller.key_id, batch)


def refuse_foreign(
    connection: Connection,
    caller: Caller,
    job_ids: Collection[JobId] = (),
    batch: BatchId | None = None,
) -> None:
    """Raise InsufficientScope if another key submitted any of these jobs."""
    if list_foreign_jobs(connection, caller, job_ids, batch):
        raise InsufficientScope(FOREIGN)


async def authorize_directly(request: Request, scope: Scope) -> Caller:
    """Return the caller of a request to a route that accepts device keys and has no dependencies.

    Otherwise as `authorize`.
    """
    credentials = await BEARER(request)
    return await authorize(request, services_of(request), credentials, scope, also_devices=True)


async def authorize(
    request: Request,
    services: Services,
    credentials: HTTPAuthorizationCredentials | None,
    scope: Scope | None,
    *,
    also_devices: bool,
) -> Caller:
    """Return the caller of a request, and count the request.

    credentials: its key; None: the browser session decides.  scope: None: any.
    also_devices: whether device keys are accepted, whatever the scope.
    Raises Unauthorized, CsrfRejected, RateLimited, InsufficientScope.
    """
    if credentials is None:
        caller = (await find_browser_session(request, services)).caller
        await _count_request(request, services, caller)
    else:
        caller = await identify_caller(request, services, credentials.credentials)
    if caller.is_device:
        if not also_devices:
            raise InsufficientScope("a device key can only submit photos and read its own jobs")
    elif scope is not None and scope not in caller.scopes:
        raise InsufficientScope(f"the key lacks the scope {scope}")
    return caller


async def identify_caller(request: Request, services: Services, key: str) -> Caller:
    """Return the caller of a key, and count the request.  Raises Unauthorized, RateLimited."""
    digest = api_keys.hash_key(key)
    network = client_network(request.scope)
    caller = await services.caches.callers.get(
        digest, lambda: _authenticate(services, digest, network)
    )
    await _count_request(request, services, caller)
    return caller


async def _authenticate(services: Services, digest: bytes, network: str) -> Caller:
    with services.limits.key_failures.attempt(network, digest):
        return await services.database.query(
            api_keys.authenticate, digest, usual=services.limits.usual
        )


async def find_browser_session(request: Request, services: Services) -> Session:
    """Return the session of a request's browser.

    Raises Unauthorized, CsrfRejected, RateLimited.
    """
    cookie = csrf.read_cookie(request, always_secure=services.sign_in.secure)
    if cookie is None:
        raise Unauthorized("the header `Authorization: Bearer KEY` is missing")
    csrf.verify_request(request, cookie)
    digest = api_keys.hash_key(cookie)
    with services.limits.key_failures.attempt(client_network(request.scope), digest):
        return await services.database.query(
            browser_sessions.find,
            cookie,
            services.sign_in.lifetimes,
            usual=services.limits.usual,
        )


async def _count_request(request: Request, services: Services, caller: Caller) -> None:
    """Note a request's caller and count it against its tenant's limit.

    Answers show the remaining allowance.
    """
    request.state.caller = caller
    per_minute = caller.limits.requests_per_minute
    if not per_minute:
        return
    if caller.is_device:
        # First, so that what is refused here costs its tenant nothing.
        per_device = max(1, min(_DEVICE_REQUESTS_PER_MINUTE, per_minute // _DEVICE_SHARE))
        await _take_request(request, services, f"{caller.tenant} {caller.key_id}", per_device)
    await _take_request(request, services, caller.tenant, per_minute)


async def _take_request(request: Request, services: Services, bucket: str, per_minute: int) -> None:
    allowance = await services.limits.rates.take(bucket, per_minute)
    request.state.allowance = allowance
    request.state.rate_limit = allowance.headers()
    allowance.require()


async def _require_browser_session(
    request: Request, services: OpenServices, _: Annotated[str | None, Depends(_COOKIE)]
) -> Session:
    return await find_browser_session(request, services)


BrowserSession = Annotated[Session, Depends(_require_browser_session)]
# Device keys of end users may only submit photos and read the jobs of these; a route that accepts
# them compares the job's `device_key_id`. Everything else needs a key of the tenant.
PhotoSender = Annotated[Caller, Depends(_require_scope(Scope.SUBMIT, also_devices=True))]
Submitter = Annotated[Caller, Depends(_require_scope(Scope.SUBMIT))]
JobReader = Annotated[Caller, Depends(_require_scope(Scope.READ, also_devices=True))]
Reader = Annotated[Caller, Depends(_require_scope(Scope.READ))]
# Derives jobs, which show what was read in the photo of another key's job.
Deriver = Annotated[Caller, Depends(_require_scope(Scope.SUBMIT, also=Scope.READ))]
AnyKey = Annotated[Caller, Depends(_require_scope(None))]
Administrator = Annotated[Caller, Depends(_require_scope(Scope.ADMIN))]
Operator = Annotated[Caller, Depends(_require_scope(Scope.OPERATOR))]


async def read_link_terms(
    request: Request,
    expires_in: Annotated[
        int | None,
        Query(
            ge=links.MIN_SECONDS,
            le=links.MAX_SECONDS,
            description="Lifetime of `output_links` in seconds",
        ),
    ] = None,
    download: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_NAME_CHARACTERS,
            description="Browsers save what `output_links` open: `1`, or a file name to use",
        ),
    ] = None,
) -> LinkTerms | None:
    """Return how the links of the answer to a request are made; None without a secrets key."""
    services = services_of(request)
    if services.links.signer is None:
        return None
    return LinkTerms(
        services.links.signer,
        base_url=services.links.base_url(request),
        default_seconds=services.links.seconds,
        seconds=expires_in,
        download=download,
    )


LinkOptions = Annotated[LinkTerms | None, Depends(read_link_terms)]


async def _require_recent_sign_in(caller: Administrator) -> Caller:
    if not caller.is_fresh:
        raise SignInAgain(f"the sign-in is more than {FRESH.seconds // 60} minutes old")
    return caller


RecentAdministrator = Annotated[Caller, Depends(_require_recent_sign_in)]


async def _name_actor(request: Request, caller: Operator) -> Actor:
    return security_log.actor_of(request, caller)


ActingOperator = Annotated[Actor, Depends(_name_actor)]
