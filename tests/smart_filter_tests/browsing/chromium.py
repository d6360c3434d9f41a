"""Find the machine's own Chromium and drive it with Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright

# deploy/bootstrap.sh looks for the same programs, in the same order.
VARIABLE: Final = "SMART_FILTER_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # root, as in CI, cannot use the sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Without it, font smoothing depends on each machine's settings.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)
# A job takes seconds on two cores, and much longer while a disk or the cores are busy.
PATIENCE_MS: Final = 120_000


def find_chromium() -> str:
    """Return the path of Chromium.  Raises FileNotFoundError."""
    program = os.environ.get(VARIABLE)
    names = _NAMES if program is None else (program,)
    for name in names:
        place = shutil.which(name)
        if place is not None:
            return place
    raise FileNotFoundError(f"no Chromium ({', '.join(names)}): deploy/bootstrap.sh browser")


@contextmanager
def chromium(camera: Path) -> Iterator[Browser]:
    """Yield a browser whose camera shows a film to pages with the camera permission.

    camera: .mjpeg or .y4m, repeated endlessly.
    """
    expect.set_options(timeout=PATIENCE_MS)
    film = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*_FLAGS, *film])
        yield browser
        browser.close()
