"""A derived job has the very matte of its parent, until somebody corrects it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.running import PHOTO, Running

GREEN, RED = (0, 128, 0), (255, 0, 0)
# A corner of the photo that is no part of the person, and a part of the space suit; width 40.
OUTSIDE, INSIDE = [[20, 20], [80, 20]], [[240, 420], [300, 420]]


@pytest.fixture(scope="module")
def parent(running_stack: Running) -> dict[str, Any]:
    return running_stack.run(
        background="color:#ff0000", outputs="image,matte", format="png", edge="fast"
    )


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
    matte = running_stack.pixels(job["id"], "matte")
    assert np.array_equal(matte, running_stack.pixels(parent["id"], "matte"))
    assert np.all(running_stack.pixels(job["id"])[matte == 0] == GREEN)
    assert np.all(running_stack.pixels(parent["id"])[matte == 0] == RED)
    shown = [running_stack.client.get(one["links"]["photo"]).content for one in (job, parent)]
    assert shown[0] == shown[1]


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
    kept, removed = np.s_[16:24, 24:76], np.s_[416:424, 244:296]
    before = running_stack.pixels(parent["id"], "matte")
    assert (before[kept].max(), before[removed].min()) == (0, 255)

    job = derived(running_stack, parent, correction_id=correction["id"])

    matte, picture = (running_stack.pixels(job["id"], name) for name in ("matte", "image"))
    assert ran(job) == ["composite"]
    assert matte[kept].min() >= 250
    assert np.abs(picture[kept].astype(int) - photo[kept]).max() <= 5
    assert matte[removed].max() <= 5
    assert np.abs(picture[removed].astype(int) - RED).max() <= 5
