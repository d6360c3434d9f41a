"""From photo to picture: its pixels, and the facts and models in the job's answer."""

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.ids import Capability
from smart_filter_shared.queue import heads
from smart_filter_tests.bench import Bench, open_bench, settings_of
from smart_filter_tests.full_stack import PHOTO, RunningStack
from smart_filter_tests.heic import quarters
from smart_filter_tests.pictures import encode, plain

GREEN, RED = (0, 128, 0), (255, 0, 0)
# A corner of the photo without the person, and a part of the space suit; width 40.
OUTSIDE, INSIDE = [[20, 20], [80, 20]], [[240, 420], [300, 420]]


def original() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def test_red_background_is_red_and_the_person_is_untouched(running_stack: RunningStack) -> None:
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


def test_auto_background_names_its_reason(running_stack: RunningStack) -> None:
    job = running_stack.run(outputs="image,faces,rating")

    assert job["state"] == "succeeded"
    assert job["people"] == 1
    (face,) = job["faces"]
    x, y, width, height = face["box"]
    # The astronaut's face in the picture.
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


def test_same_photo_recipe_and_seed_give_the_same_bytes(running_stack: RunningStack) -> None:
    first, second = (running_stack.run(seed="42") for _ in range(2))

    assert running_stack.output(first["id"], "image") == running_stack.output(second["id"], "image")


def test_stage_that_lost_two_workers_succeeds_at_its_last_attempt(
    running_stack: RunningStack,
) -> None:
    with open_bench(settings_of(running_stack.stack.addresses), connections=1) as bench:
        running_stack.until(lambda: served_by(bench) != [])
        served = served_by(bench)
        for capability in served:
            bench.do(heads.pause, capability)
        job_id = running_stack.submit(background="keep")
        bench.execute("UPDATE stages SET attempt = 2 WHERE job_id = :id", id=job_id)
        for capability in served:
            bench.do(heads.resume, capability)

    job = running_stack.wait(job_id)

    assert (job["state"], job["error"]) == ("succeeded", None)
    assert {stage["attempt"] for stage in job["stages"]} == {3}


def served_by(bench: Bench) -> list[Capability]:
    """Return the capabilities that the worker has announced."""
    served = "SELECT array_agg(DISTINCT name) FROM workers, unnest(capabilities) AS name"
    return [Capability(name) for name in bench.scalar(served) or ()]


