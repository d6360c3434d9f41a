"""The ground that journeys stand on: what goes wrong in the browser is heard, the camera shows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.pixels import Pixels, pixels, share_changed
from smart_filter_tests.browsing.witness import Witness

_POLICY = "default-src 'none'; script-src 'self'; img-src http: data:; connect-src 'self'"


@contextmanager
def _site(page: str, script: str) -> Iterator[str]:
    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"/": (page, "text/html"), "/script.js": (script, "text/javascript")}
            content, kind = found.get(self.path, ("", "text/plain"))
            self.send_response(200 if self.path in found else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", _POLICY)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def _open(browser: Browser, page: str, script: str = "") -> Iterator[tuple[Page, Witness]]:
    html = (
        f'<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">{page}'
    )
    with (
        _site(f'{html}<script src="/script.js"></script>', script) as url,
        browser.new_context(**DESKTOP.options()) as context,
    ):
        witness = Witness(context)
        opened = context.new_page()
        opened.goto(url, wait_until="networkidle")
        yield opened, witness


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('ouch')", "console: ouch"),
        ("throw new Error('ouch')", "uncaught: ouch"),
        ("fetch('/nowhere')", "status of 404"),
        ("eval('1')", "Content Security Policy"),
        (
            "document.body.style = ''; document.body.innerHTML = '<p style=\"top:0\">'",
            "inline style",
        ),
        (
            "new Image().src = 'http://localhost:9/pixel.png'",
            "another machine: http://localhost:9/",
        ),
        ("new WebSocket('ws://localhost:9/')", "Content Security Policy"),
    ],
)
def test_what_goes_wrong_is_heard(browser: Browser, script: str, complaint: str) -> None:
    with _open(browser, "<body>", script) as (_, witness):
        heard = witness.complaints
        witness.expect(".")

        assert complaint in "\n".join(heard)
        assert witness.complaints == []


def test_page_without_fault_is_passed(browser: Browser) -> None:
    with _open(browser, "<body><main><h1>Hello</h1></main>", "fetch('/')") as (page, witness):
        axe(page)

        assert witness.complaints == []


def test_grave_hindrance_is_told_with_its_place(browser: Browser) -> None:
    with (
        _open(browser, '<body><main><h1>Hello</h1><button id="x"></button></main>') as (page, _),
        pytest.raises(AssertionError, match=r"(?s)button-name .*#x"),
    ):
        axe(page)


_SHOW_CAMERA = """
const film = document.querySelector("video");
navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } })
  .then((stream) => { film.srcObject = stream; return film.play(); });
"""


def test_camera_shows_people_who_move(browser: Browser) -> None:
    with _site(
        '<!doctype html><title>A page</title><link rel="icon" href="data:,"><video muted></video>'
        '<script src="/script.js"></script>',
        _SHOW_CAMERA,
    ) as url:
        context = browser.new_context(**DESKTOP.options(), permissions=["camera"])
        with context:
            page = context.new_page()
            page.goto(url)
            first, later = (_frame(page, seconds=seconds) for seconds in (0.2, 2.2))

    assert first.shape == later.shape == (360, 640, 3)
    assert share_changed(first, later, levels=24) > 0.3


def _frame(page: Page, *, seconds: float) -> Pixels:
    film = page.locator("video")
    until(page, lambda: film.evaluate("film => film.currentTime") > seconds)
    return pixels(film)
