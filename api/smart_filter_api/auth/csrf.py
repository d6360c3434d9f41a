"""Session cookies and their protection against cross-site request forgery (CSRF).

Three checks protect a session against requests of other pages. The cookie is SameSite=Strict, so
browsers leave it out of them. Sec-Fetch-Site or Origin, which a page cannot set, must name this
site. Requests that change something carry a token, derived from the cookie, that only pages of
this site can read.
Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet: HMAC-based token bound to the
session in a custom header; Fetch Metadata; verifying origin with standard headers.

CORS allows pages of other origins to call the API, with a key and never with a cookie.
Source: WHATWG Fetch, 3.2 (the CORS protocol).
"""

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from smart_filter_shared.errors import CsrfRejected

TOKEN_HEADER: Final = "X-CSRF-Token"  # noqa: S105 - the name of a header
# With the prefix `__Host-`, browsers accept the cookie only over https, from this host, for the
# path `/`.  Source: RFC 6265bis, 4.1.3.2.
SECURE_COOKIE: Final = "__Host-smart-filter"
PLAIN_COOKIE: Final = "smart-filter"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_CONTEXT: Final = b"smart-filter: what changes something"


class Cookie(StrEnum):
    """A cookie of a browser, by the end of its name."""

    SESSION = ""
    # A sign-in under way at a provider.
    ATTEMPT = "-oidc"
    # The browser signed in at a provider, by its own word: it only chooses a page.
    PROVIDER = "-provider"


def read_cookie(
    request: Request, cookie: Cookie = Cookie.SESSION, *, always_secure: bool
) -> str | None:
    """Return the content of a cookie of a request; None without one."""
    return request.cookies.get(_cookie_name(request, cookie, always_secure=always_secure))


def set_cookie(
    request: Request,
    answer: Response,
    content: str,
    cookie: Cookie = Cookie.SESSION,
    *,
    seconds: int,
    always_secure: bool,
) -> None:
    """Set a cookie on an answer.

    seconds: lifetime of the cookie; 0 deletes it.
    always_secure: restrict it to https even when the request came by http.
    """
    name = _cookie_name(request, cookie, always_secure=always_secure)
    answer.set_cookie(
        name,
        content,
        max_age=seconds,
        path="/",
        secure=name.startswith(SECURE_COOKIE),
        httponly=True,
        # The provider's page leads back to this service.
        samesite="lax" if cookie is Cookie.ATTEMPT else "strict",
    )


def derive_token(cookie: str) -> str:
    """Return the CSRF token of a cookie; requests that change something carry both."""
    return hmac.new(cookie.encode(), _TOKEN_CONTEXT, hashlib.sha256).hexdigest()


def verify_request(request: Request, cookie: str) -> None:
    """Reject a request that a page of another site may have sent.  Raises CsrfRejected."""
    verify_origin(request)
    if request.method in _SAFE_METHODS:
        return
    sent = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(sent.encode(), derive_token(cookie).encode()):
        raise CsrfRejected(
            f"the header {TOKEN_HEADER} must hold the `csrf_token` of GET /v1/session"
        )


def verify_origin(request: Request) -> None:
    """Reject a request that names another site as its origin.  Raises CsrfRejected."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_own = site in {"same-origin", "none"}
    else:
        origin = request.headers.get("Origin")
        is_own = origin is None or _is_same_origin(request, origin)
    if not is_own:
        raise CsrfRejected("the request comes from a page of another site; use an API key there")


def _is_same_origin(request: Request, origin: str) -> bool:
    try:
        sender = urlsplit(origin)
    except ValueError:
        return False
    # Behind a proxy that terminates TLS, this process sees http where the browser saw https.
    schemes = {"https"} if request.url.scheme == "https" else {"http", "https"}
    host = request.headers.get("Host", "").lower()
    return sender.scheme in schemes and sender.netloc.lower() == host


def _cookie_name(request: Request, cookie: Cookie, *, always_secure: bool) -> str:
    is_secure = always_secure or request.url.scheme == "https"
    return (SECURE_COOKIE if is_secure else PLAIN_COOKIE) + cookie


_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Request headers beyond the CORS-safelisted ones.
_REQUEST_HEADERS: Final = (
    *("Authorization", "X-Api-Key", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer"),
    *("If-Match", "If-None-Match", "Range", "If-Range", "X-Request-Id", "traceparent"),
)
# Response headers beyond the CORS-safelisted ones.
_EXPOSED_HEADERS: Final = (
    *("ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Preference-Applied"),
    *("Link", "Idempotency-Replayed", "WWW-Authenticate", "X-Request-Id", "Allow"),
    *("Content-Disposition", "Content-Range", "Accept-Ranges"),
    # Of the interface of remove.bg.
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Credits-Charged"),
    *("X-Type", "X-Width", "X-Height", "X-Max-Width", "X-Max-Height"),
    *(f"X-Foreground-{side}" for side in ("Top", "Left", "Width", "Height")),
)
_PREFLIGHT_MAX_AGE_SECONDS: Final = 600


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call an app: `*` allows all, an empty list none."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            # Session cookies are for the service's own pages only.
            allow_credentials=False,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
            max_age=_PREFLIGHT_MAX_AGE_SECONDS,
        )