def test_album_composes_the_photo_that_smiles(running_stack: RunningStack) -> None:
    portraits = [
        encode(Image.open(photo).convert("RGB").reduce(2), "JPEG")
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


def test_filters_are_drawn_and_listed(running_stack: RunningStack) -> None:
    """She smiles and looks into the camera; only the hat and the glasses change pixels."""
    job = running_stack.run(
        background="keep", format="png", filters="hat,glasses", filters__glasses__kind="shades"
    )

    assert job["filters"] == [
        {
            "name": "hat",
            "applied": True,
            "reason": "a party hat on the face; cut off at the upper border",
        },
        {"name": "glasses", "applied": True, "reason": "shades on the face"},
    ]
    assert [stage["name"] for stage in job["stages"]] == ["prepare", "composite"]
    photo = np.asarray(Image.open(PHOTO).convert("RGB")).astype(int)
    seen = running_stack.pixels(job["id"]).astype(int)
    # Her eyes are at 206 and 240, 113; her suit is below.
    assert seen[105:120, 200:250].mean() < photo[105:120, 200:250].mean() - 40
    assert np.array_equal(seen[200:], photo[200:])


MOST_BYTES = 40_000
ARTIST, PLACE = 0x013B, 0x8825


def with_exif() -> bytes:
    tags = Image.Exif()
    tags[ARTIST] = "Ada"
    tags.get_ifd(PLACE)[2] = (48.0, 12.0, 30.0)
    return encode(Image.open(PHOTO).convert("RGB"), "JPEG", quality=95, exif=tags)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        return {one: files.read(one) for one in files.namelist()}


def test_every_kind_of_file_stays_within_its_limits(running_stack: RunningStack) -> None:
    job = running_stack.run(
        with_exif(),
        background="preset:sunrise",
        outputs="image,matte,persons,zip,thumbnail",
        max_bytes="40kB",
        effort="small",
        keep_metadata="true",
        matte_bits="16",
        segmentation__model="people",
    )

    assert job["state"] == "succeeded", job["error"]
    files = {name: running_stack.output(job["id"], name) for name in job["outputs"]}
    assert len(files["image"]) == job["image"]["bytes"] <= MOST_BYTES
    assert job["image"]["quality"] < 90
    assert (job["image"]["width"], job["image"]["height"]) == (512, 512)
    assert len(job["image"]["blurhash"]) == 28
    tags = opened(files["image"]).getexif()
    assert (tags[ARTIST], PLACE in tags) == ("Ada", False)
    assert (opened(files["matte"]).mode, opened(files["matte"]).getextrema()[1]) == ("I;16", 65_535)
    assert opened(files["thumbnail"]).size == (256, 256)
    layers = unpacked(files["zip"])
    assert list(layers) == ["color.jpg", "alpha.png"]
    assert opened(layers["color.jpg"]).size == (512, 512)
    persons = unpacked(files["persons"])
    (person,) = json.loads(persons["persons.json"])["persons"]
    assert opened(persons[person["file"]]).size == tuple(person["box"][2:])


def test_heic_photo_is_processed(running_stack: RunningStack) -> None:
    job = running_stack.run(quarters(), background="keep", format="png")

    assert job["state"] == "succeeded", job["error"]
    assert job["photo"] == {"width": 64, "height": 48, "format": "heic", "quarter_turns": 0}
    photo = running_stack.client.get(job["links"]["photo"])
    assert Image.open(io.BytesIO(photo.content)).format == "JPEG"  # readable by every browser
    sent = running_stack.client.get(job["links"]["photo"], params={"original": "1"})
    assert (sent.content, sent.headers["content-type"]) == (quarters(), "image/heic")
    assert running_stack.pixels(job["id"]).shape == (48, 64, 3)


def test_photo_without_people_stays_unchanged(running_stack: RunningStack) -> None:
    gradient = Image.linear_gradient("L").convert("RGB")

    job = running_stack.run(
        encode(gradient, "PNG"), background="blur:0.5", outputs="image,rating", format="png"
    )

    assert (job["state"], job["people"], job["rating_reason"]) == ("succeeded", 0, "no_face")
    assert (job["rating"], job["background"]["kind"]) == (None, "keep")
    assert np.array_equal(running_stack.pixels(job["id"]), np.asarray(gradient))


def two_persons() -> bytes:
    """Return the astronaut twice, side by side, the right one half as large."""
    one = Image.open(PHOTO).convert("RGB")
    both = Image.new("RGB", (1024, 512), (120, 120, 120))
    both.paste(one, (0, 0))
    both.paste(one.resize((256, 256)), (640, 256))
    return encode(both, "JPEG", quality=95)


def segmentation(job: dict[str, Any]) -> tuple[str, int]:
    (stage,) = [stage for stage in job["stages"] if stage["name"] == "segmentation"]
    return stage["model"], stage["attempt"]


def test_photo_on_its_side_is_rotated_upright(running_stack: RunningStack) -> None:
    upright = Image.open(PHOTO).convert("RGB")

    job = running_stack.run(
        encode(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95),
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


def test_disagreeing_members_escalate_to_the_stronger_model(running_stack: RunningStack) -> None:
    job = running_stack.run(
        background="color:red",
        segmentation__model="ensemble",
        segmentation__params__agreement="1",
        segmentation__params__below="escalate",
        segmentation__params__members="selfie,classical",
        segmentation__params__stronger="people",
    )

    assert job["state"] == "succeeded"
    assert segmentation(job) == ("people", 1)
    assert job["confidence"] >= 0.9  # of the stronger model's own networks
    assert job["needs_review"] is False


def test_one_of_two_persons_can_be_kept(running_stack: RunningStack) -> None:
    everyone = running_stack.run(two_persons(), background="color:red", outputs="matte,rating")
    second = derived(running_stack, everyone, recipe={"persons": "2"})

    before, after = (running_stack.pixels(job["id"], "matte") > 127 for job in (everyone, second))
    left, right = before[:, :512].mean(), before[:, 600:].mean()
    assert min(left, right) > 0.1
    assert after[:, :512].mean() == 0
    assert after[:, 600:].mean() == pytest.approx(right, abs=0.02)
    assert (everyone["people"], second["people"]) == (2, 1)
    assert [person["kept"] for person in everyone["persons"]] == [True, True]
    assert [person["kept"] for person in second["persons"]] == [False, True]
    boxes, same = ([person["box"] for person in job["persons"]] for job in (everyone, second))
    assert boxes == same
    for x, y, width, height in boxes:
        assert before[int(y) : int(y + height), int(x) : int(x + width)].mean() > 0.3


@pytest.fixture(scope="module")
def parent(running_stack: RunningStack) -> dict[str, Any]:
    return running_stack.run(
        background="color:#ff0000", outputs="image,matte", format="png", edge="fast"
    )


def derived(running: RunningStack, job: dict[str, Any], **asked: object) -> dict[str, Any]:
    return running.wait(running.create(f"/v1/jobs/{job['id']}/derive", json=asked)["id"])


def ran(job: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in job["stages"] if stage["attempt"]]


def test_mask_that_is_sent_with_a_photo_is_the_matte_exactly(
    running_stack: RunningStack, tmp_path: Path
) -> None:
    drawn = np.zeros(original().shape[:2], np.uint8)
    drawn[100:200, 50:300] = 255
    drawn[200:210, 50:300] = 77
    mask = tmp_path / "mask.png"
    Image.fromarray(drawn).save(mask)
    turned = Image.open(PHOTO).convert("RGB").rotate(90, expand=True)
    sideways = tmp_path / "sideways.png"
    turned.save(sideways)
    Image.fromarray(np.rot90(drawn)).save(tmp_path / "turned.png")

    for photo, sent in ((PHOTO, mask), (sideways, tmp_path / "turned.png")):
        files = {"photo": photo.read_bytes(), "mask_file": sent.read_bytes()}
        fields = {"background": "color:red", "outputs": "image,matte", "format": "png"}
        job = running_stack.client.post("/v1/jobs", files=files, data=fields).json()
        assert running_stack.wait(job["id"])["state"] == "succeeded"

        assert np.array_equal(running_stack.pixels(job["id"], "matte"), drawn)
        picture = running_stack.pixels(job["id"])
        assert np.all(picture[drawn == 0] == RED)
        inside = np.s_[110:190, 60:290]
        assert np.abs(picture[inside].astype(int) - original()[inside]).max() <= 2


def test_strokes_correct_the_matte_and_the_picture(
    running_stack: RunningStack, parent: dict[str, Any]
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
