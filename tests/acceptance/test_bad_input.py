"""The contract's table of bad input, its second and third column: what `prepare` refuses
after the door let it in, and what works although it is odd.

How each format is decoded or refused is tested on the decoder itself; here is one photo of each
kind of trouble that a job can meet.
"""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.pictures import encoded
from smart_filter_tests.running import PHOTO, Running

# JPEG at quality 90, twice, and CMYK's rounding between.
LEVELS = 12


def portrait() -> Image.Image:
    return Image.open(PHOTO).convert("RGB").resize((256, 256))


def nobody() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB")


ODD = {
    "cmyk": (encoded(portrait().convert("CMYK"), "JPEG", quality=95), portrait(), 1),
    "grey-avif": (
        encoded(portrait().convert("L"), "AVIF", quality=95),
        portrait().convert("L"),
        1,
    ),
    # Black and white dots are no face to the detector.
    "black-and-white": (encoded(portrait().convert("1"), "PNG"), portrait().convert("1"), 0),
}


@pytest.mark.parametrize(("content", "expected", "faces"), ODD.values(), ids=ODD)
def test_odd_photos_work_and_look_right(
    running_stack: Running, content: bytes, expected: Image.Image, faces: int
) -> None:
    job = running_stack.run(content, background="keep", outputs="image,faces", format="png")

    assert job["state"] == "succeeded", job["error"]
    assert (job["photo"]["width"], job["photo"]["height"]) == (256, 256)
    seen = running_stack.pixels(job["id"]).astype(int)
    difference = np.abs(seen - np.asarray(expected.convert("RGB")))
    assert difference.mean() < LEVELS / 3
    assert np.quantile(difference, 0.95) <= LEVELS
    assert len(job["faces"]) == faces


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def a_png(*chunks: bytes) -> bytes:
    """Return a PNG that says it has 64 × 64 pixels, and holds these chunks."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    whole = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def jpeg_of_too_few_rows() -> bytes:
    content = bytearray(encoded(portrait(), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 5000, 256)
    return bytes(content)


UNREADABLE, TOO_LARGE = "image_unreadable", "image_too_large"
SWOLLEN = zlib.compress(bytes(100_000_000))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(encoded(portrait(), "WEBP")[:3000], UNREADABLE, id="webp-cut"),
        pytest.param(a_png(), UNREADABLE, id="png-without-pixels"),
        pytest.param(
            a_png(png_chunk(b"IDAT", zlib.compress(bytes(64)))),
            UNREADABLE,
            id="png-of-too-few-rows",
        ),
        pytest.param(jpeg_of_too_few_rows(), UNREADABLE, id="jpeg-of-too-few-rows"),
        pytest.param(a_png(png_chunk(b"IDAT", SWOLLEN)), TOO_LARGE, id="png-swells"),
    ],
)
def test_useless_photos_fail_plainly_at_the_first_attempt(
    running_stack: Running, content: bytes, code: str
) -> None:
    job = running_stack.run(content)

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == (code, "prepare")
    assert job["error"]["title"]
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["prepare"] == 1
    assert {stage["state"] for stage in job["stages"][1:]} == {"canceled"}


def test_photo_without_people_is_kept_as_it_is(running_stack: Running) -> None:
    job = running_stack.run(
        encoded(nobody(), "PNG"), background="blur:0.5", outputs="image,rating", format="png"
    )

    assert (job["state"], job["people"], job["rating_reason"]) == ("succeeded", 0, "no_face")
    assert (job["rating"], job["background"]["kind"]) == (None, "keep")
    assert np.array_equal(running_stack.pixels(job["id"]), np.asarray(nobody()))


def test_photo_without_people_fails_where_a_person_is_required(running_stack: Running) -> None:
    job = running_stack.run(encoded(nobody(), "PNG"), require_person="true")

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("no_person", "segmentation")
