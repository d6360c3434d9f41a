"""The files of a job: how large, how small, what they tell, and several in one."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.heic import quarters
from smart_filter_tests.pictures import encoded
from smart_filter_tests.running import PHOTO, Running

Job = dict[str, Any]

MOST_BYTES = 40_000
ARTIST, PLACE = 0x013B, 0x8825


def with_exif() -> bytes:
    tags = Image.Exif()
    tags[ARTIST] = "Ada"
    tags.get_ifd(PLACE)[2] = (48.0, 12.0, 30.0)
    return encoded(Image.open(PHOTO).convert("RGB"), "JPEG", quality=95, exif=tags)


@pytest.fixture(scope="module")
def job(running_stack: Running) -> Job:
    """A job that asks for every kind of file, within limits."""
    done = running_stack.run(
        with_exif(),
        background="preset:sunrise",
        outputs="image,matte,persons,zip,thumbnail",
        max_bytes="40kB",
        effort="small",
        keep_metadata="true",
        matte_bits="16",
        segmentation__model="people",
    )
    assert done["state"] == "succeeded", done["error"]
    return done


def unpacked(running_stack: Running, job: Job, name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(running_stack.output(job["id"], name))) as files:
        return {one: files.read(one) for one in files.namelist()}


def test_image_keeps_within_its_bytes_and_says_how(running_stack: Running, job: Job) -> None:
    content = running_stack.output(job["id"], "image")

    assert len(content) <= MOST_BYTES
    assert job["image"]["bytes"] == len(content)
    assert job["image"]["quality"] < 90
    assert (job["image"]["width"], job["image"]["height"]) == (512, 512)
    assert len(job["image"]["blurhash"]) == 28


def test_image_carries_what_may_be_said_of_the_photo(running_stack: Running, job: Job) -> None:
    tags = Image.open(io.BytesIO(running_stack.output(job["id"], "image"))).getexif()

    assert tags[ARTIST] == "Ada"
    assert PLACE not in tags


def test_matte_layers_and_thumbnail_come_along(running_stack: Running, job: Job) -> None:
    matte = running_stack.pixels(job["id"], "matte")
    layers = unpacked(running_stack, job, "zip")
    thumbnail = running_stack.pixels(job["id"], "thumbnail")

    assert (matte.shape, matte.max()) == ((512, 512), 65_535)
    assert list(layers) == ["color.jpg", "alpha.png"]
    assert Image.open(io.BytesIO(layers["color.jpg"])).size == (512, 512)
    assert thumbnail.shape == (256, 256, 3)


def test_each_person_comes_alone(running_stack: Running, job: Job) -> None:
    files = unpacked(running_stack, job, "persons")

    (person,) = json.loads(files["persons.json"])["persons"]
    x, y, width, height = person["box"]
    alone = np.asarray(Image.open(io.BytesIO(files[person["file"]])))
    assert alone.shape == (height, width, 4)
    assert (alone[..., 3] == 255).mean() > 0.4
    assert x + width <= 512
    assert y + height <= 512


def test_heic_photo_works(running_stack: Running) -> None:
    job = running_stack.run(quarters(), background="keep", format="png")

    assert job["state"] == "succeeded", job["error"]
    assert job["photo"] == {"width": 64, "height": 48, "format": "heic", "quarter_turns": 0}
    photo = running_stack.client.get(job["links"]["photo"])
    assert Image.open(io.BytesIO(photo.content)).format == "JPEG"  # which every browser shows
    sent = running_stack.client.get(job["links"]["photo"], params={"original": "1"})
    assert (sent.content, sent.headers["content-type"]) == (quarters(), "image/heic")
    assert running_stack.pixels(job["id"]).shape == (48, 64, 3)


def test_heic_that_is_not_whole_fails_plainly(running_stack: Running) -> None:
    job = running_stack.run(quarters()[:-100])

    assert (job["state"], job["error"]["code"]) == ("failed", "image_unreadable")
    assert job["error"]["stage"] == "prepare"
