"""The server stops and starts again while the studio is open."""

import signal

import httpx
import pytest
from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.cards import add, card, expect_finished
from smart_filter_tests.browsing.page_errors import LINE_CUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack

_ALBUMS = "The best of many"
_BANNER = "The service cannot be reached."
_PROCESSES = ("api", "worker-1")


@pytest.fixture
def url(stack: RunningStack) -> str:
    """The address of the service itself: no proxy accepts connections while it is away."""
    return str(stack.client.base_url).rstrip("/")


def _answers(visitor: Visitor) -> bool:
    try:
        return visitor.client.get("/livez").is_success
    except httpx.TransportError:
        return False


def test_cards_promise_nothing_while_the_server_is_away_and_continue_after_its_return(
    page: Page, visitor: Visitor, photos: Photos, stack: RunningStack, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    # A server that starts answers with these until it is ready.
    page_errors.expect("status of 50[0-9]")
    add(page, photos.smiling, photos.group, photos.serious)
    wait_until(page, lambda: len(visitor.jobs()) == 3)

    for name in _PROCESSES:
        stack.stack.send(name, signal.SIGTERM)
    expect(page.get_by_text(_BANNER)).to_be_visible()
    add(page, photos.pair)

    expect(card(page, "pair.jpg")).to_contain_text("Waiting for the service.")
    for name in ("astronaut.png", "team.jpg", "grace_hopper.jpg"):
        expect(card(page, name)).not_to_contain_text("ready in")
        expect(card(page, name)).not_to_contain_text("in a moment")
    stack.until(lambda: _answers(visitor))

    expect(page.get_by_text(_BANNER)).to_have_count(0)
    expect_finished(page, "astronaut.png", "team.jpg", "grace_hopper.jpg", "pair.jpg")


def test_idle_page_notices_that_the_server_has_stopped(
    page: Page, visitor: Visitor, stack: RunningStack, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    page_errors.expect("status of 50[0-9]")
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    stack.stack.send("api", signal.SIGTERM)
    expect(page.get_by_text(_BANNER)).to_be_visible()
    stack.until(lambda: _answers(visitor))

    expect(page.get_by_text(_BANNER)).to_have_count(0)


def _leave_out_albums(page: Page) -> None:
    """Show the screen of albums without its module; from then on, the module is there again."""
    page.route("**/albums/screen.js", lambda route: route.abort("connectionreset"))
    page.reload()
    page.get_by_role("link", name="Albums").click()
    expect(page.get_by_text("This screen could not be loaded")).to_be_visible()
    page.unroute("**/albums/screen.js")


def test_screen_that_could_not_be_loaded_asks_for_a_reload(
    page: Page, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    _leave_out_albums(page)

    page.get_by_role("button", name="Reload the page").click()

    expect(page.get_by_role("heading", name=_ALBUMS)).to_be_visible()


def test_screen_that_could_not_be_loaded_comes_back_with_the_service(
    page: Page, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    _leave_out_albums(page)

    page.context.set_offline(True)
    expect(page.get_by_text(_BANNER)).to_be_visible()
    page.context.set_offline(False)

    expect(page.get_by_role("heading", name=_ALBUMS)).to_be_visible()
