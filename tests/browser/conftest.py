"""One Chromium and one stack for all journeys; a visitor, a line and a page for each."""

import os
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from browser.firefox import firefox
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_tests.browsing import camera
from smart_filter_tests.browsing.chromium import PATIENCE_MS, chromium
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, Screen
from smart_filter_tests.browsing.visitors import Visitor, a_visitor
from smart_filter_tests.full_stack import RunningStack, answers, run_stack
from smart_filter_tests.proxy import Proxy

# Screenshots of pages whose journey failed.
_LAST_SEEN = Path(__file__).parents[2] / "build" / "browser"
# As `up` runs it, but faults are noticed within seconds.
_ENVIRONMENT = {
    "SMART_FILTER_SWEEP_SECONDS": "0.2",
    "SMART_FILTER_DRAIN_SECONDS": "1",
    "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
    # For the TypeScript client's example, whose port is not known yet.
    "SMART_FILTER_CORS_ORIGINS": "*",
}
IS_FIREFOX = os.environ.get("SMART_FILTER_BROWSER") == "firefox"
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
    """Chromium, with a camera that shows a film; Firefox where SMART_FILTER_BROWSER says so."""
    if IS_FIREFOX:
        with firefox(tmp_path_factory.mktemp("firefox")) as browser:
            yield browser
        return
    with chromium(camera.write_film(tmp_path_factory.mktemp("camera"))) as browser:
        yield browser


@pytest.fixture(scope="session")
def stack(data_folder: Path, weights_folder: Path) -> Iterator[RunningStack]:
    """A whole stack; its worker has models that misbehave while they are armed."""
    port = free_port()
    live = {
        "SMART_FILTER_LIVE_URL": f"ws://{LOOPBACK}:{port}",
        "SMART_FILTER_LIVE_SECRET": secrets.token_urlsafe(32),
    }
    with run_stack(data_folder / "browser", weights_folder, {**_ENVIRONMENT, **live}) as stack:
        stack.stack.start(
            Command(name="sender", argv=program.command("sender")),
            Command(
                name="live",
                argv=program.command("live-worker", "--host", LOOPBACK, "--port", str(port)),
                env={**live, "SMART_FILTER_DATA": str(data_folder / "browser")},
                ready=lambda: answers(f"http://{LOOPBACK}:{port}/livez"),
            ),
        )
        yield stack


@pytest.fixture
def visitor(stack: RunningStack) -> Iterator[Visitor]:
    """A new visitor without history."""
    visitor = a_visitor(stack.client)
    with visitor.client:
        yield visitor


@pytest.fixture
def line(stack: RunningStack) -> Iterator[Proxy]:
    """The proxy between browser and service: it can hold, cut or end connections."""
    port = stack.client.base_url.port
    assert port is not None
    with Proxy(LOOPBACK, port) as line:
        yield line


@pytest.fixture
def url(line: Proxy) -> str:
    """The address of the service through the proxy."""
    return f"http://{LOOPBACK}:{line.port}"


@pytest.fixture
def operators_url(stack: RunningStack) -> str:
    """The address of the operators' port."""
    return str(stack.operators.base_url)


@pytest.fixture
def screen(request: pytest.FixtureRequest) -> Screen:
    """The screen; the mark `on_screens` selects others."""
    screen: Screen = getattr(request, "param", DESKTOP)
    if IS_FIREFOX and screen.touch:
        pytest.skip("Playwright has no fingers in Firefox")
    return screen


@pytest.fixture
def context(browser: Browser, screen: Screen, line: Proxy) -> Iterator[BrowserContext]:
    """The journey's own browser context, with permission to use the camera."""
    del line  # the line outlives the pages, or they would report errors of it
    permissions = [] if IS_FIREFOX else ["camera"]
    context = browser.new_context(**screen.options(), permissions=permissions)
    # Of clicks and downloads; `expect` has its own.
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page_errors(context: BrowserContext, line: Proxy) -> Iterator[PageErrors]:
    """Records browser errors; an unexpected one fails the journey."""
    del line  # the line stays until the last page has closed
    page_errors = PageErrors(context)
    yield page_errors
    context.close()
    assert page_errors.unexpected == []


@pytest.fixture
def anonymous_page(
    request: pytest.FixtureRequest, context: BrowserContext, page_errors: PageErrors
) -> Iterator[Page]:
    """An empty page of a browser that is not signed in."""
    del page_errors  # it records from the beginning
    page = context.new_page()
    yield page
    if request.node.stash.get(_failed, False) and not page.is_closed():
        _LAST_SEEN.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=_LAST_SEEN / f"{request.node.name}.png", full_page=True)


@pytest.fixture
def page(anonymous_page: Page, visitor: Visitor, url: str) -> Page:
    """The studio's page, signed in."""
    visitor.sign_in(anonymous_page.context, url)
    anonymous_page.goto(url)
    return anonymous_page
