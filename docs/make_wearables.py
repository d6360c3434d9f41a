"""Draw the pictures of worn things from their SVGs: `make wearables`, in Chromium.

`NAME.svg` becomes `NAME.webp` next to it, 1024 px wide. Elements of the class `tint` are gray, take
a color when they are worn, and become `NAME.tint.webp`. Each picture holds the SHA-256 of its SVG
(as XMP), by which a test finds one that is out of date.
"""
# ruff: noqa: INP001 - a script, not a package

import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from smart_filter_tests.browsing.chromium import find_chromium

SIDE_PX: Final = 1024
DRAWINGS: Final = "smart_filter_workers.stages.composite.filters.drawings"
# What a layer hides, by the end of its file's name.
LAYERS: Final = {"": ".tint", ".tint": "svg > :not(.tint, defs)"}


def main() -> None:
    """Draw all of them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIDE_PX, "height": SIDE_PX})
        for source in sorted(Path(str(resources.files(DRAWINGS))).glob("*.svg")):
            _draw(page, source)
        browser.close()


def _draw(page: Page, source: Path) -> None:
    svg = source.read_text()
    digest = hashlib.sha256(svg.encode()).hexdigest()
    for layer, hidden in LAYERS.items():
        if layer and 'class="tint"' not in svg:
            continue
        page.set_content(f"<style>body {{ margin: 0 }} {hidden} {{ display: none }}</style>{svg}")
        drawn = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
        place = source.with_name(f"{source.stem}{layer}.webp")
        drawn.save(place, quality=90, method=6, xmp=digest.encode())


if __name__ == "__main__":
    main()
