"""Pages of the sign-in at an OpenID Connect provider: start, callback and sign-out."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, csrf, oidc, security_log
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.csrf import Cookie
from smart_filter_api.auth.oidc import Person, SignInFailed
from smart_filter_api.auth.sessions import NewSession
from smart_filter_api.http.request_checks import is_from_operator
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


@dataclass(frozen=True, slots=True)
class _Way:
    """A sign-in at a provider, which leads the browser back to `base_url`."""

    provider: oidc.OidcProvider
    base_url: str


@router.get("")
async def show_ways(request: Request, services: OpenServices) -> JSONResponse:
    """Return the ways to sign in besides keys: the provider's label, or null."""
    way = _find_way(request, services)
    return JSONResponse({"oidc": None if way is None else {"label": way.provider.label}})


@router.get("/oidc")
async def begin(
    request: Request,
    services: OpenServices,
    then: Annotated[str | None, Query(max_length=100)] = None,
    *,
    again: bool = False,
) -> Response:
    """Send the browser to the provider.  Raises NotFound, CsrfRejected.

    again: whether the person must prove who they are, as sensitive changes need it.
    """
    way = _require_way(request, services)
    # Another site's page cannot replace the session of this browser.
    csrf.verify_origin(request)
    path = "/admin" if then == "/admin" and is_from_operator(request) else "/"
    try:
        attempt = await way.provider.begin(way.base_url, path, again=again)
    except SignInFailed as error:
        return _refused(request, services, error, path)
    answer = _redirect(attempt.url)
    csrf.set_cookie(
        request,
        answer,
        attempt.cookie,
        Cookie.ATTEMPT,
        seconds=oidc.ATTEMPT_SECONDS,
        always_secure=services.sign_in.secure,
    )
    return answer


@router.get("/oidc/callback")
async def finish(request: Request, services: OpenServices) -> Response:
    """Open a session for the person whom the provider names.  Raises NotFound, RateLimited."""
    provider = _require_way(request, services).provider
    secure, lifetimes = services.sign_in.secure, services.sign_in.lifetimes
    cookie = csrf.read_cookie(request, Cookie.ATTEMPT, always_secure=secure)
    former = csrf.read_cookie(request, always_secure=secure)
    digest = api_keys.hash_key(cookie or "")

    def open_session(connection: Connection, person: Person) -> NewSession:
        if former is not None:
            browser_sessions.end(connection, former)
        opened = browser_sessions.open_for_person(
            connection,
            person.tenant,
            person.scopes,
            lifetimes,
            signed_in_at=person.signed_in_at,
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
        # Not counted: any page can make a browser ask for this address without its cookie.
        kept = provider.match(request.query_params, cookie)
        with services.limits.sign_in_failures.attempt(client_network(request.scope), digest):
            person = await provider.finish(request.query_params, kept)
    except SignInFailed as error:
        return _refused(request, services, error, "/")
    opened = await services.database.transact(open_session, person)
    answer = _redirect(person.return_path)
    csrf.set_cookie(request, answer, "", Cookie.ATTEMPT, seconds=0, always_secure=secure)
    seconds = int(lifetimes.whole.total_seconds())
    for content, kind in ((opened.cookie, Cookie.SESSION), ("1", Cookie.PROVIDER)):
        csrf.set_cookie(request, answer, content, kind, seconds=seconds, always_secure=secure)
    return answer


@router.get("/oidc/sign-out")
async def sign_out(request: Request, services: OpenServices) -> Response:
    """Send the browser to the provider's sign-out, after DELETE /v1/session.

    Raises NotFound, CsrfRejected.
    """
    csrf.verify_origin(request)
    try:
        way = _require_way(request, services)
        url = await way.provider.sign_out_url(way.base_url)
    except SignInFailed:
        url = None  # the session of this service has ended in any case
    return _redirect(url or "/")


def _find_way(request: Request, services: Services) -> _Way | None:
    """Return the provider for browsers at the port of a request; None without one."""
    provider = services.sign_in.provider
    if provider is None:
        return None
    base_url = provider.operators_url if is_from_operator(request) else provider.public_url
    return None if base_url is None else _Way(provider, base_url.rstrip("/"))


def _require_way(request: Request, services: Services) -> _Way:
    way = _find_way(request, services)
    if way is None:
        raise NotFound("no OpenID Connect provider is set for this port (docs/sign-in.md)")
    return way


def _refused(request: Request, services: Services, error: SignInFailed, path: str) -> Response:
    """Return to the sign-in page, which says what to do, and count the failure."""
    network = client_network(request.scope)
    _log.warning("sign_in_failed", method="oidc", reason=str(error.reason), error=str(error))
    services.refusals.count(
        AuditEntry(OPERATOR, AuditEvent.SIGN_IN_FAILED, network=network, subject="oidc")
    )
    answer = _redirect(f"{path}#sign-in-failed={error.reason}")
    csrf.set_cookie(
        request, answer, "", Cookie.ATTEMPT, seconds=0, always_secure=services.sign_in.secure
    )
    return answer


def _redirect(url: str) -> RedirectResponse:
    return RedirectResponse(url, status.HTTP_303_SEE_OTHER, headers=_NO_STORE)
