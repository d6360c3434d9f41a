"""The machine's own Chromium: found, and driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright

# deploy/bootstrap.sh looks for the same, in the same order.
VARIABLE: Final = "SMART_FILTER_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # which root, as CI runs, has not
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Without it fonts are smoothed as each machine's settings say.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)
# A job takes seconds on two cores, and on a machine that has other work some more.
_PATIENCE_MS = 60_000


def found() -> str:
    """Return where Chromium lies.  Raises FileNotFoundError."""
    named = os.environ.get(VARIABLE)
    names = _NAMES if named is None else (named,)
    for name in names:
        place = shutil.which(name)
        if place is not None:
            return place
    raise FileNotFoundError(f"no Chromium ({', '.join(names)}): deploy/bootstrap.sh browser")


@contextmanager
def chromium(camera: Path) -> Iterator[Browser]:
    """Yield a browser; its camera shows a film, to pages that the context lets have it.

    camera: .mjpeg or .y4m, shown again and again.
    """
    expect.set_options(timeout=_PATIENCE_MS)
    film = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=[*_FLAGS, *film])
        yield browser
        browser.close()
