"""A photo goes in, a picture comes out: what is in the picture, and what is said of it."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel
from smart_filter_tests.running import PHOTO, Running

# Loose enough for JPEG at quality 90 with 4:2:0 chroma, tight enough to see a wrong colour.
JPEG_LEVELS = 12


def opened(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def original() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def matte_of(running: Running, job_id: str) -> NDArray[np.uint8]:
    return opened(running.output(job_id, "matte"))


def test_red_background_is_red_and_the_person_is_untouched(running_stack: Running) -> None:
    job_id = running_stack.submit(background="color:#ff0000", outputs="image,matte", format="png")

    job = running_stack.wait(job_id)

    picture, matte = opened(running_stack.output(job_id, "image")), matte_of(running_stack, job_id)
    assert job["state"] == "succeeded"
    assert picture.shape == original().shape
    assert matte.shape == original().shape[:2]
    outside, inside = matte == 0, matte == 255
    assert outside.mean() > 0.1
    assert inside.mean() > 0.2
    assert np.all(picture[outside] == (255, 0, 0))
    difference = np.abs(picture[inside].astype(int) - original()[inside].astype(int))
    assert np.quantile(difference, 0.99) <= 2


def test_auto_background_says_whom_it_saw_and_why_it_chose(running_stack: Running) -> None:
    job = running_stack.wait(running_stack.submit(outputs="image,faces,rating"))

    assert job["state"] == "succeeded"
    assert job["people"] == 1
    (face,) = job["faces"]
    x, y, width, height = face["box"]
    # The astronaut's face, as anybody sees it in the picture.
    assert x < 224 < x + width
    assert y < 110 < y + height
    assert face["smile"]["level"] in {"moderate", "huge"}
    assert face["eyes"] == {"left_open": True, "right_open": True}
    assert job["background"]["kind"] == "preset"
    assert job["background"]["name"]
    assert job["background"]["reason"].startswith("1 person, smiling")
    candidates = job["background"]["candidates"]
    assert len(candidates) == 5
    assert candidates[0]["name"] == job["background"]["name"]
    assert job["image"].items() >= {"width": 512, "height": 512, "format": "jpg"}.items()
    assert [stage["state"] for stage in job["stages"]] == ["succeeded"] * 5


def test_rating_can_be_computed_again_from_the_answer(running_stack: Running) -> None:
    job = running_stack.wait(running_stack.submit(outputs="rating", background="keep"))

    rating = job["rating"]
    levels = [SmileLevel(face["smile"]["level"]) for face in job["faces"]]
    average = sum(rating["weights"][level] for level in levels) / len(levels)
    ratio = 0.5 * rating["open_eyes"] / rating["faces"]
    shares = rating["shares"]
    assert rating["weights"] == dict(LEVEL_WEIGHTS)
    assert rating["score"] == pytest.approx(
        shares["smile"] * average + shares["eyes"] * ratio, abs=1e-6
    )
    assert [stage["name"] for stage in job["stages"]] == [
        "prepare",
        "segmentation",
        "face",
        "smile",
    ]


def test_printability_says_what_speaks_against_a_print(running_stack: Running) -> None:
    job_id = running_stack.submit(outputs="printability", background="keep")

    job = running_stack.wait(job_id)

    printable = json.loads(running_stack.output(job_id, "printability"))
    # 512 pixels are for screens; else nothing is wrong with the astronaut's portrait.
    assert printable["reasons"] == ["512 × 512 pixels are too few for a print of 9×13 cm."]
    assert printable["looks"]["text"] == "Nobody blinks or looks away."
    assert printable == job["printability"]
    assert (printable["size"]["width"], job["image"]) == (512, None)


def test_transparent_background_is_a_png_with_alpha(running_stack: Running) -> None:
    job_id = running_stack.submit(background="transparent", outputs="image,matte")

    job = running_stack.wait(job_id)

    picture = opened(running_stack.output(job_id, "image"))
    assert job["image"]["format"] == "png"
    assert picture.shape[2] == 4
    difference = picture[..., 3].astype(int) - matte_of(running_stack, job_id).astype(int)
    assert np.abs(difference).max() <= 1


def test_keep_runs_no_model_of_people(running_stack: Running) -> None:
    job_id = running_stack.submit(background="keep")

    job = running_stack.wait(job_id)

    assert [stage["name"] for stage in job["stages"]] == ["prepare", "composite"]
    assert (job["people"], job["faces"], job["rating"]) == (None, None, None)
    assert job["rating_reason"] == "not_requested"
    picture = opened(running_stack.output(job_id, "image")).astype(int)
    assert np.abs(picture - original().astype(int)).mean() < JPEG_LEVELS


def test_photo_turned_by_its_exif_comes_out_upright(running_stack: Running) -> None:
    turned = (
        Image.open(PHOTO).convert("RGB").resize((300, 512)).transpose(Image.Transpose.ROTATE_90)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to show
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)

    job = running_stack.wait(running_stack.submit(buffer.getvalue(), background="keep"))

    upright = {"width": 300, "height": 512, "format": "jpg", "quarter_turns": 0}
    assert job["photo"] == upright
    shown = running_stack.client.get(job["links"]["photo"])
    assert opened(shown.content).shape[:2] == (512, 300)


def test_photo_of_nobody_is_kept(running_stack: Running) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (90, 140, 190)).save(buffer, "PNG")

    job = running_stack.wait(running_stack.submit(buffer.getvalue()))

    assert job["state"] == "succeeded"
    assert job["people"] == 0
    assert job["rating"] is None
    assert job["rating_reason"] == "no_face"


def test_photo_of_nobody_fails_when_a_person_is_required(running_stack: Running) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (90, 140, 190)).save(buffer, "PNG")

    job = running_stack.wait(running_stack.submit(buffer.getvalue(), require_person="true"))

    assert job["state"] == "failed"
    assert job["error"]["code"] == "no_person"


def test_truncated_photo_fails_plainly(running_stack: Running) -> None:
    buffer = io.BytesIO()
    Image.open(PHOTO).convert("RGB").save(buffer, "JPEG")

    job = running_stack.wait(running_stack.submit(buffer.getvalue()[:9000]))

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("image_unreadable", "prepare")


def test_same_photo_recipe_and_seed_give_the_same_bytes(running_stack: Running) -> None:
    first, second = (running_stack.submit(seed="42") for _ in range(2))
    running_stack.wait(first)
    running_stack.wait(second)

    assert running_stack.output(first, "image") == running_stack.output(second, "image")


def test_album_composes_the_photo_that_smiles(running_stack: Running) -> None:
    photos = [PHOTO, PHOTO.with_name("grace_hopper.jpg")]
    items = [{"photo_base64": small(photo), "metadata": {"file": photo.name}} for photo in photos]
    nobody = base64.b64encode(encoded(Image.new("RGB", (64, 64), "green"))).decode()
    document = {"items": [{"photo_base64": nobody}, *items], "album": {"best": 1}}

    answer = running_stack.client.post("/v1/batches", json=document)
    address = f"/v1/batches/{answer.json()['id']}"
    running_stack.until(lambda: running_stack.client.get(address).json()["finished_at"] is not None)

    batch = running_stack.client.get(address).json()
    jobs = [running_stack.job(item["job_id"]) for item in batch["items"]]
    composed = [job for job in jobs if "composite" in [stage["name"] for stage in job["stages"]]]
    assert batch["succeeded"] == 3, batch
    assert sorted(job["rank"] for job in jobs) == [1, 2, 3]
    assert jobs[0]["rank"] == 3
    assert [(job["rank"], job["image"] is None) for job in composed] == [(1, False)]
    assert [job["rank_terms"]["rating"] is None for job in jobs] == [True, False, False]


def small(photo: Path) -> str:
    """Return a photo at a quarter of its size, as base64."""
    with Image.open(photo) as picture:
        return base64.b64encode(encoded(picture.convert("RGB").reduce(2))).decode()


def encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    return buffer.getvalue()
