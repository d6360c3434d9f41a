"""The ground that journeys stand on: what goes wrong in the browser is heard, the camera shows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, Route

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.pixels import Pixels, pixels, share_changed
from smart_filter_tests.browsing.witness import Witness

# Playwright itself answers for it: nothing listens there.
_SITE = "http://127.0.0.1:9/"
_HEAD = '<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">'
_POLICY = "default-src 'none'; script-src 'self'; img-src http: data:; connect-src 'self'"


@contextmanager
def _open(
    browser: Browser, page: str, script: str = "", *, permissions: Sequence[str] = ()
) -> Iterator[tuple[Page, Witness]]:
    """Open a page that runs a script, of a site that has nothing else."""
    html = f"{_HEAD}{page}<script src='/script.js'></script>"
    files = {_SITE: (html, "text/html"), f"{_SITE}script.js": (script, "text/javascript")}

    def answer(route: Route) -> None:
        content, kind = files.get(route.request.url, ("", "text/plain"))
        route.fulfill(
            status=200 if route.request.url in files else 404,
            headers={"Content-Type": kind, "Content-Security-Policy": _POLICY},
            body=content,
        )

    with browser.new_context(**DESKTOP.options(), permissions=permissions) as context:
        context.route(f"{_SITE}**", answer)
        witness = Witness(context)
        opened = context.new_page()
        opened.goto(_SITE, wait_until="networkidle")
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


def test_serious_violation_is_reported_with_its_place(browser: Browser) -> None:
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
    film = "<video muted></video>"
    with _open(browser, film, _SHOW_CAMERA, permissions=["camera"]) as (page, _):
        first, later = (_frame(page, seconds=seconds) for seconds in (0.2, 2.2))

    assert first.shape == later.shape == (360, 640, 3)
    assert share_changed(first, later, levels=24) > 0.3


def _frame(page: Page, *, seconds: float) -> Pixels:
    film = page.locator("video")
    until(page, lambda: film.evaluate("film => film.currentTime") > seconds)
    return pixels(film)
