"""Endpoints for browser sessions: sign in, read, sign out; list and end the sessions of a key."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, csrf, security_log
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.csrf import Cookie
from smart_filter_api.auth.sessions import NewSession, Session
from smart_filter_api.http.documents import json_response
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.routes.sign_in import SIGN_OUT_PATH
from smart_filter_api.schemas import operating
from smart_filter_api.schemas.operating import OpenSession, OpenSessions, SessionRequest
from smart_filter_api.schemas.parameters import parse_id
from smart_filter_api.services.callers import AnyKey, BrowserSession
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.tenants.audit_log import AuditEvent

router = APIRouter(prefix="/v1", tags=["session"])


@router.post(
    "/session",
    status_code=status.HTTP_201_CREATED,
    summary="Sign in",
    description="Sign in with a key, or with a one-time code such as `smart-filter up` shows. The "
    "answer sets a cookie with the permissions of the key.",
    response_model=operating.Session,
    openapi_extra=json_document.describe_body(SessionRequest),
    responses=describe_responses("malformed_request", "unsupported_media", "invalid_request"),
)
async def sign_in(request: Request, services: OpenServices) -> Response:
    """Open a session; the browser's previous session ends."""
    csrf.verify_origin(request)
    payload = json_document.parse_document(SessionRequest, await json_document.read_body(request))
    lifetimes, secure = services.sign_in.lifetimes, services.sign_in.secure
    former = csrf.read_cookie(request, always_secure=secure)

    def open_session(connection: Connection) -> NewSession:
        if former is not None:
            browser_sessions.end(connection, former)
        if payload.key is not None:
            opened = browser_sessions.open_with_key(connection, payload.key, lifetimes)
        else:
            opened = browser_sessions.open_with_code(connection, str(payload.code), lifetimes)
        security_log.record(connection, request, opened.session.caller, AuditEvent.SIGNED_IN)
        return opened

    digest = api_keys.hash_key(payload.key or str(payload.code))
    with services.limits.sign_in_failures.attempt(client_network(request.scope), digest):
        opened = await services.database.transact(open_session)
    answer = _session_response(opened.session, opened.cookie, status.HTTP_201_CREATED)
    csrf.set_cookie(
        request,
        answer,
        opened.cookie,
        seconds=int(lifetimes.whole.total_seconds()),
        always_secure=secure,
    )
    if csrf.read_cookie(request, Cookie.PROVIDER, always_secure=secure):
        csrf.set_cookie(request, answer, "", Cookie.PROVIDER, seconds=0, always_secure=secure)
    return answer


@router.get(
    "/session",
    summary="Get the session",
    response_model=operating.Session,
    responses=describe_responses("unauthorized", "unavailable", needs_key=False),
)
async def get_session(
    request: Request, services: OpenServices, session: BrowserSession
) -> Response:
    """Return the session and its CSRF token."""
    cookie = csrf.read_cookie(request, always_secure=services.sign_in.secure)
    return _session_response(session, str(cookie), status.HTTP_200_OK)


@router.delete(
    "/session",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Sign out",
    responses=describe_responses("unauthorized", "unavailable", needs_key=False),
)
async def sign_out(request: Request, services: OpenServices, session: BrowserSession) -> Response:
    """End the session."""
    secure = services.sign_in.secure
    cookie = csrf.read_cookie(request, always_secure=secure)

    def end(connection: Connection) -> None:
        browser_sessions.end(connection, str(cookie))
        security_log.record(connection, request, session.caller, AuditEvent.SIGNED_OUT)

    await services.database.transact(end)
    answer = Response(status_code=status.HTTP_204_NO_CONTENT)
    if services.sign_in.provider is not None and csrf.read_cookie(
        request, Cookie.PROVIDER, always_secure=secure
    ):
        # The page goes there next, so that the provider's own session ends too.
        answer.headers["Location"] = SIGN_OUT_PATH
        csrf.set_cookie(request, answer, "", Cookie.PROVIDER, seconds=0, always_secure=secure)
    csrf.set_cookie(request, answer, "", seconds=0, always_secure=secure)
    return answer


@router.get(
    "/sessions",
    summary="List sessions",
    description="The browser sessions of the caller's key, the newest first. The key of a person "
    "whom a provider signed in has one session.",
    responses=describe_responses(),
)
async def list_sessions(request: Request, services: OpenServices, caller: AnyKey) -> OpenSessions:
    """Return the sessions of the caller's key."""
    cookie = csrf.read_cookie(request, always_secure=services.sign_in.secure)
    rows = await services.database.query(
        browser_sessions.list_of_key,
        caller.key_id,
        services.sign_in.lifetimes,
        cookie=cookie or "",
    )
    return OpenSessions(items=[OpenSession(**asdict(row)) for row in rows])


@router.delete(
    "/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="End a session",
    description="Signs another browser out, such as that of a lost device.",
    responses=describe_responses("not_found"),
)
async def delete_session(
    session_id: str, request: Request, services: OpenServices, caller: AnyKey
) -> None:
    """End a session of the caller's key."""
    session = parse_id(session_id, "session")

    def end(connection: Connection) -> None:
        browser_sessions.end_of_key(connection, caller.key_id, session)
        security_log.record(connection, request, caller, AuditEvent.SIGNED_OUT, session)

    await services.database.transact(end)


def _session_response(session: Session, cookie: str, code: int) -> Response:
    caller = session.caller
    shown = operating.Session(
        tenant=caller.tenant,
        key_id=caller.key_id,
        scopes=sorted(caller.scopes),  # type: ignore[arg-type]  # the model accepts strings too
        created_at=session.created_at,
        expires_at=session.expires_at,
        csrf_token=csrf.derive_token(cookie),
    )
    return json_response(shown, code)
