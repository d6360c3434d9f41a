"""Backgrounds that come as a file, from an address, by words, or out of the photo itself."""

import io

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.pictures import plain
from smart_filter_tests.running import PHOTO, Running
from smart_filter_tests.web import a_site, answer, ok, redirect

GREEN = (20, 160, 60)
JPEG_LEVELS = 12


def submit(running: Running, background: bytes, **fields: str) -> str:
    answered = running.client.post(
        "/v1/jobs",
        files={"photo": PHOTO.read_bytes(), "background_file": background},
        data={"background": "file", **fields},
    )
    assert answered.status_code == 202, answered.text
    return str(answered.json()["id"])


def assert_green_behind(running: Running, job: dict[str, object], *, levels: int) -> None:
    assert job["state"] == "succeeded", job["error"]
    seen = running.pixels(str(job["id"])).astype(int)
    assert seen.shape == (512, 512, 3)
    outside = running.pixels(str(job["id"]), "matte") == 0
    assert np.abs(seen[outside] - GREEN).max() <= levels


def test_uploaded_background_stands_behind_the_person(running_stack: Running) -> None:
    background = plain(900, 300, GREEN, "JPEG")

    job = running_stack.wait(submit(running_stack, background, outputs="image,matte", format="png"))

    assert_green_behind(running_stack, job, levels=JPEG_LEVELS)
    assert (job["background"]["kind"], job["background"]["name"]) == ("file", None)


def test_unreadable_uploaded_background_fails_its_own_stage(
    running_stack: Running,
) -> None:
    job = running_stack.wait(submit(running_stack, PHOTO.read_bytes()[:50_000]))

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("image_unreadable", "composite")
    assert "the background file" in job["error"]["detail"]
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["composite"] == 1


def test_background_at_an_address_stands_behind_the_person(running_stack: Running) -> None:
    # The media type that a server names does not count; the link is a presigned one.
    picture = ok(plain(900, 300, GREEN), content__type="text/plain")
    with a_site({"/a?signature=x": picture}) as site:
        job = running_stack.run(
            background=f"url:{site.url}/a?signature=x", outputs="image,matte", format="png"
        )

    assert_green_behind(running_stack, job, levels=1)
    assert (job["background"]["kind"], job["background"]["name"]) == ("url", None)
    assert "signature" not in job["background"]["reason"]
    assert len(site.requests) == 1


def test_background_at_an_address_that_nothing_shows_is_not_fetched(running_stack: Running) -> None:
    with a_site({"/": ok(plain(900, 300, GREEN))}) as site:
        job = running_stack.run(background=f"url:{site.url}/", outputs="matte")

    assert (job["state"], site.requests) == ("succeeded", [])


@pytest.mark.parametrize(
    ("url", "code", "detail"),
    [
        (
            "http://169.254.169.254/latest/meta-data/",
            "photo_unreachable",
            "not found on the public internet",
        ),
        (
            "{site}/inward?signature=x",
            "photo_unreachable",
            "not found on the public internet (on redirect 1)",
        ),
        ("{site}/gone?signature=x", "photo_unreachable", "answers 404"),
        ("{site}/page", "image_unreadable", ""),
    ],
    ids=["private", "redirect inward", "gone", "no picture"],
)
def test_background_that_an_address_does_not_give_fails_its_job_at_once(
    running_stack: Running, url: str, code: str, detail: str
) -> None:
    said = {
        "/inward?signature=x": redirect("http://10.0.0.1/admin"),
        "/page": ok(b"<html>", content__type="image/jpeg"),
    }
    with a_site(said) as site:
        job = running_stack.run(background=f"url:{url.format(site=site.url)}")

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == (code, "composite")
    assert "the background at its address" in job["error"]["detail"]
    assert job["error"]["detail"].endswith(detail)
    assert not any(part in job["error"]["detail"] for part in ("signature", "10.0", "169.254"))
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["composite"] == 1


@pytest.mark.slow
def test_background_whose_server_is_away_is_tried_thrice(running_stack: Running) -> None:
    with a_site({"/": answer(503, content__length="0")}) as site:
        job = running_stack.run(background=f"url:{site.url}/")

    assert (job["state"], job["error"]["code"]) == ("failed", "photo_unreachable")
    assert job["error"]["detail"] == "the background at its address: its server answers 503"
    assert len(site.requests) == 3


def test_words_choose_a_background_and_say_so(running_stack: Running) -> None:
    job = running_stack.run(background="keywords:rainbw,linen,xyzzy")

    assert job["state"] == "succeeded", job["error"]
    chosen = job["background"]
    assert chosen["kind"] == "preset"
    assert chosen["name"] in {"rainbow+linen", "sorbet+linen"}
    assert chosen["keywords"] == ["rainbow", "linen"]
    assert '"rainbw" was read as rainbow' in chosen["reason"]
    assert 'unknown: "xyzzy"' in chosen["reason"]
    assert job["rating"] is not None


@pytest.mark.parametrize(
    ("background", "mode", "kind"),
    [("preset:paper", "RGB", "webp"), ("transparent", "RGBA", "avif")],
)
def test_modern_format_comes_with_its_media_type(
    running_stack: Running, background: str, mode: str, kind: str
) -> None:
    job = running_stack.run(background=background, format=kind)

    answered = running_stack.client.get(job["outputs"]["image"])
    assert job["image"].items() >= {"width": 512, "height": 512, "format": kind}.items()
    assert answered.headers["content-type"] == f"image/{kind}"
    picture = Image.open(io.BytesIO(answered.content))
    assert (picture.format, picture.mode, picture.size) == (kind.upper(), mode, (512, 512))


def test_cutout_holds_the_person_and_nothing_else(running_stack: Running) -> None:
    job = running_stack.run(background="keep", outputs="cutout,matte")

    assert job["state"] == "succeeded", job["error"]
    assert [stage["name"] for stage in job["stages"]] == ["prepare", "segmentation", "composite"]
    assert (job["image"], set(job["outputs"])) == (None, {"cutout", "matte"})
    photo = np.asarray(Image.open(PHOTO).convert("RGB"))
    seen, matte = (running_stack.pixels(job["id"], name) for name in ("cutout", "matte"))
    assert np.array_equal(seen[..., 3], matte)
    inside = matte == 255
    assert 0.2 < inside.mean() < 0.9
    assert np.array_equal(seen[inside][:, :3], photo[inside])
