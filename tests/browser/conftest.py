"""One Chromium and one stack for all journeys; a visitor, a line and a page for each."""

import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from smart_filter_deploy.cli import program
from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_tests.browsing import camera
from smart_filter_tests.browsing.chromium import chromium
from smart_filter_tests.browsing.looks import DESKTOP, Look
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor, a_visitor
from smart_filter_tests.browsing.witness import Witness
from smart_filter_tests.proxy import Proxy
from smart_filter_tests.running import Running, running

# What a page showed when its journey failed.
_LAST_SEEN = Path(__file__).parents[2] / "build" / "browser"
# As `up` runs it, but that what is at fault is seen within seconds.
_ENVIRONMENT = {
    "SMART_FILTER_SWEEP_SECONDS": "0.2",
    "SMART_FILTER_DRAIN_SECONDS": "1",
    "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
}
_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Photo files, and files that are none."""
    return Photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, with a camera that shows a film."""
    with chromium(camera.film(tmp_path_factory.mktemp("camera"))) as browser:
        yield browser


@pytest.fixture(scope="session")
def stack(data_folder: Path, weights_folder: Path) -> Iterator[Running]:
    """A whole stack; its worker knows models that misbehave while they are armed."""
    port = free_port()
    live = {
        "SMART_FILTER_LIVE_URL": f"ws://{LOOPBACK}:{port}",
        "SMART_FILTER_LIVE_SECRET": secrets.token_urlsafe(32),
    }
    with running(data_folder / "browser", weights_folder, {**_ENVIRONMENT, **live}) as stack:
        stack.stack.start(
            Command(name="sender", argv=program.command("sender")),
            Command(
                name="live",
                argv=program.command("live-worker", "--host", LOOPBACK, "--port", str(port)),
                env={**live, "SMART_FILTER_DATA": str(data_folder / "browser")},
                ready=lambda: _answers(f"http://{LOOPBACK}:{port}/readyz"),
            ),
        )
        yield stack


@pytest.fixture
def visitor(stack: Running) -> Iterator[Visitor]:
    """Somebody new, who has no history."""
    visitor = a_visitor(stack.client)
    with visitor.client:
        yield visitor


@pytest.fixture
def line(stack: Running) -> Iterator[Proxy]:
    """The line between browser and service: hold it, cut it, let the service be away."""
    port = stack.client.base_url.port
    assert port is not None
    with Proxy(LOOPBACK, port) as line:
        yield line


@pytest.fixture
def url(line: Proxy) -> str:
    """Where the browser finds the service: at the end of the line."""
    return f"http://{LOOPBACK}:{line.port}"


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Look:
    """The screen; `seen_on` says others."""
    look: Look = getattr(request, "param", DESKTOP)
    return look


@pytest.fixture
def context(browser: Browser, look: Look, line: Proxy) -> Iterator[BrowserContext]:
    """A browser of its own for the journey, with leave to use the camera."""
    del line  # it outlives the pages, or they would complain of it
    context = browser.new_context(**look.options(), permissions=["camera"])
    yield context
    context.close()


@pytest.fixture
def witness(context: BrowserContext, line: Proxy) -> Iterator[Witness]:
    """Whoever hears what goes wrong; what the journey does not expect fails it."""
    del line  # it stands until the last page has closed
    witness = Witness(context)
    yield witness
    context.close()
    assert witness.complaints == []


@pytest.fixture
def stranger(
    request: pytest.FixtureRequest, context: BrowserContext, witness: Witness
) -> Iterator[Page]:
    """An empty page, of a browser that is not signed in."""
    del witness  # it hears from the beginning
    page = context.new_page()
    yield page
    if request.node.stash.get(_failed, False) and not page.is_closed():
        _LAST_SEEN.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=_LAST_SEEN / f"{request.node.name}.png", full_page=True)


@pytest.fixture
def page(stranger: Page, visitor: Visitor, url: str) -> Page:
    """The studio's page, signed in."""
    visitor.sign_in(stranger.context, url)
    stranger.goto(url)
    return stranger


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
