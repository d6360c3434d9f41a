"""The models that a recipe chooses: what they make, and who takes over when one is unsure."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_tests.running import PHOTO, Running

TURNED = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180}


def two_persons() -> bytes:
    """Return the astronaut twice, side by side, the right one half as large."""
    one = Image.open(PHOTO).convert("RGB")
    both = Image.new("RGB", (1024, 512), (120, 120, 120))
    both.paste(one, (0, 0))
    both.paste(one.resize((256, 256)), (640, 256))
    buffer = io.BytesIO()
    both.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def turned(degrees: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(PHOTO).convert("RGB").transpose(TURNED[degrees]).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def opened(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def stage(job: dict[str, object], name: str) -> dict[str, object]:
    stages = job["stages"]
    assert isinstance(stages, list)
    found: dict[str, object] = next(one for one in stages if one["name"] == name)
    return found


@pytest.mark.parametrize("degrees", sorted(TURNED))
def test_photo_that_lies_on_its_side_comes_out_upright(
    running_stack: Running, degrees: int
) -> None:
    job_id = running_stack.submit(
        turned(degrees), background="color:#0000ff", outputs="image,faces", format="png"
    )

    job = running_stack.wait(job_id)

    picture = opened(running_stack.output(job_id, "image"))
    upright = np.asarray(Image.open(PHOTO).convert("RGB"))
    face = np.abs(picture[60:180, 180:270].astype(int) - upright[60:180, 180:270])
    assert np.median(face) < 8, "her face is where it is in the upright photo"
    assert tuple(picture[20, 480]) == (0, 0, 255), "the wall is replaced"
    (found,) = job["faces"]
    assert found["box"][0] == pytest.approx(182, abs=12)


def test_members_that_disagree_hand_on_to_the_stronger_model(running_stack: Running) -> None:
    job = running_stack.wait(
        running_stack.submit(
            background="color:red",
            segmentation__model="ensemble",
            segmentation__params__members="selfie,classical",
            segmentation__params__agreement="1",
            segmentation__params__below="escalate",
            segmentation__params__stronger="people",
        )
    )

    assert job["state"] == "succeeded"
    assert stage(job, "segmentation")["model"] == "people"
    assert stage(job, "segmentation")["attempt"] == 1
    assert (job["confidence"], job["needs_review"]) == (None, False)


def test_stronger_model_that_nobody_offers_leaves_the_photo_for_review(
    running_stack: Running,
) -> None:
    job = running_stack.wait(
        running_stack.submit(
            background="color:red",
            segmentation__model="ensemble",
            segmentation__params__agreement="1",
            segmentation__params__below="escalate",
            segmentation__params__stronger="detectron2",
        )
    )

    assert job["state"] == "succeeded"
    assert stage(job, "segmentation")["model"] == "ensemble"
    assert 0 < job["confidence"] < 1
    assert job["needs_review"] is True


def test_one_of_two_persons_can_be_kept(running_stack: Running) -> None:
    outputs = "matte,rating"
    photo_id = running_stack.submit(two_persons(), background="color:red", outputs=outputs)
    running_stack.wait(photo_id)
    mattes, found = {}, {}
    for persons in ("all", "largest", "2"):
        asked = {"recipe": {"persons": persons}}
        derived = running_stack.client.post(f"/v1/jobs/{photo_id}/derive", json=asked).json()
        job = running_stack.wait(derived["id"])
        assert job["people"] == (2 if persons == "all" else 1)
        mattes[persons] = opened(running_stack.output(job["id"], "matte")) > 127
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


def test_classical_way_shows_its_steps(running_stack: Running) -> None:
    job_id = running_stack.submit(
        background="transparent", outputs="image,debug", segmentation__model="classical"
    )

    job = running_stack.wait(job_id)

    assert set(job["outputs"]) == {"image", "debug"}
    assert opened(running_stack.output(job_id, "debug")).shape[0] > 300
