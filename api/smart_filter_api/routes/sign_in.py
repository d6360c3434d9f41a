"""Pages of the sign-in at an OpenID Connect provider: start, callback and sign-out."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, csrf, oidc
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.oidc import Person, SignInFailed
from smart_filter_api.auth.sessions import NewSession
from smart_filter_api.services import security_log
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.tenants.audit_log import AuditEntry, AuditEvent

# For browsers, not for API clients.
router = APIRouter(prefix="/sign-in", include_in_schema=False)

_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
SIGN_OUT_PATH: Final = "/sign-in/oidc/sign-out"
_log = logger("sign_in")


@router.get("")
async def show_ways(services: OpenServices) -> JSONResponse:
    """Return the ways to sign in besides keys: the provider's label, or null."""
    provider = services.oidc
    return JSONResponse({"oidc": None if provider is None else {"label": provider.label}})


@router.get("/oidc")
async def begin(
    request: Request,
    services: OpenServices,
    then: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Send the browser to the provider.  Raises NotFound, CsrfRejected."""
    provider = _provider(services)
    # Another site's page cannot replace the session of this browser.
    csrf.verify_origin(request)
    path = oidc.local_path(then)
    try:
        attempt = await provider.begin(path)
    except SignInFailed as error:
        return _refused(request, services, error, path)
    answer = _redirect(attempt.url)
    csrf.set_attempt_cookie(
        request,
        answer,
        attempt.cookie,
        seconds=oidc.ATTEMPT_SECONDS,
        always_secure=services.session_secure,
    )
    return answer


@router.get("/oidc/callback")
async def finish(request: Request, services: OpenServices) -> Response:
    """Open a session for the person whom the provider names.  Raises NotFound, RateLimited."""
    provider = _provider(services)
    secure, lifetimes = services.session_secure, services.lifetimes
    cookie = csrf.read_attempt_cookie(request, always_secure=secure)
    former = csrf.read_cookie(request, always_secure=secure)
    digest = api_keys.hash_key(cookie or "")

    def begun(connection: Connection, person: Person) -> NewSession:
        if former is not None:
            browser_sessions.end(connection, former)
        opened = browser_sessions.open_for_person(
            connection, person.tenant, person.scopes, lifetimes
        )
        security_log.record(
            connection,
            request,
            opened.session.caller,
            AuditEvent.SIGNED_IN,
            f"oidc {person.issuer} {person.subject}",
        )
        return opened

    try:
        with services.sign_in_failures.attempt(client_network(request.scope), digest):
            person = await provider.finish(request.query_params, cookie)
    except SignInFailed as error:
        return _refused(request, services, error, "/")
    async with services.transaction() as connection:
        opened = await connection.run_sync(begun, person)
    answer = _redirect(person.return_path)
    csrf.set_attempt_cookie(request, answer, "", seconds=0, always_secure=secure)
    csrf.set_cookie(
        request,
        answer,
        opened.cookie,
        seconds=int(lifetimes.whole.total_seconds()),
        always_secure=secure,
    )
    csrf.set_provider_cookie(
        request, answer, seconds=int(lifetimes.whole.total_seconds()), always_secure=secure
    )
    return answer


@router.get("/oidc/sign-out")
async def sign_out(request: Request, services: OpenServices) -> Response:
    """Send the browser to the provider's sign-out, after DELETE /v1/session.

    Raises NotFound, CsrfRejected.
    """
    csrf.verify_origin(request)
    try:
        url = await _provider(services).sign_out_url()
    except SignInFailed:
        url = None  # the session of this service has ended in any case
    return _redirect(url or "/")


def _provider(services: Services) -> oidc.OidcProvider:
    if services.oidc is None:
        raise NotFound("no OpenID Connect provider is set (SMART_FILTER_OIDC_ISSUER)")
    return services.oidc


def _refused(request: Request, services: Services, error: SignInFailed, path: str) -> Response:
    """Return to the sign-in page, which says what to do, and count the failure."""
    network = client_network(request.scope)
    _log.warning("sign_in_failed", method="oidc", reason=str(error.reason), error=str(error))
    services.refusals.count(
        AuditEntry(OPERATOR, AuditEvent.SIGN_IN_FAILED, network=network, subject="oidc")
    )
    answer = _redirect(f"{path}#sign-in-failed={error.reason}")
    csrf.set_attempt_cookie(request, answer, "", seconds=0, always_secure=services.session_secure)
    return answer


def _redirect(url: str) -> RedirectResponse:
    return RedirectResponse(url, status.HTTP_303_SEE_OTHER, headers=_NO_STORE)
