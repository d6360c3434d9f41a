"""The models that a recipe chooses: what they make, and who takes over when one is unsure."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.pictures import encoded
from smart_filter_tests.running import PHOTO, Running

ENSEMBLE = {
    "background": "color:red",
    "segmentation__model": "ensemble",
    "segmentation__params__agreement": "1",
    "segmentation__params__below": "escalate",
}


def two_persons() -> bytes:
    """Return the astronaut twice, side by side, the right one half as large."""
    one = Image.open(PHOTO).convert("RGB")
    both = Image.new("RGB", (1024, 512), (120, 120, 120))
    both.paste(one, (0, 0))
    both.paste(one.resize((256, 256)), (640, 256))
    return encoded(both, "JPEG", quality=95)


def segmentation(job: dict[str, Any]) -> tuple[str, int]:
    """Return the model that segmented a photo, and at which attempt."""
    (stage,) = [one for one in job["stages"] if one["name"] == "segmentation"]
    return stage["model"], stage["attempt"]


def test_photo_that_lies_on_its_side_comes_out_upright(running_stack: Running) -> None:
    upright = Image.open(PHOTO).convert("RGB")

    job = running_stack.run(
        encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95),
        background="color:#0000ff",
        outputs="image,faces",
        format="png",
    )

    picture = running_stack.pixels(job["id"])
    face = np.s_[60:180, 180:270]
    difference = np.abs(picture[face].astype(int) - np.asarray(upright)[face])
    assert np.median(difference) < 8, "her face is where it is in the upright photo"
    assert tuple(picture[20, 480]) == (0, 0, 255), "the wall is replaced"
    (found,) = job["faces"]
    assert found["box"][0] == pytest.approx(182, abs=12)


def test_members_that_disagree_hand_on_to_the_stronger_model(running_stack: Running) -> None:
    job = running_stack.run(
        **ENSEMBLE,
        segmentation__params__members="selfie,classical",
        segmentation__params__stronger="people",
    )

    assert job["state"] == "succeeded"
    assert segmentation(job) == ("people", 1)
    assert (job["confidence"], job["needs_review"]) == (None, False)


def test_stronger_model_that_no_worker_offers_leaves_the_photo_for_review(
    running_stack: Running,
) -> None:
    job = running_stack.run(**ENSEMBLE, segmentation__params__stronger="detectron2")

    assert job["state"] == "succeeded"
    assert segmentation(job)[0] == "ensemble"
    assert 0 < job["confidence"] < 1
    assert job["needs_review"] is True


def test_one_of_two_persons_can_be_kept(running_stack: Running) -> None:
    photo = running_stack.run(two_persons(), background="color:red", outputs="matte,rating")
    mattes, found = {}, {}
    for persons in ("all", "largest", "2"):
        derived = running_stack.client.post(
            f"/v1/jobs/{photo['id']}/derive", json={"recipe": {"persons": persons}}
        ).json()
        job = running_stack.wait(derived["id"])
        assert job["people"] == (2 if persons == "all" else 1)
        mattes[persons] = running_stack.pixels(job["id"], "matte") > 127
        found[persons] = job["persons"]

    left, right = mattes["all"][:, :512].mean(), mattes["all"][:, 600:].mean()
    assert min(left, right) > 0.1
    assert mattes["largest"][:, 600:].mean() == 0
    assert mattes["2"][:, :512].mean() == 0
    assert mattes["2"][:, 600:].mean() == pytest.approx(right, abs=0.02)
    kept = {persons: [one["kept"] for one in of_it] for persons, of_it in found.items()}
    assert kept == {"all": [True, True], "largest": [True, False], "2": [False, True]}
    boxes = [[(one["number"], one["box"]) for one in of_it] for of_it in found.values()]
    assert boxes == [boxes[0]] * 3
    for _, (x, y, width, height) in boxes[0]:
        assert mattes["all"][int(y) : int(y + height), int(x) : int(x + width)].mean() > 0.3
