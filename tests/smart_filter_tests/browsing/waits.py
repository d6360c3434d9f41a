"""Wait until a condition in a page or behind it holds, while the browser goes on."""

import time
from collections.abc import Callable

from playwright.sync_api import Page

from smart_filter_tests.browsing.chromium import PATIENCE_MS

_PATIENCE_SECONDS = PATIENCE_MS / 1000
_LOOK_MS = 50


def wait_until(
    page: Page, holds: Callable[[], object], *, seconds: float = _PATIENCE_SECONDS
) -> None:
    """Wait until a condition holds; fail after `seconds`.

    `Page.wait_for_function` cannot be used: it evaluates a text within the page, which the studio's
    Content-Security-Policy forbids. `Page.evaluate` does not.
    """
    gives_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < gives_up_at, f"it did not happen within {seconds:g} s"
        page.wait_for_timeout(_LOOK_MS)
