"""remove.bg's reference in the pixels and headers of the answers.

A photo of 512 x 512 pixels with one person, unless a row says otherwise. What the fields become,
and their limits, is in tests/unit/api/removebg; what a recipe draws, in
tests/unit/workers/stages/composite.
"""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.pictures import encode, plain

pytestmark = pytest.mark.slow

SIDE = 512
# The matte is computed on another grid for each size.
ROUNDING_PX = 3
SEEN = 26  # an alpha of a tenth, where X-Foreground-* begins
RED, GREEN, BLUE = (200, 30, 30), (20, 160, 60), (30, 40, 200)


@pytest.fixture
def client(running_stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=running_stack.client.base_url, headers={"X-Api-Key": KEY}, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="module")
def large() -> bytes:
    """The photo at 3000 x 2000 pixels."""
    return encode(Image.open(PHOTO).convert("RGB").resize((3000, 2000)), "JPEG")


@dataclass(slots=True)
class Cutout:
    """A picture, and the box (left, top, right, bottom) around what is visible in it."""

    picture: Image.Image
    headers: httpx.Headers

    @property
    def alpha(self) -> NDArray[np.uint8]:
        return np.asarray(self.picture.convert("RGBA"))[..., 3]

    @property
    def box(self) -> tuple[int, int, int, int]:
        rows, columns = np.nonzero(self.alpha >= SEEN)
        return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)

    def number(self, name: str) -> int:
        return int(self.headers[f"X-{name}"])


def send(client: httpx.Client, photo: bytes | None = None, **fields: str) -> httpx.Response:
    answer = client.post(
        "/v1.0/removebg", files={"image_file": photo or PHOTO.read_bytes()}, data=fields
    )
    assert answer.status_code == 200, answer.text
    return answer


def cut_out(client: httpx.Client, photo: bytes | None = None, **fields: str) -> Cutout:
    answer = send(client, photo, **{"size": "full", **fields})
    return Cutout(Image.open(io.BytesIO(answer.content)), answer.headers)


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [
        ("preview", 612, 408),
        ("medium", 1500, 1000),
        ("hd", 2449, 1633),
        ("full", 3000, 2000),
        ("50MP", 3000, 2000),
    ],
)
def test_size_limits_the_megapixels(
    client: httpx.Client, large: bytes, size: str, width: int, height: int
) -> None:
    found = cut_out(client, large, size=size, format="webp")

    assert np.abs(np.subtract(found.picture.size, (width, height))).max() <= 1
    assert found.picture.size == (found.number("Width"), found.number("Height"))
    assert (found.number("Max-Width"), found.number("Max-Height")) == (3000, 2000)


@pytest.mark.parametrize("margin", ["10px", "20%", "50% 0px 50% 300px"])
def test_crop_of_scaled_people_tells_its_full_size(
    client: httpx.Client, large: bytes, margin: str
) -> None:
    # The photo's right and lower borders cut the person off.
    photo = Image.open(io.BytesIO(large))
    cut_off = encode(photo.crop((0, 0, photo.width // 2, photo.height // 2)), "JPEG")
    asked = {"crop": "true", "crop_margin": margin, "scale": "50%"}

    full = cut_out(client, cut_off, **asked)
    small = cut_out(client, cut_off, size="preview", **asked)

    told = [(one.number("Max-Width"), one.number("Max-Height")) for one in (full, small)]
    assert np.abs(np.subtract(told[0], full.picture.size)).max() <= 3
    # Both sizes of the small one are rounded, and so is the box that gives them.
    assert np.abs(np.subtract(told[1], full.picture.size) / full.picture.size).max() <= 0.02


@pytest.mark.parametrize(
    ("fields", "media_type", "mode"),
    [
        ({}, "image/png", "RGBA"),
        ({"format": "auto", "bg_color": "fff"}, "image/jpeg", "RGB"),
        ({"format": "auto", "bg_color": "81d4fa77"}, "image/png", "RGBA"),
        ({"format": "png"}, "image/png", "RGBA"),
        ({"format": "jpg"}, "image/jpeg", "RGB"),
        ({"format": "webp"}, "image/webp", "RGBA"),
        ({"channels": "alpha"}, "image/png", "L"),
        ({"channels": "alpha", "format": "jpg", "bg_color": "red"}, "image/png", "L"),
        ({"channels": "rgba"}, "image/png", "RGBA"),
        # Accepted, and without effect on this photo.
        *(({"semitransparency": one}, "image/png", "RGBA") for one in ("true", "false")),
        ({"add_shadow": "true", "shadow_method": "legacy"}, "image/png", "RGBA"),
    ],
)
def test_format_and_channels(
    client: httpx.Client, fields: dict[str, str], media_type: str, mode: str
) -> None:
    answer = send(client, **fields)

    assert answer.headers["Content-Type"] == media_type
    assert Image.open(io.BytesIO(answer.content)).mode == mode


def test_background_image_is_centered_and_fills_the_canvas(client: httpx.Client) -> None:
    # Only the middle third of the stripes fits a square.
    stripes = np.concatenate([np.full((90, 90, 3), one, np.uint8) for one in (RED, GREEN, BLUE)], 1)
    background = encode(Image.fromarray(stripes), "PNG")
    files = {"image_file": PHOTO.read_bytes(), "bg_image_file": background}

    answer = client.post("/v1.0/removebg", files=files, data={"size": "full", "format": "png"})

    picture = Image.open(io.BytesIO(answer.content)).convert("RGB")
    assert picture.size == (SIDE, SIDE)
    for place in ((8, 2), (SIDE - 9, 2)):
        assert np.abs(np.subtract(picture.getpixel(place), GREEN)).max() <= 2


def test_json_says_what_the_headers_say(client: httpx.Client) -> None:
    answer = client.post(
        "/v1.0/removebg",
        json={"image_file_b64": base64.b64encode(PHOTO.read_bytes()).decode(), "size": "full"},
        headers={"Accept": "application/json"},
    )

    data = answer.json()["data"]
    sides = ("top", "left", "width", "height")
    assert {f"foreground_{side}" for side in sides} | {"result_b64"} == set(data)
    said = [int(answer.headers[f"X-Foreground-{side}"]) for side in sides]
    assert said == [data[f"foreground_{side}"] for side in sides]
    left, top, right, bottom = Cutout(
        Image.open(io.BytesIO(base64.b64decode(data["result_b64"]))), answer.headers
    ).box
    assert np.abs(np.subtract(said, (top, left, right - left, bottom - top))).max() <= ROUNDING_PX


def test_person_is_a_person_at_every_level_but_none(client: httpx.Client) -> None:
    photo = plain(8, 8, RED)  # refused, with the headers of every answer
    shown = {
        level: send(client, type_level=level).headers for level in ("1", "2", "latest", "none")
    }
    refused = client.post("/v1.0/removebg", files={"image_file": photo}, data={"size": "huge"})

    types = [headers.get("X-Type") for headers in shown.values()]
    assert types == ["person", "person", "person", None]
    for headers in (*shown.values(), refused.headers):
        for name in ("Limit", "Remaining", "Reset"):
            assert int(headers[f"X-RateLimit-{name}"]) > 0
