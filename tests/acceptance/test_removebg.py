"""Programs written for remove.bg, through the running stack."""

import base64
import io
import zipfile
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.running import KEY, PHOTO, Running
from smart_filter_tests.web import a_site, ok

GREEN = (20, 160, 60)
# The photo's own sides; its preview has a quarter of a megapixel.
SIDE, PREVIEW_SIDE = 512, 500


@pytest.fixture
def client(running_stack: Running) -> Iterator[httpx.Client]:
    """A client that knows where the service is, and its key."""
    with httpx.Client(
        base_url=running_stack.client.base_url, headers={"X-Api-Key": KEY}, timeout=30
    ) as client:
        yield client


def sent(client: httpx.Client, **fields: str) -> httpx.Response:
    answer = client.post(
        "/v1.0/removebg", files={"image_file": ("a.png", PHOTO.read_bytes())}, data=fields
    )
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
    told = [int(answer.headers[f"X-Foreground-{side}"]) for side in ("Left", "Top")]
    told += [int(answer.headers[f"X-Foreground-{side}"]) for side in ("Width", "Height")]
    seen = [side * SIDE / PREVIEW_SIDE for side in (left, top, right - left, bottom - top)]
    assert np.abs(np.array(told) - seen).max() <= 2, "the box is in pixels of the photo"


def test_zip_holds_exactly_two_files(client: httpx.Client) -> None:
    answer = sent(client, format="zip", size="full")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        assert files.namelist() == ["color.jpg", "alpha.png"]
        colour, alpha = (opened(files.read(name)) for name in files.namelist())
    assert (colour.mode, alpha.mode) == ("RGB", "L")
    assert colour.size == alpha.size == (SIDE, SIDE)
    assert answer.headers["Content-Type"] == "application/zip"


def test_mask_is_grey(client: httpx.Client) -> None:
    mask = opened(sent(client, channels="alpha").content)

    assert (mask.mode, mask.size) == ("L", (PREVIEW_SIDE, PREVIEW_SIDE))


def test_subject_is_cropped_scaled_and_laid_on_a_colour(client: httpx.Client) -> None:
    answer = sent(client, format="jpg", bg_color="14a03c", crop="true", crop_margin="10%")

    picture = np.asarray(opened(answer.content)).astype(int)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert np.abs(picture[2, 2] - GREEN).max() <= 4  # JPEG rings
    assert int(answer.headers["X-Foreground-Top"]) >= 0


def test_background_at_an_address_is_fetched_and_one_that_is_not_there_told(
    client: httpx.Client,
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (90, 30), GREEN).save(file, "PNG")
    with a_site({"/": ok(file.getvalue())}) as site:
        answer = sent(client, bg_image_url=f"{site.url}/", format="png", roi="0% 0% 100% 100%")
        gone = client.post(
            "/v1.0/removebg",
            files={"image_file": PHOTO.read_bytes()},
            data={"bg_image_url": f"{site.url}/gone"},
        )

    picture = opened(answer.content)
    assert picture.mode == "RGB"
    assert np.abs(np.asarray(picture)[2, 2].astype(int) - GREEN).max() <= 1
    assert gone.status_code == 400
    assert gone.json()["errors"][0]["code"] == "failed_bg_download"


def test_photo_at_an_address_is_fetched(client: httpx.Client) -> None:
    with a_site({"/me.png": ok(PHOTO.read_bytes())}) as site:
        answer = client.post("/v1.0/removebg", data={"image_url": f"{site.url}/me.png"})

    assert answer.status_code == 200, answer.text
    assert opened(answer.content).size == (PREVIEW_SIDE, PREVIEW_SIDE)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("{site}/gone", "failed_image_download"),
        ("{site}/text", "failed_to_read_image"),
        ("http://169.254.169.254/latest/meta-data/", "failed_image_download"),
    ],
)
def test_photo_that_an_address_does_not_give_is_told(
    client: httpx.Client, url: str, code: str
) -> None:
    with a_site({"/text": ok(b"no picture")}) as site:
        answer = client.post("/v1.0/removebg", json={"image_url": url.format(site=site.url)})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, code)


def test_photo_without_anybody_is_told(client: httpx.Client) -> None:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), GREEN).save(file, "JPEG")

    answer = client.post(
        "/v1.0/removebg",
        json={"image_file_b64": base64.b64encode(file.getvalue()).decode(), "type": "product"},
    )

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_foreground")


def test_photo_whose_pixels_are_cut_off_is_told(client: httpx.Client) -> None:
    answer = client.post("/v1.0/removebg", files={"image_file": PHOTO.read_bytes()[:20_000]})

    assert answer.json()["errors"][0]["code"] == "failed_to_read_image"
