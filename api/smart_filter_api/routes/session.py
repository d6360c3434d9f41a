"""The session of a browser: sign in, look, sign out."""

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api import documents
from smart_filter_api.browsers import forgery
from smart_filter_api.browsers import sessions as browser_sessions
from smart_filter_api.browsers.sessions import Opened, Session
from smart_filter_api.deps import OpenServices, Services, Visit, told_to_wait
from smart_filter_api.networks import network_of
from smart_filter_api.problems import documented
from smart_filter_api.schemas.sessions import SessionAnswer, SessionWish
from smart_filter_shared.ids import Tenant

router = APIRouter(prefix="/v1/session", tags=["session"])

# Guessing is hopeless, and what hashing and looking up costs is bounded all the same.
_ATTEMPTS_PER_MINUTE = 30


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Sign in",
    description="With a key, or with a code such as `smart-filter up` shows, which works once. The "
    "cookie that comes with the answer does what the key does.",
    response_model=SessionAnswer,
    openapi_extra=documents.described(SessionWish),
    responses=documented(
        *("malformed_request", "unsupported_media", "invalid_request"),
        *("unauthorized", "scope", "unavailable"),
    ),
)
async def sign_in(request: Request, services: OpenServices) -> Response:
    """Open a session; one that the browser has ends."""
    forgery.refuse_foreign(request)
    await _count_attempt(request, services)
    wish = documents.parse(SessionWish, await documents.read(request))
    lifetimes, secure = services.lifetimes, services.session_secure
    former = forgery.cookie_of(request, always_secure=secure)

    def begun(connection: Connection) -> Opened:
        if former is not None:
            browser_sessions.end(connection, former)
        if wish.key is not None:
            return browser_sessions.open_with_key(connection, wish.key, lifetimes)
        return browser_sessions.open_with_code(connection, str(wish.code), lifetimes)

    async with services.transaction() as connection:
        opened = await connection.run_sync(begun)
    answer = _answer(opened.session, opened.cookie, status.HTTP_201_CREATED)
    forgery.set_cookie(
        request,
        answer,
        opened.cookie,
        seconds=int(lifetimes.whole.total_seconds()),
        always_secure=secure,
    )
    return answer


@router.get(
    "",
    summary="Look at the session",
    response_model=SessionAnswer,
    responses=documented("unauthorized", "unavailable"),
)
async def show(request: Request, services: OpenServices, session: Visit) -> Response:
    """Answer whose session it is, and its token."""
    cookie = forgery.cookie_of(request, always_secure=services.session_secure)
    return _answer(session, str(cookie), status.HTTP_200_OK)


@router.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Sign out",
    responses=documented("unauthorized", "unavailable"),
)
async def sign_out(request: Request, services: OpenServices, session: Visit) -> Response:
    """End the session."""
    del session
    secure = services.session_secure
    cookie = forgery.cookie_of(request, always_secure=secure)
    async with services.transaction() as connection:
        await connection.run_sync(browser_sessions.end, str(cookie))
    answer = Response(status_code=status.HTTP_204_NO_CONTENT)
    forgery.set_cookie(request, answer, "", seconds=0, always_secure=secure)
    return answer


async def _count_attempt(request: Request, services: Services) -> None:
    """Count an attempt to sign in against its network.  Raises RateLimited."""
    # No tenant is called so.
    network = Tenant(f"sign in from {network_of(request.client)}")
    allowance = await services.rates.take(network, _ATTEMPTS_PER_MINUTE)
    told_to_wait(allowance, f"{_ATTEMPTS_PER_MINUTE} attempts a minute are allowed")


def _answer(session: Session, cookie: str, code: int) -> Response:
    caller = session.caller
    shown = SessionAnswer(
        tenant=caller.tenant,
        key_id=caller.key_id,
        scopes=sorted(caller.scopes),  # type: ignore[arg-type]  # the model takes texts as well
        created_at=session.created_at,
        expires_at=session.expires_at,
        csrf_token=forgery.token(cookie),
    )
    return Response(shown.model_dump_json(), status_code=code, media_type="application/json")
