"""A job that is derived has the very matte of its parent, until somebody corrects it."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_tests.running import PHOTO, Running

GREEN, RED = (0, 128, 0), (255, 0, 0)
# A corner of the photo that is no part of the person, and a part of the space suit; width 40.
OUTSIDE, INSIDE = [[20, 20], [80, 20]], [[240, 420], [300, 420]]


def opened(running: Running, job: dict[str, Any], output: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(running.output(job["id"], output))))


@pytest.fixture(scope="module")
def parent(running_stack: Running) -> dict[str, Any]:
    job_id = running_stack.submit(
        background="color:#ff0000", outputs="image,matte", format="png", edge="fast"
    )
    return running_stack.wait(job_id)


def derived(running: Running, job: dict[str, Any], **asked: object) -> dict[str, Any]:
    answer = running.client.post(f"/v1/jobs/{job['id']}/derive", json=asked)
    assert answer.status_code == 202, answer.text
    return running.wait(answer.json()["id"])


def ran(job: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in job["stages"] if stage["attempt"]]


def test_another_background_takes_no_time_of_a_model(
    running_stack: Running, parent: dict[str, Any]
) -> None:
    job = derived(running_stack, parent, recipe={"background": "color:green"})

    assert job["state"] == "succeeded"
    assert ran(job) == ["composite"]
    assert [stage["seconds"] for stage in job["stages"][:2]] == [0, 0]
    matte = opened(running_stack, job, "matte")
    assert np.array_equal(matte, opened(running_stack, parent, "matte"))
    picture, before = (opened(running_stack, one, "image") for one in (job, parent))
    assert np.all(picture[matte == 0] == GREEN)
    assert np.all(before[matte == 0] == RED)


def test_photo_of_a_derived_job_is_its_parents(
    running_stack: Running, parent: dict[str, Any]
) -> None:
    job = derived(running_stack, parent, recipe={"background": "color:blue"})

    shown, before = (
        running_stack.client.get(one["links"]["photo"]).content for one in (job, parent)
    )

    assert shown == before
    photo = np.asarray(Image.open(PHOTO).convert("RGB")).astype(int)
    # What JPEG takes at this quality; its size is the photo's, which is below 1024 pixels.
    assert np.abs(np.asarray(Image.open(io.BytesIO(shown))) - photo).mean() < 3


def test_strokes_correct_the_matte_and_the_picture(
    running_stack: Running, parent: dict[str, Any]
) -> None:
    photo = np.asarray(Image.open(PHOTO).convert("RGB"))
    strokes = [
        {"points": OUTSIDE, "width": 24, "keep": True},
        {"points": INSIDE, "width": 24, "keep": False},
    ]
    correction = running_stack.client.post(
        f"/v1/jobs/{parent['id']}/corrections",
        json={"kind": "matte", "stage": "segmentation", "strokes": strokes, "consent": False},
    ).json()
    kept, removed = (slice(16, 24), slice(24, 76)), (slice(416, 424), slice(244, 296))
    before = opened(running_stack, parent, "matte")
    assert (before[kept].max(), before[removed].min()) == (0, 255)

    job = derived(running_stack, parent, correction_id=correction["id"])

    matte, picture = (opened(running_stack, job, name) for name in ("matte", "image"))
    assert ran(job) == ["composite"]
    assert matte[kept].min() >= 250
    assert np.abs(picture[kept].astype(int) - photo[kept]).max() <= 5
    assert matte[removed].max() <= 5
    assert np.abs(picture[removed].astype(int) - RED).max() <= 5
