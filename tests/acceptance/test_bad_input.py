"""The contract's table of bad input, its second and third column: what `prepare` refuses
after the door let it in, and what works although it is odd.
"""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.running import PHOTO, Running

# JPEG at quality 90, twice, and CMYK's rounding between.
LEVELS = 12


def portrait() -> Image.Image:
    return Image.open(PHOTO).convert("RGB").resize((256, 256))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def with_alpha(picture: Image.Image) -> Image.Image:
    """The portrait, transparent along its left edge."""
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(0, (0, 0, 20, picture.height))
    picture.putalpha(alpha)
    return picture


def over_white(picture: Image.Image) -> Image.Image:
    rgba = picture.convert("RGBA")
    flat = Image.new("RGB", rgba.size, "white")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    return flat


def deep(picture: Image.Image) -> bytes:
    """A PNG of 16 bits a channel; Pillow cannot write one in colour."""
    levels = np.asarray(picture).astype(np.uint16) * 257
    return cv2.imencode(".png", levels[..., ::-1] if levels.ndim == 3 else levels)[1].tobytes()


def broken_exif() -> bytes:
    content = saved(portrait(), "JPEG", quality=95, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f!!")
    assert b"\xff\xff\xff\x7f!!" in content
    return content


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (256, 256), colour) for colour in ("red", "blue")]
    return saved(portrait(), kind, save_all=True, append_images=frames, duration=80)


ODD = {
    "cmyk": (saved(portrait().convert("CMYK"), "JPEG", quality=95), portrait()),
    "16-bit": (deep(portrait()), portrait()),
    "16-bit-grey": (deep(portrait().convert("L")), portrait().convert("L")),
    "grey-jpeg": (saved(portrait().convert("L"), "JPEG", quality=95), portrait().convert("L")),
    "grey-png": (saved(portrait().convert("L"), "PNG"), portrait().convert("L")),
    "black-and-white": (saved(portrait().convert("1"), "PNG"), portrait().convert("1")),
    "palette-with-alpha": (
        saved(with_alpha(portrait()).quantize(256), "PNG"),
        over_white(with_alpha(portrait()).quantize(256)),
    ),
    "alpha-webp": (
        saved(with_alpha(portrait()), "WEBP", lossless=True),
        over_white(with_alpha(portrait())),
    ),
    "broken-exif": (broken_exif(), portrait()),
    "animated-png": (animation("PNG"), portrait()),
    "animated-webp": (animation("WEBP"), portrait()),
    "animated-avif": (animation("AVIF"), portrait()),
    "alpha-avif": (
        saved(with_alpha(portrait()), "AVIF", quality=95, subsampling="4:4:4"),
        over_white(with_alpha(portrait())),
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_photos_work_and_look_right(running_stack: Running, kind: str) -> None:
    content, expected = ODD[kind]
    job_id = running_stack.submit(content, background="keep", outputs="image,faces", format="png")

    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert (job["photo"]["width"], job["photo"]["height"]) == (256, 256)
    seen = np.asarray(Image.open(io.BytesIO(running_stack.output(job_id, "image")))).astype(int)
    difference = np.abs(seen - np.asarray(expected.convert("RGB")))
    assert difference.mean() < LEVELS / 3
    assert np.quantile(difference, 0.95) <= LEVELS
    # Black and white dots are no face to the detector; all else is.
    assert len(job["faces"]) == (0 if kind == "black-and-white" else 1)


def test_no_person_is_no_failure(running_stack: Running) -> None:
    nobody = Image.linear_gradient("L").convert("RGB")
    job_id = running_stack.submit(
        saved(nobody, "PNG"), background="blur:0.5", outputs="image,rating", format="png"
    )

    job = running_stack.wait(job_id)

    assert (job["state"], job["people"], job["rating_reason"]) == ("succeeded", 0, "no_face")
    assert job["background"]["kind"] == "keep"
    seen = Image.open(io.BytesIO(running_stack.output(job_id, "image")))
    assert np.array_equal(np.asarray(seen), np.asarray(nobody))


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IEND", b""))
    )


def jpeg_that_says(width: int, height: int) -> bytes:
    content = bytearray(saved(portrait(), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def avif_that_swells() -> bytes:
    large = saved(Image.new("RGB", (8000, 6400)), "AVIF", speed=10)
    return large.replace(struct.pack(">II", 8000, 6400), struct.pack(">II", 64, 64))


def corrupt(kind: str) -> bytes:
    content = bytearray(saved(portrait(), kind, quality=95))
    middle = len(content) // 2
    content[middle : middle + 500] = bytes(500)
    return bytes(content)


def scans(count: int) -> bytes:
    content = saved(portrait(), "JPEG", progressive=True)
    scan = content.index(b"\xff\xda")
    return content[:-2] + content[scan : scan + 12] * count + content[-2:]


UNREADABLE, TOO_LARGE = "image_unreadable", "image_too_large"
USELESS = {
    "jpeg-cut": (saved(portrait(), "JPEG")[:5000], UNREADABLE),
    "progressive-cut": (saved(portrait(), "JPEG", progressive=True)[:5000], UNREADABLE),
    "png-cut": (saved(portrait(), "PNG")[:9000], UNREADABLE),
    "webp-cut": (saved(portrait(), "WEBP")[:3000], UNREADABLE),
    "avif-cut": (saved(portrait(), "AVIF")[:-2000], UNREADABLE),
    "avif-coded-larger-than-it-says": (avif_that_swells(), TOO_LARGE),
    "jpeg-corrupt": (corrupt("JPEG"), UNREADABLE),
    "png-corrupt": (corrupt("PNG"), UNREADABLE),
    "png-without-pixels": (png(64, 64), UNREADABLE),
    "png-of-too-few-rows": (png(64, 64, png_chunk(b"IDAT", zlib.compress(bytes(64)))), UNREADABLE),
    "jpeg-of-too-few-rows": (jpeg_that_says(256, 5000), UNREADABLE),
    "jpeg-of-a-thousand-scans": (scans(1000), UNREADABLE),
    "png-pixels-swell": (
        png(64, 64, png_chunk(b"IDAT", zlib.compress(bytes(100_000_000)))),
        TOO_LARGE,
    ),
    "png-text-swells": (
        png(64, 64, png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(70_000_000)))),
        TOO_LARGE,
    ),
}


@pytest.mark.parametrize("kind", USELESS)
def test_useless_photos_fail_plainly_at_the_first_attempt(
    running_stack: Running, kind: str
) -> None:
    content, code = USELESS[kind]

    job = running_stack.wait(running_stack.submit(content))

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == (code, "prepare")
    assert job["error"]["title"]
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["prepare"] == 1
    assert {stage["state"] for stage in job["stages"][1:]} == {"canceled"}


def test_required_person_who_is_not_there_is_told(running_stack: Running) -> None:
    nobody = saved(Image.linear_gradient("L").convert("RGB"), "PNG")

    job = running_stack.wait(running_stack.submit(nobody, require_person="true"))

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("no_person", "segmentation")
