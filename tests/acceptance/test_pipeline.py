"""A photo goes in, a picture comes out: what is in the picture, and what is said of it."""

import base64
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel
from smart_filter_tests.heic import quarters
from smart_filter_tests.pictures import encoded, plain
from smart_filter_tests.running import PHOTO, Running


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


def test_filters_are_drawn_and_said(running_stack: Running) -> None:
    """She smiles and looks into the camera; nothing but her hat and glasses changes."""
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
    return encoded(Image.open(PHOTO).convert("RGB"), "JPEG", quality=95, exif=tags)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        return {one: files.read(one) for one in files.namelist()}


def test_every_kind_of_file_comes_within_its_limits(running_stack: Running) -> None:
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


def test_heic_photo_works(running_stack: Running) -> None:
    job = running_stack.run(quarters(), background="keep", format="png")

    assert job["state"] == "succeeded", job["error"]
    assert job["photo"] == {"width": 64, "height": 48, "format": "heic", "quarter_turns": 0}
    photo = running_stack.client.get(job["links"]["photo"])
    assert Image.open(io.BytesIO(photo.content)).format == "JPEG"  # which every browser shows
    sent = running_stack.client.get(job["links"]["photo"], params={"original": "1"})
    assert (sent.content, sent.headers["content-type"]) == (quarters(), "image/heic")
    assert running_stack.pixels(job["id"]).shape == (48, 64, 3)


# JPEG at quality 90, twice, and CMYK's rounding between.
LEVELS = 12


def portrait() -> Image.Image:
    return Image.open(PHOTO).convert("RGB").resize((256, 256))


def nobody() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB")


def test_photo_in_other_colors_works_and_looks_right(running_stack: Running) -> None:
    photo = encoded(portrait().convert("CMYK"), "JPEG", quality=95)

    job = running_stack.run(photo, background="keep", outputs="image,faces", format="png")

    assert job["state"] == "succeeded", job["error"]
    assert (job["photo"]["width"], job["photo"]["height"]) == (256, 256)
    difference = np.abs(running_stack.pixels(job["id"]).astype(int) - np.asarray(portrait()))
    assert difference.mean() < LEVELS / 3
    assert np.quantile(difference, 0.95) <= LEVELS
    assert len(job["faces"]) == 1


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def a_png(*chunks: bytes) -> bytes:
    """Return a PNG that says it has 64 × 64 pixels, and holds these chunks."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    whole = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


SWOLLEN = zlib.compress(bytes(100_000_000))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(encoded(portrait(), "WEBP")[:3000], "image_unreadable", id="webp-cut"),
        pytest.param(a_png(png_chunk(b"IDAT", SWOLLEN)), "image_too_large", id="png-swells"),
    ],
)
def test_useless_photos_fail_plainly_at_the_first_attempt(
    running_stack: Running, content: bytes, code: str
) -> None:
    job = running_stack.run(content)

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == (code, "prepare")
    assert job["error"]["title"]
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["prepare"] == 1
    assert {stage["state"] for stage in job["stages"][1:]} == {"canceled"}


def test_photo_without_people_is_kept_as_it_is(running_stack: Running) -> None:
    job = running_stack.run(
        encoded(nobody(), "PNG"), background="blur:0.5", outputs="image,rating", format="png"
    )

    assert (job["state"], job["people"], job["rating_reason"]) == ("succeeded", 0, "no_face")
    assert (job["rating"], job["background"]["kind"]) == (None, "keep")
    assert np.array_equal(running_stack.pixels(job["id"]), np.asarray(nobody()))
