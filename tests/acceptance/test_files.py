"""The files of a job: how large, how small, what they tell, and several in one."""

import io
import json
import zipfile

from PIL import Image

from smart_filter_tests.heic import quarters
from smart_filter_tests.pictures import encoded
from smart_filter_tests.running import PHOTO, Running

MOST_BYTES = 40_000
ARTIST, PLACE = 0x013B, 0x8825


def with_exif() -> bytes:
    tags = Image.Exif()
    tags[ARTIST] = "Ada"
    tags.get_ifd(PLACE)[2] = (48.0, 12.0, 30.0)
    return encoded(Image.open(PHOTO).convert("RGB"), "JPEG", quality=95, exif=tags)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        return {one: files.read(one) for one in files.namelist()}


def test_every_kind_of_file_comes_within_its_limits(running_stack: Running) -> None:
    job = running_stack.run(
        with_exif(),
        background="preset:sunrise",
        outputs="image,matte,persons,zip,thumbnail",
        max_bytes="40kB",
        effort="small",
        keep_metadata="true",
        matte_bits="16",
        segmentation__model="people",
    )

    assert job["state"] == "succeeded", job["error"]
    files = {name: running_stack.output(job["id"], name) for name in job["outputs"]}
    assert len(files["image"]) == job["image"]["bytes"] <= MOST_BYTES
    assert job["image"]["quality"] < 90
    assert (job["image"]["width"], job["image"]["height"]) == (512, 512)
    assert len(job["image"]["blurhash"]) == 28
    tags = opened(files["image"]).getexif()
    assert (tags[ARTIST], PLACE in tags) == ("Ada", False)
    assert (opened(files["matte"]).mode, opened(files["matte"]).getextrema()[1]) == ("I;16", 65_535)
    assert opened(files["thumbnail"]).size == (256, 256)
    layers = unpacked(files["zip"])
    assert list(layers) == ["color.jpg", "alpha.png"]
    assert opened(layers["color.jpg"]).size == (512, 512)
    persons = unpacked(files["persons"])
    (person,) = json.loads(persons["persons.json"])["persons"]
    assert opened(persons[person["file"]]).size == tuple(person["box"][2:])


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
