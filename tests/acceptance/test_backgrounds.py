"""Backgrounds that need a photo's own pixels or another file, through the running stack."""

import io
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_tests.running import PHOTO, Running

JPEG_LEVELS = 12


def saved(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def submit(running: Running, background: bytes, **fields: str) -> str:
    answer = running.client.post(
        "/v1/jobs",
        files={"photo": PHOTO.read_bytes(), "background_file": background},
        data={"background": "file", **fields},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def matte(running: Running, job_id: str) -> NDArray[np.uint8]:
    return np.asarray(opened(running.output(job_id, "matte")))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_uploaded_background_stands_behind_the_person(running_stack: Running, kind: str) -> None:
    green = saved(Image.new("RGB", (900, 300), (20, 160, 60)), kind)
    job_id = submit(running_stack, green, outputs="image,matte", format="png")

    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert (job["background"]["kind"], job["background"]["name"]) == ("file", None)
    seen = np.asarray(opened(running_stack.output(job_id, "image"))).astype(int)
    outside = matte(running_stack, job_id) == 0
    assert seen.shape == (512, 512, 3)
    assert np.abs(seen[outside] - [20, 160, 60]).max() <= JPEG_LEVELS


def test_background_that_cannot_be_read_is_told_from_the_photo(running_stack: Running) -> None:
    cut = PHOTO.read_bytes()[:50_000]

    job = running_stack.wait(submit(running_stack, cut))

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("image_unreadable", "composite")
    assert "the background file" in job["error"]["detail"]
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["composite"] == 1


@pytest.mark.parametrize(
    ("background", "seen"),
    [
        (saved(Image.new("RGBA", (4, 9), (255, 0, 0, 0)), "PNG"), (255, 255, 255)),
        (saved(Image.new("CMYK", (700, 600), (0, 0, 0, 255)), "JPEG"), (0, 0, 0)),
        (saved(Image.new("I;16", (40, 40), 0x8000), "PNG"), (128, 128, 128)),
    ],
    ids=["tiny and transparent", "CMYK", "16 bits of grey"],
)
def test_background_of_any_kind_fills_the_frame(
    running_stack: Running, background: bytes, seen: tuple[int, int, int]
) -> None:
    job = running_stack.wait(submit(running_stack, background, format="png"))

    assert job["state"] == "succeeded", job["error"]
    picture = np.asarray(opened(running_stack.output(job["id"], "image"))).astype(int)
    assert picture.shape == (512, 512, 3)
    assert np.abs(picture[:20, -20:] - seen).max() <= JPEG_LEVELS


def test_background_that_swells_is_refused(running_stack: Running) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200), np.uint8)
    plain = saved(Image.fromarray(noise), "PNG")
    small = plain[:16] + (8).to_bytes(4) + (8).to_bytes(4) + plain[24:29]
    bomb = small + zlib.crc32(small[12:29]).to_bytes(4) + plain[33:]

    job = running_stack.wait(submit(running_stack, bomb))

    assert (job["state"], job["error"]["stage"]) == ("failed", "composite")
    assert job["error"]["code"] == "image_too_large"
    assert "the background file" in job["error"]["detail"]


def test_blurred_background_comes_with_a_sharp_person(running_stack: Running) -> None:
    job_id = running_stack.submit(background="blur:0.8", outputs="image,matte", format="png")

    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert job["background"]["kind"] == "blur"
    seen = np.asarray(opened(running_stack.output(job_id, "image"))).astype(int)
    photo = np.asarray(opened(PHOTO.read_bytes()).convert("RGB")).astype(int)
    alpha = matte(running_stack, job_id)
    assert np.quantile(np.abs(seen - photo)[alpha == 255], 0.99) <= 2
    far = np.zeros_like(alpha, bool)
    far[60:180, 400:] = True  # the shuttle's edges
    assert (
        np.abs(np.diff(seen[far].reshape(120, -1, 3), axis=1)).mean()
        < 0.5 * np.abs(np.diff(photo[far].reshape(120, -1, 3), axis=1)).mean()
    )


def test_words_choose_a_background_and_say_so(running_stack: Running) -> None:
    job_id = running_stack.submit(background="keywords:rainbw,linen,xyzzy")

    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    chosen = job["background"]
    assert chosen["kind"] == "preset"
    assert chosen["name"] in {"rainbow+linen", "sorbet+linen"}
    assert chosen["keywords"] == ["rainbow", "linen"]
    assert '"rainbw" was read as rainbow' in chosen["reason"]
    assert 'unknown: "xyzzy"' in chosen["reason"]
    assert job["rating"] is not None


@pytest.mark.parametrize("kind", ["webp", "avif"])
@pytest.mark.parametrize(("background", "mode"), [("preset:paper", "RGB"), ("transparent", "RGBA")])
def test_modern_format_comes_with_its_media_type(
    running_stack: Running, background: str, mode: str, kind: str
) -> None:
    job_id = running_stack.submit(background=background, format=kind)

    job = running_stack.wait(job_id)

    answer = running_stack.client.get(job["outputs"]["image"])
    assert job["image"].items() >= {"width": 512, "height": 512, "format": kind}.items()
    assert answer.headers["content-type"] == f"image/{kind}"
    picture = opened(answer.content)
    assert (picture.format, picture.mode, picture.size) == (kind.upper(), mode, (512, 512))


@pytest.mark.parametrize(("kind", "comes_as"), [("jpg", "png"), ("webp", "webp"), ("avif", "avif")])
def test_cutout_holds_the_person_and_nothing_else(
    running_stack: Running, kind: str, comes_as: str
) -> None:
    job_id = running_stack.submit(background="keep", outputs="cutout,matte", format=kind)

    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert [stage["name"] for stage in job["stages"]] == ["prepare", "segmentation", "composite"]
    assert (job["image"], set(job["outputs"])) == (None, {"cutout", "matte"})
    answer = running_stack.client.get(job["outputs"]["cutout"])
    assert answer.headers["content-type"] == f"image/{comes_as}"
    seen = np.asarray(opened(answer.content)).astype(int)
    photo = np.asarray(opened(PHOTO.read_bytes()).convert("RGB")).astype(int)
    alpha = matte(running_stack, job_id)
    assert np.abs(seen[..., 3] - alpha).max() <= 1
    inside = alpha == 255
    assert 0.2 < inside.mean() < 0.9
    assert np.abs(seen[..., :3] - photo)[inside].mean() <= (0 if comes_as == "png" else 4)


def test_cutout_of_nobody_is_empty(running_stack: Running) -> None:
    nobody = Image.linear_gradient("L").convert("RGB")
    job_id = running_stack.submit(saved(nobody, "PNG"), outputs="image,cutout")

    job = running_stack.wait(job_id)

    assert (job["state"], job["people"]) == ("succeeded", 0)
    assert not np.asarray(opened(running_stack.output(job_id, "cutout"))).any()
