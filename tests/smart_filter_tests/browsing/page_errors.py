"""Record errors that a browser reports during a journey."""

import re
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

from smart_filter_deploy.embedded.addresses import LOOPBACK

# Chromium's messages for requests when the line is cut, or the service is away.
LINE_CUT: Final = "net::ERR_"
# Its message for requests without a session: before a sign-in, and under way at a sign-out.
SIGNED_OUT: Final = "status of 401"
# Addresses that a page makes itself and no server sees.
_OWN = {"about", "blob", "data"}


class PageErrors:
    """Records console errors, uncaught errors, crashes, and requests to other machines.

    Chromium reports Content-Security-Policy violations and answers above 399 on the console. On the
    loopback address of this machine, the stack's API, storage and live worker listen.
    """

    def __init__(self, context: BrowserContext) -> None:
        self._complaints: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("page", self._page)

    def expect(self, complaint: str) -> None:
        """Ignore errors that match a regular expression, because the journey is about them."""
        self._expected.append(re.compile(complaint))

    @property
    def unexpected(self) -> list[str]:
        """The unexpected errors, in order."""
        return [
            complaint
            for complaint in self._complaints
            if not any(pattern.search(complaint) for pattern in self._expected)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complaints.append(f"console: {message.text} ({message.location['url']})")

    def _error(self, error: WebError) -> None:
        self._complaints.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        self._look_at(request.url)

    def _page(self, page: Page) -> None:
        page.on("crash", lambda _: self._complaints.append("the page crashed"))
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self._look_at(socket.url)

    def _look_at(self, url: str) -> None:
        target = urlsplit(url)
        if target.scheme not in _OWN and target.hostname != LOOPBACK:
            self._complaints.append(f"another machine: {url}")
