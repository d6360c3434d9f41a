"""The TypeScript client in a browser, and its example of two pages."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.node_projects import compile_client

_SMILING_SIDE = 512
_SUBMIT_AND_FOLLOW = """async ([url, key]) => {
    const { SmartFilter } = await import("smart-filter-client");
    const client = new SmartFilter({ url, key });
    const photo = document.querySelector("[type=file]").files[0];
    const sent = [];
    const { id } = await client.submit(photo, {
        recipe: { background: "color:teal", format: "png" },
        onUploadProgress: (progress) => sent.push(progress),
    });
    const events = [];
    for await (const { type } of client.events(id)) events.push(type);
    const image = await client.fetchOutput(id, "image");
    const { sentBytes, totalBytes } = sent.at(-1);
    return {
        isWholePhotoSent: sentBytes === totalBytes && totalBytes > photo.size,
        lastEvent: events.at(-1),
        waited: (await client.wait(id)).state,
        imageType: image.type,
    };
}"""
_ABORT = """async ([url, key]) => {
    const { SmartFilter } = await import("smart-filter-client");
    const client = new SmartFilter({ url, key });
    const photo = document.querySelector("[type=file]").files[0];
    const next_week = new Date(Date.now() + 7 * 86400e3).toISOString();
    const { id } = await client.submit(photo, { recipe: { run_at: next_week } });
    const left = new AbortController();
    const sending = new AbortController();
    const ends = await Promise.allSettled([
        client.wait(id, { signal: left.signal, onProgress: () => left.abort("left") }),
        client.submit(photo, {
            signal: sending.signal,
            onUploadProgress: () => sending.abort("stopped sending"),
        }),
    ]);
    return ends.map(({ reason }) => reason);
}"""
_REFUSED = """async ([url, key]) => {
    const { SmartFilter, SmartFilterError } = await import("smart-filter-client");
    const client = new SmartFilter({ url, key });
    const photo = document.querySelector("[type=file]").files[0];
    const refusals = [];
    for (const options of [{}, { onUploadProgress: () => {} }]) {
        await client
            .submit(photo, { recipe: { quality: 900 }, ...options })
            .catch((error) => refusals.push(error));
    }
    return refusals.map((error) => [
        error instanceof SmartFilterError,
        error.status,
        error.code,
        error.errors.map(({ pointer }) => pointer),
        error.requestId !== null,
    ]);
}"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the compiled client and its example."""
    return compile_client(tmp_path_factory.mktemp("typescript"), "example")


@pytest.fixture
def example(compiled: Path, stack: RunningStack, visitor: Visitor) -> Iterator[str]:
    """Run the example's backend with a visitor's key; yield its address."""
    environment = {
        **os.environ,
        "SMART_FILTER_URL": str(stack.client.base_url),
        "SMART_FILTER_API_KEY": visitor.key,
        "PORT": "0",
    }
    with subprocess.Popen(
        ["node", "example/compiled/server.js"],
        cwd=compiled,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as backend:
        assert backend.stdout is not None
        address = backend.stdout.readline().strip()
        assert address
        try:
            yield address
        finally:
            backend.terminate()


def test_photo_submitted_on_the_first_page_is_shown_on_the_second(
    anonymous_page: Page, example: str, photos: Photos, visitor: Visitor
) -> None:
    page = anonymous_page
    picture = page.get_by_role("img", name="Your photo with its new background")
    page.goto(example)
    page.get_by_label("Photo", exact=True).set_input_files(photos.smiling)
    page.get_by_text("Teal").click()

    page.get_by_role("button", name="Submit").click()

    expect(picture).to_be_visible()
    wait_until(page, lambda: _width(picture) == _SMILING_SIDE)
    job = visitor.newest()
    assert (job["state"], job["recipe"]["background"]) == ("succeeded", "color:teal")
    assert job["id"] in page.url
    with page.expect_download() as download:
        page.get_by_role("link", name="Save picture").click()
    assert download.value.suggested_filename == "picture.jpg"


def test_second_page_shows_the_picture_after_a_reload(
    anonymous_page: Page, example: str, photos: Photos
) -> None:
    page = anonymous_page
    picture = page.get_by_role("img", name="Your photo with its new background")
    page.goto(example)
    page.get_by_label("Photo", exact=True).set_input_files(photos.smiling)
    page.get_by_role("button", name="Submit").click()
    expect(page).to_have_url(re.compile(r"/result\?job="))

    page.reload()

    expect(picture).to_be_visible()
    wait_until(page, lambda: _width(picture) == _SMILING_SIDE)


def test_refused_photo_is_explained_on_the_first_page(
    anonymous_page: Page, example: str, page_errors: PageErrors, photos: Photos
) -> None:
    page_errors.expect("status of 415")
    anonymous_page.goto(example)
    anonymous_page.get_by_label("Photo", exact=True).set_input_files(photos.text)

    anonymous_page.get_by_role("button", name="Submit").click()

    expect(anonymous_page.get_by_role("alert")).to_contain_text("JPEG")


def test_client_in_a_browser_submits_with_progress_and_follows_the_events(
    chosen: Page, stack: RunningStack, visitor: Visitor
) -> None:
    seen = chosen.evaluate(_SUBMIT_AND_FOLLOW, [str(stack.client.base_url), visitor.key])

    assert seen == {
        "isWholePhotoSent": True,
        "lastEvent": "job.succeeded",
        "waited": "succeeded",
        "imageType": "image/png",
    }


def test_signals_end_a_wait_and_a_submission(
    chosen: Page, stack: RunningStack, visitor: Visitor
) -> None:
    reasons = chosen.evaluate(_ABORT, [str(stack.client.base_url), visitor.key])

    assert reasons == ["left", "stopped sending"]


def test_refusal_is_the_same_error_with_and_without_progress(
    chosen: Page, page_errors: PageErrors, stack: RunningStack, visitor: Visitor
) -> None:
    page_errors.expect("status of 422")

    refusals = chosen.evaluate(_REFUSED, [str(stack.client.base_url), visitor.key])

    assert refusals == [[True, 422, "invalid_recipe", ["/quality"], True]] * 2


@pytest.fixture
def chosen(anonymous_page: Page, example: str, photos: Photos) -> Page:
    """The first page, with a photo chosen."""
    anonymous_page.goto(example)
    anonymous_page.get_by_label("Photo", exact=True).set_input_files(photos.smiling)
    return anonymous_page


def _width(picture: Locator) -> object:
    return picture.evaluate("image => image.naturalWidth")
