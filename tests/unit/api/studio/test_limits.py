"""The page checks a photo by the service's limit."""

import re
from pathlib import Path

from smart_filter_api import studio
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES


def test_page_states_the_limit_of_a_photo_once() -> None:
    folder = Path(studio.__file__).parent / "page"
    texts = [path.read_text() for path in folder.rglob("*.js")]

    stated = [limit for text in texts for limit in re.findall(r"40_000_000|40 MB", text)]

    assert stated == [f"{MAX_PHOTO_BYTES:_}"]
