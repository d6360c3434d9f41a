"""Takes: photos of a burst in, one picture with the best faces out."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from benchmarks import best_shot as bursts
from PIL import Image

from smart_filter_tests.full_stack import PHOTO, WORKER, RunningStack
from smart_filter_workers import images
from smart_filter_workers.best_take import compose
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

# What a hand moves a camera between two shots: 0.3° and some pixels.
TREMOR = np.array([[1.0, 0.005, 6.0], [-0.005, 1.0, -4.0]], np.float32)
KEEP = {"background": "keep", "format": "png"}


@pytest.fixture(scope="module")
def burst(weights_folder: Path) -> tuple[Srgb8, list[bytes]]:
    """A woman and a man, and three shots of them: her eyes are closed, his, and both's."""
    reader = bursts.Reader(weights_folder)
    woman, man = (
        images.decode(path.read_bytes()).srgb
        for path in (PHOTO, PHOTO.with_name("grace_hopper.jpg"))
    )
    width = round(man.shape[1] * woman.shape[0] / man.shape[0])
    man = np.asarray(cv2.resize(man, (width, woman.shape[0]), interpolation=cv2.INTER_AREA))
    couple = np.hstack([woman, man])
    portrait = bursts.read_portrait(reader, couple)
    assert portrait is not None

    def close(*persons: int) -> Srgb8:
        meshes = tuple(portrait.meshes[person] for person in persons)
        return bursts.close_eyes(bursts.Portrait(couple, portrait.faces, meshes, True, False))

    shots = [close(0), close(1), close(0, 1)]
    size = couple.shape[1], couple.shape[0]
    shots[1:] = [
        np.asarray(cv2.warpAffine(shot, TREMOR, size, borderMode=cv2.BORDER_REFLECT), np.uint8)
        for shot in shots[1:]
    ]
    return couple, [images.encode_png(shot).content for shot in shots]


def submit(stack: RunningStack, photos: list[bytes], **recipe: object) -> str:
    document = {
        "items": [{"photo_base64": base64.b64encode(photo).decode()} for photo in photos],
        "album": {"best": "take"},
        "recipe": {**KEEP, **recipe},
    }
    return f"/v1/batches/{stack.create('/v1/batches', json=document)['id']}"


def finish(stack: RunningStack, address: str) -> dict[str, Any]:
    stack.until(lambda: stack.client.get(address).json()["finished_at"] is not None)
    batch: dict[str, Any] = stack.client.get(address).json()
    return batch


@pytest.fixture(scope="module")
def batch(running_stack: RunningStack, burst: tuple[Srgb8, list[bytes]]) -> dict[str, Any]:
    """The finished batch of the burst."""
    return finish(running_stack, submit(running_stack, burst[1]))


def test_take_has_the_open_eyes_of_both(
    running_stack: RunningStack, burst: tuple[Srgb8, list[bytes]], batch: dict[str, Any]
) -> None:
    couple, _ = burst

    take = batch["take"]

    assert take["state"] == "succeeded", take
    base, other = take["base"], 1 - take["base"]
    # She is person 1, and her eyes are closed in photo 1.
    assert take["swaps"] == [{"person": 1 + base, "item": other, "reason": "the eyes are open"}]
    assert [person["items"] for person in take["people"]] == [
        [base, *sorted({0, 1, 2} - {base})]
    ] * 2
    assert take["fallback"] is None
    job = running_stack.job(take["job_id"])
    assert job["rating"]["open_eyes"] == 4
    picture = running_stack.pixels(take["job_id"])[..., :3].astype(int)
    if base == 0:
        assert np.abs(picture - couple).mean() < 2
    composed = [running_stack.job(item["job_id"])["image"] for item in batch["items"]]
    assert composed == [None] * 3


def derive(stack: RunningStack, job_id: str, faces: dict[str, int]) -> httpx.Response:
    return stack.client.post(f"/v1/jobs/{job_id}/derive", json={"faces": faces})


@pytest.mark.slow  # two more takes are composed
def test_faces_of_a_take_can_be_chosen(
    running_stack: RunningStack, burst: tuple[Srgb8, list[bytes]], batch: dict[str, Any]
) -> None:
    take = batch["take"]
    base, (swap,) = take["base"], take["swaps"]

    chosen = derive(running_stack, take["job_id"], {str(swap["person"]): base}).json()
    as_sent = running_stack.wait(chosen["id"])
    other = derive(running_stack, chosen["id"], {"1": 2, "2": 2}).json()
    swapped = running_stack.wait(other["id"])
    on_teal = running_stack.client.post(
        f"/v1/jobs/{take['job_id']}/derive", json={"recipe": {"background": "color:teal"}}
    ).json()

    assert (as_sent["state"], as_sent["parent_id"]) == ("succeeded", take["job_id"])
    assert as_sent["take"]["swaps"] == []
    assert as_sent["take"]["fallback"] == compose.CHOSEN_BASE
    sent = np.asarray(Image.open(io.BytesIO(burst[1][base])))
    assert np.array_equal(running_stack.pixels(as_sent["id"])[..., :3], sent)
    assert swapped["take"]["swaps"] == [
        {"person": person, "item": 2, "reason": "it was chosen"} for person in (1, 2)
    ]
    assert swapped["rating"]["open_eyes"] < 4
    # Another background has the same faces, whose sources its credentials list.
    assert running_stack.wait(on_teal["id"])["take"]["swaps"] == take["swaps"]


def test_faces_that_cannot_be_chosen_are_refused(
    running_stack: RunningStack, batch: dict[str, Any]
) -> None:
    take = batch["take"]
    plain = running_stack.run(background="keep")

    wrong = derive(running_stack, take["job_id"], {"1": 7, "3": 0})
    no_take = derive(running_stack, plain["id"], {"1": 0})

    assert [answer.status_code for answer in (wrong, no_take)] == [422, 422]
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/faces/1", "/faces/3"]
    assert no_take.json()["errors"][0]["detail"].endswith("is not a take")


def test_take_of_broken_photos_fails_with_the_reason(
    running_stack: RunningStack, burst: tuple[Srgb8, list[bytes]]
) -> None:
    broken = burst[1][0][:20_000]

    batch = finish(running_stack, submit(running_stack, [broken, broken]))

    assert batch["take"]["error"]["code"] == "image_unreadable"
    assert "none of the batch's photos could be used" in batch["take"]["error"]["detail"]


@pytest.mark.slow  # a new worker loads its models
def test_killed_worker_composes_its_take_again(
    running_stack: RunningStack, burst: tuple[Srgb8, list[bytes]]
) -> None:
    address = submit(running_stack, burst[1])

    def is_composing() -> bool:
        take = running_stack.client.get(address).json()["take"]
        return bool(take["state"] == "running")

    running_stack.until(is_composing)
    running_stack.stack.kill(WORKER)
    batch = finish(running_stack, address)

    assert batch["take"]["state"] == "succeeded", batch["take"]
    assert len(batch["take"]["swaps"]) == 1
    (prepare, *_) = running_stack.job(batch["take"]["job_id"])["stages"]
    assert (prepare["name"], prepare["state"]) == ("prepare", "succeeded")
