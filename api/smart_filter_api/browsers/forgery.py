"""Cookies, and that no other page makes a browser send them (cross-site request forgery).

Three things stand between another page's request and a session: SameSite=Strict, so that browsers
leave the cookie out; Sec-Fetch-Site or Origin, which a page cannot set, must name this very site;
and what changes something carries a token, derived from the cookie, that only pages of this site
can read.
Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet: HMAC-based token bound to the
session in a custom header; Fetch Metadata; verifying origin with standard headers.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response

from smart_filter_shared.errors import Forged

TOKEN: Final = "X-CSRF-Token"  # noqa: S105 - the name of a header
# The prefix has browsers take it by https alone, from this very host, for all of it.
# Source: RFC 6265bis, 4.1.3.2.
SECURE_COOKIE: Final = "__Host-smart-filter"
PLAIN_COOKIE: Final = "smart-filter"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ABOUT: Final = b"smart-filter: what changes something"


def cookie_of(request: Request, *, always_secure: bool) -> str | None:
    """Return the cookie that a request carries."""
    return request.cookies.get(_name(request, always_secure=always_secure))


def set_cookie(
    request: Request, answer: Response, cookie: str, *, seconds: int, always_secure: bool
) -> None:
    """Have the browser keep a cookie for so long; 0: not any more.

    always_secure: for https alone also when the request did not come so.
    """
    name = _name(request, always_secure=always_secure)
    answer.set_cookie(
        name,
        cookie,
        max_age=seconds,
        path="/",
        secure=name == SECURE_COOKIE,
        httponly=True,
        samesite="strict",
    )


def token(cookie: str) -> str:
    """Return what requests that change something carry beside a cookie."""
    return hmac.new(cookie.encode(), _ABOUT, hashlib.sha256).hexdigest()


def refuse(request: Request, cookie: str) -> None:
    """Refuse what another page may have made the browser send.  Raises Forged."""
    refuse_foreign(request)
    if request.method in _SAFE:
        return
    sent = request.headers.get(TOKEN, "")
    if not hmac.compare_digest(sent.encode(), token(cookie).encode()):
        raise Forged(f"send `csrf_token` of GET /v1/session in the header {TOKEN}")


def refuse_foreign(request: Request) -> None:
    """Refuse what a page of another site sends.  Raises Forged."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_own = site in {"same-origin", "none"}
    else:
        origin = request.headers.get("Origin")
        is_own = origin is None or _is_own(request, origin)
    if not is_own:
        raise Forged("the request comes from a page of another site; use a key there")


def _is_own(request: Request, origin: str) -> bool:
    try:
        named = urlsplit(origin)
    except ValueError:
        return False
    # Behind a proxy that ends TLS this process sees http where the browser saw https.
    schemes = {"https"} if request.url.scheme == "https" else {"http", "https"}
    own = request.headers.get("Host", "").lower()
    return named.scheme in schemes and named.netloc.lower() == own


def _name(request: Request, *, always_secure: bool) -> str:
    return SECURE_COOKIE if always_secure or request.url.scheme == "https" else PLAIN_COOKIE
