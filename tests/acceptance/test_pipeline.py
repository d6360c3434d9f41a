"""A photo goes in, a picture comes out: what is in the picture, and what is said of it."""

import base64
import io
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel
from smart_filter_tests.pictures import encoded, plain
from smart_filter_tests.running import PHOTO, Running

# Loose enough for JPEG at quality 90 with 4:2:0 chroma, tight enough to see a wrong color.
JPEG_LEVELS = 12


def original() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def test_red_background_is_red_and_the_person_is_untouched(running_stack: Running) -> None:
    job = running_stack.run(background="color:#ff0000", outputs="image,matte", format="png")

    assert job["state"] == "succeeded"
    picture, matte = (running_stack.pixels(job["id"], name) for name in ("image", "matte"))
    assert picture.shape == original().shape
    assert matte.shape == original().shape[:2]
    outside, inside = matte == 0, matte == 255
    assert outside.mean() > 0.1
    assert inside.mean() > 0.2
    assert np.all(picture[outside] == (255, 0, 0))
    difference = np.abs(picture[inside].astype(int) - original()[inside].astype(int))
    assert np.quantile(difference, 0.99) <= 2


def test_auto_background_says_whom_it_saw_and_why_it_chose(running_stack: Running) -> None:
    job = running_stack.run(outputs="image,faces,rating")

    assert job["state"] == "succeeded"
    assert job["people"] == 1
    (face,) = job["faces"]
    x, y, width, height = face["box"]
    # The astronaut's face, as anybody sees it in the picture.
    assert x < 224 < x + width
    assert y < 110 < y + height
    assert face["smile"]["level"] in {"moderate", "huge"}
    assert face["eyes"] == {"left_open": True, "right_open": True}
    background = job["background"]
    assert background["kind"] == "preset"
    assert background["reason"].startswith("1 person, smiling")
    assert len(background["candidates"]) == 5
    assert background["candidates"][0]["name"] == background["name"]
    assert job["image"].items() >= {"width": 512, "height": 512, "format": "jpg"}.items()
    assert [stage["state"] for stage in job["stages"]] == ["succeeded"] * 5


def test_rating_can_be_computed_again_from_the_answer(running_stack: Running) -> None:
    job = running_stack.run(outputs="rating", background="keep")

    rating = job["rating"]
    levels = [SmileLevel(face["smile"]["level"]) for face in job["faces"]]
    average = sum(rating["weights"][level] for level in levels) / len(levels)
    ratio = 0.5 * rating["open_eyes"] / rating["faces"]
    score = rating["shares"]["smile"] * average + rating["shares"]["eyes"] * ratio
    assert rating["weights"] == dict(LEVEL_WEIGHTS)
    assert rating["score"] == pytest.approx(score, abs=1e-6)
    stages = ["prepare", "segmentation", "face", "smile"]
    assert [stage["name"] for stage in job["stages"]] == stages


def test_printability_says_what_speaks_against_a_print(running_stack: Running) -> None:
    job = running_stack.run(outputs="printability", background="keep")

    printable = json.loads(running_stack.output(job["id"], "printability"))
    # 512 pixels are for screens; else nothing is wrong with the astronaut's portrait.
    assert printable["reasons"] == ["512 × 512 pixels are too few for a print of 9×13 cm."]
    assert printable["looks"]["text"] == "Nobody blinks or looks away."
    assert printable == job["printability"]
    assert (printable["size"]["width"], job["image"]) == (512, None)


def test_keep_runs_no_model_of_people(running_stack: Running) -> None:
    job = running_stack.run(background="keep")

    assert [stage["name"] for stage in job["stages"]] == ["prepare", "composite"]
    assert (job["people"], job["faces"], job["rating"]) == (None, None, None)
    assert job["rating_reason"] == "not_requested"
    picture = running_stack.pixels(job["id"]).astype(int)
    assert np.abs(picture - original().astype(int)).mean() < JPEG_LEVELS


def test_photo_turned_by_its_exif_comes_out_upright(running_stack: Running) -> None:
    lying = Image.new("RGB", (512, 300)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to show

    job = running_stack.run(encoded(lying, "JPEG", exif=exif), background="keep")

    assert job["photo"] == {"width": 512, "height": 300, "format": "jpg", "quarter_turns": 0}
    shown = running_stack.client.get(job["links"]["photo"])
    assert Image.open(io.BytesIO(shown.content)).size == (512, 300)


def test_same_photo_recipe_and_seed_give_the_same_bytes(running_stack: Running) -> None:
    first, second = (running_stack.run(seed="42") for _ in range(2))

    assert running_stack.output(first["id"], "image") == running_stack.output(second["id"], "image")


def test_album_composes_the_photo_that_smiles(running_stack: Running) -> None:
    portraits = [
        encoded(Image.open(photo).convert("RGB").reduce(2), "JPEG")
        for photo in (PHOTO, PHOTO.with_name("grace_hopper.jpg"))
    ]
    photos = [plain(64, 64, "green"), *portraits]
    items = [{"photo_base64": base64.b64encode(photo).decode()} for photo in photos]

    answer = running_stack.client.post("/v1/batches", json={"items": items, "album": {"best": 1}})
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
