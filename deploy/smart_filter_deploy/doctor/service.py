"""Check the running service: API, key, studio, live video, browsers, outbound access."""

import os
import socket
import threading
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn

if TYPE_CHECKING:  # a bare install lacks the settings' packages
    from smart_filter_shared.config.settings import BrowserSettings

_TIMEOUT_SECONDS = 3.0
# The API builds its OpenAPI document at the first request for it, which took 4 s on a machine with
# a load of ten times its processors.
_FIRST_TIMEOUT_SECONDS = 15.0
# `up` starts the live worker with its first client, which took over 15 s with a load of ten times
# the processors.
_START_TIMEOUT_SECONDS = 60.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# The host of weights; a machine that reaches it reaches public hosts.
_PUBLIC_HOST = ("files.pythonhosted.org", 443)
_HOUR_SECONDS = 3600


def check_api(url: str, api_key: str) -> Iterator[Finding]:
    """Check an API: liveness, version, key, studio and live video."""
    try:
        with _http(url) as http:
            alive = http.get("/livez")
            theirs = str(http.get("/openapi.json").json()["info"]["version"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        if _is_unknown_name(error):
            fix = "correct SMART_FILTER_URL, or add the name to DNS or /etc/hosts"
            yield fail("api", f"the host name of {url} does not resolve", fix)
        else:
            said = f"{url} does not answer like a Smart Filter API ({type(error).__name__})"
            yield fail("api", said, "start it, or correct SMART_FILTER_URL")
        return
    if alive.is_success:
        yield ok("api", f"{url} answers")
    else:
        fix = "see the log of the API, and of a proxy in front"
        yield fail("api", f"{url}/livez answers {alive.status_code}", fix)
    ours = version("smart-filter")
    if theirs != ours:
        said = f"the API has version {theirs}, this program {ours}"
        yield warn("version", said, "update the older one")
    yield from _check_key(url, api_key)
    yield from check_links(url, _find_link(url, api_key))
    yield from _check_studio(url)
    yield from _check_live(url, api_key)


def _check_key(url: str, api_key: str) -> Iterator[Finding]:
    with Client(url, api_key, attempts=1) as client:
        try:
            client.models()
        except client_errors.Refused as error:
            fix = "correct SMART_FILTER_API_KEY"
            yield fail("key", f"the API rejects it ({error.code})", fix)
        except client_errors.Error as error:
            yield fail("key", f"cannot be checked ({error})", "fix the API first")
        else:
            yield ok("key", "the API accepts it")


def _find_link(url: str, api_key: str) -> str | None:
    """Return a signed link to an output of a recent job, or None without one."""
    with Client(url, api_key, attempts=1) as client:
        try:
            recent = client.jobs(state="succeeded", limit=1, summary=True)
            return next((link for job in recent for link in job.output_links.values()), None)
        except client_errors.Error:
            return None


def check_links(url: str, link: str | None) -> Iterator[Finding]:
    """Check that signed links are https where the API is.

    link: one of them; None: there is none to look at.
    """
    if urlsplit(url).scheme != "https":
        return
    fix = f"set SMART_FILTER_PUBLIC_URL={url} for the API and the senders"
    scheme = "" if link is None else urlsplit(link).scheme
    if link is not None and scheme != "https":
        said = f"signed links are {scheme or 'paths'}: the proxy's https is not known"
        yield warn("links", said, fix)
    elif link is None and not os.environ.get("SMART_FILTER_PUBLIC_URL"):
        said = "SMART_FILTER_PUBLIC_URL is not set, and without it links may be http"
        yield warn("links", said, fix)
    else:
        yield ok("links", "signed links are https")


def _check_studio(url: str) -> Iterator[Finding]:
    try:
        with _http(url) as http:
            page = http.get("/")
    except httpx.HTTPError as error:
        yield fail(
            "studio", f"{url}/ does not answer ({type(error).__name__})", "fix the API first"
        )
        return
    if page.is_success and page.headers.get("Content-Type", "").startswith("text/html"):
        yield ok("studio", f"{url}/ shows the page")
    else:
        said = f"{url}/ answers {page.status_code} without a page"
        yield fail("studio", said, "configure the proxy to forward `/` and `/studio` too")


def _check_live(url: str, api_key: str) -> Iterator[Finding]:
    """Check live video: whether the API has it, and whether its worker answers."""
    with Client(url, api_key, attempts=1) as client:
        try:
            ticket = client.open_live()
        except client_errors.Refused as error:
            if error.code == "not_available":
                needs = "`smart-filter live-worker`, and the settings of docs/live.md"
                yield ok("live", f"no live video here; it needs {needs}")
            else:
                fix = "use a key with the scope submit"
                yield warn("live", f"cannot be checked ({error.code})", fix)
            return
        except client_errors.Error as error:
            yield fail("live", f"cannot be checked ({error})", "fix the API first")
            return
    place = urlsplit(ticket.url)
    at = f"http{'s' if place.scheme == 'wss' else ''}://{place.netloc}"
    try:
        with _http(at) as http:
            alive = http.get("/livez", timeout=_START_TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        said = f"the live worker at {at} does not answer ({type(error).__name__})"
        yield fail("live", said, "start `smart-filter live-worker`, or correct its URL")
        return
    if alive.is_success:
        yield ok("live", f"the live worker at {at} answers")
    else:
        fix = "start `smart-filter live-worker`, or correct its URL"
        yield fail("live", f"{at}/livez answers {alive.status_code}", fix)


def check_browsers(settings: "BrowserSettings", url: str | None) -> Iterator[Finding]:
    """Check cookies and CORS of browsers, and whether users can sign in.

    url: the API's URL; None when it is not known.
    """
    place = urlsplit(url or "")
    is_open = place.scheme == "http" and place.hostname not in _LOOPBACK
    hours = f"{settings.session_idle_seconds / _HOUR_SECONDS:g} h without use or"
    hours = f"{hours} {settings.session_seconds / _HOUR_SECONDS:g} h in total"
    if is_open and settings.session_secure:
        fix = "use an https URL, or unset SMART_FILTER_SESSION_SECURE"
        yield fail("browsers", f"users cannot sign in at {url}: cookies are for https only", fix)
    elif is_open:
        fix = "put a proxy that terminates TLS in front of it (docs/browsers.md)"
        yield warn("browsers", f"{url} transfers keys, cookies and photos without encryption", fix)
    elif "*" in settings.cors_origins:
        fix = "list the allowed origins in SMART_FILTER_CORS_ORIGINS"
        yield warn("browsers", "pages of any origin may call the API with a key", fix)
    else:
        origins = ", ".join(settings.cors_origins) or "none"
        yield ok("browsers", f"sessions end after {hours}; other allowed origins: {origins}")


def check_outbound() -> Iterator[Finding]:
    """Check whether this machine reaches public hosts, which photo_url and webhooks need."""
    failures = ["no answer"]

    def try_it() -> None:
        try:
            socket.create_connection(_PUBLIC_HOST, _TIMEOUT_SECONDS).close()
            failures.clear()
        except OSError as error:
            failures[:] = [error.strerror or str(error)]

    # In a thread, because a DNS lookup has no timeout.
    attempt = threading.Thread(target=try_it, daemon=True)
    attempt.start()
    attempt.join(_TIMEOUT_SECONDS)
    if failures:
        # Not a failure: an internal service may have no outbound access.
        said = f"this machine does not reach public hosts ({failures[0]})"
        yield ok("outbound", f"{said}; photo_url, url: and webhooks to them need it")
    else:
        yield ok("outbound", "this machine reaches public hosts")


def _is_unknown_name(error: BaseException | None) -> bool:
    # HTTPX distinguishes it from a server that is down only by the cause of its error.
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None


def _http(url: str) -> httpx.Client:
    # A proxy from the environment cannot reach this machine's loopback interface.
    is_here = httpx.URL(url).host in _LOOPBACK
    timeout = httpx.Timeout(_FIRST_TIMEOUT_SECONDS, connect=_TIMEOUT_SECONDS)
    return httpx.Client(base_url=url, timeout=timeout, trust_env=not is_here)
