"""Programs written for remove.bg, with the running stack."""

import io
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack

# The photo's own sides; its preview has a quarter of a megapixel.
SIDE, PREVIEW_SIDE = 512, 500
PATH = "/v1.0/removebg"


@pytest.fixture
def client(running_stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=running_stack.client.base_url, headers={"X-Api-Key": KEY}, timeout=120
    ) as client:
        yield client


def sent(client: httpx.Client, **fields: str) -> httpx.Response:
    answer = client.post(PATH, files={"image_file": ("a.png", PHOTO.read_bytes())}, data=fields)
    assert answer.status_code == 200, answer.text
    return answer


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_person_is_cut_out_of_a_preview(client: httpx.Client) -> None:
    answer = sent(client)

    picture = opened(answer.content)
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    assert picture.size == (PREVIEW_SIDE, PREVIEW_SIDE)
    assert (answer.headers["X-Width"], answer.headers["X-Max-Width"]) == ("500", "512")
    assert answer.headers["X-Type"] == "person"
    alpha = np.asarray(picture)[..., 3]
    assert 0.2 < (alpha > 127).mean() < 0.9
    left, top, right, bottom = picture.getchannel("A").point(lambda a: 255 * (a >= 26)).getbbox()
    sides = ("Left", "Top", "Width", "Height")
    corner = [int(answer.headers[f"X-Foreground-{side}"]) for side in sides]
    seen = [side * SIDE / PREVIEW_SIDE for side in (left, top, right - left, bottom - top)]
    assert np.abs(np.array(corner) - seen).max() <= 2, "the box is in pixels of the photo"
