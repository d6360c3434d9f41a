"""Make the pictures of docs/images that show the studio: `make screenshots`, `SHOTS="start …"`.

Run it by hand when the studio's pages have changed; it needs a complete installation and Chromium,
and runs a separate stack. The photos are in tests/data, with their terms.
"""
# ruff: noqa: INP001 - this folder of documents is no package

import io
import json
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
from PIL import Image
from playwright.sync_api import Browser

from smart_filter_docs.shots import shot as shots
from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_shared.config import paths
from smart_filter_tests.browsing import camera
from smart_filter_tests.browsing.chromium import chromium
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import Screen
from smart_filter_tests.browsing.visitors import a_visitor
from smart_filter_tests.browsing.waits import wait_until

IMAGES: Final = Path(__file__).parent / "images"
PROGRAM: Final = Path(sysconfig.get_path("scripts")) / "smart-filter"
# Phones have dense screens, and their pictures are shown small.
DOTS_PER_PX: Final = {"desktop": 1, "phone": 2}
# Quality of WebP: letters stay crisp.
QUALITY: Final = 86
# A lazy picture outside the viewport is never loaded, so it does not count.
SETTLED: Final = """
    document.fonts.status === "loaded" &&
    [...document.images].every((image) => {
      const { top, bottom } = image.getBoundingClientRect();
      const isSeen = bottom > 0 && top < innerHeight;
      return image.complete || (image.loading === "lazy" && !isSeen);
    })
"""


def main(names: Sequence[str]) -> None:
    """Take the named shots, or all, and remove pictures of shots that no longer exist."""
    all_shots = shots.find()
    unknown = sorted(set(names) - {shot.name for shot in all_shots})
    if unknown:
        sys.exit(f"no shot {', '.join(unknown)}: {', '.join(shot.name for shot in all_shots)}")
    IMAGES.mkdir(exist_ok=True)
    for stale in set(IMAGES.glob("studio-*.webp")) - {
        place(shot, look) for shot in all_shots for look in shot.looks
    }:
        stale.unlink()
    with (
        tempfile.TemporaryDirectory(prefix="smart-filter-screenshots-") as folder,
        stack(Path(folder)) as operator,
        chromium(camera.write_film(Path(folder))) as browser,
    ):
        photos = Photos(Path(folder))
        for shot in all_shots:
            for look in shot.looks if shot.name in names or not names else ():
                place(shot, look).write_bytes(small(taken(shot, look, browser, operator, photos)))
                sys.stdout.write(f"{place(shot, look)}\n")


def place(shot: Shot, look: Screen) -> Path:
    """Return the path of a shot's picture."""
    return IMAGES / f"studio-{shot.name}-{look}.webp"


def taken(
    shot: Shot, look: Screen, browser: Browser, operator: httpx.Client, photos: Photos
) -> bytes:
    """Return the screenshot of a shot as PNG, taken as a new visitor."""
    url = str(operator.base_url).rstrip("/")
    visitor = a_visitor(operator)
    visitor.change_settings(recipe={"seed": 1})
    options = look.options(dots_per_px=DOTS_PER_PX[look.device])
    with visitor.client, browser.new_context(**options, permissions=["camera"]) as context:
        witness = PageErrors(context)
        visitor.sign_in(context, url)
        page = context.new_page()
        page.goto(url)
        shot.arrange(Scene(page, visitor, photos))
        wait_until(page, lambda: page.evaluate(SETTLED))
        picture = page.screenshot(animations="disabled", caret="hide")
        assert not witness.unexpected, f"{shot.name} on {look}: {witness.unexpected}"
    return picture


def small(png: bytes) -> bytes:
    """Return a picture as WebP, which has a third of PNG's bytes, without a palette's grain."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as opened:
        opened.convert("RGB").save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


@contextmanager
def stack(folder: Path) -> Iterator[httpx.Client]:
    """Run a new stack with the existing weights; yield its operator's client."""
    folder.chmod(0o711)  # root runs PostgreSQL as another user, who must enter it
    data = folder / "data"
    data.mkdir()
    weights = paths.data_folder() / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    (data / "weights").symlink_to(weights)
    process = subprocess.Popen(  # noqa: S603 - this very program
        [PROGRAM, "up", "--data", data], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            sys.exit("the stack did not start; see its output above")
        started = json.loads(line)
        headers = {"Authorization": f"Bearer {started['api_key']}"}
        with httpx.Client(
            base_url=started["operators_url"], headers=headers, timeout=30
        ) as operator:
            yield operator
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
