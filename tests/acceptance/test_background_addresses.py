"""Backgrounds that a recipe names by their address, through the running stack."""

import io

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.running import Running
from smart_filter_tests.web import a_site, answer, ok, redirect

GREEN = (20, 160, 60)


def a_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (900, 300), GREEN).save(file, "PNG")
    return file.getvalue()


def test_background_at_an_address_stands_behind_the_person(running_stack: Running) -> None:
    # What a server calls its file does not count; the link is a presigned one's.
    said = {"/a?signature=x": ok(a_picture(), content__type="text/plain"), "/": redirect("/a")}
    with a_site(said) as site:
        job_id = running_stack.submit(
            background=f"url:{site.url}/a?signature=x", outputs="image,matte", format="png"
        )
        job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert (job["background"]["kind"], job["background"]["name"]) == ("url", None)
    assert "signature" not in job["background"]["reason"]
    seen = np.asarray(Image.open(io.BytesIO(running_stack.output(job_id, "image")))).astype(int)
    matte = np.asarray(Image.open(io.BytesIO(running_stack.output(job_id, "matte"))))
    assert seen.shape == (512, 512, 3)
    assert np.abs(seen[matte == 0] - GREEN).max() <= 1
    assert len(site.requests) == 1


def test_background_that_nothing_shows_is_not_fetched(running_stack: Running) -> None:
    with a_site({"/": ok(a_picture())}) as site:
        job = running_stack.wait(
            running_stack.submit(background=f"url:{site.url}/", outputs="matte")
        )

    assert (job["state"], site.requests) == ("succeeded", [])


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://169.254.169.254/latest/meta-data/", "not found on the public internet"),
        ("http://[::ffff:127.0.0.1]/", "not found on the public internet"),
        ("{site}/gone?signature=x", "answers 404"),
        ("{site}/inward", "not found on the public internet (on redirect 1)"),
    ],
)
def test_background_that_cannot_be_fetched_fails_its_job_at_once(
    running_stack: Running, url: str, detail: str
) -> None:
    with a_site({"/inward": redirect("http://10.0.0.1/admin")}) as site:
        job = running_stack.wait(
            running_stack.submit(background=f"url:{url.format(site=site.url)}")
        )

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("photo_unreachable", "composite")
    assert job["error"]["title"] == "A picture cannot be fetched from its address"
    assert job["error"]["detail"].endswith(detail)
    assert not any(part in job["error"]["detail"] for part in ("signature", "10.0", "169.254"))
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["composite"] == 1


def test_background_whose_server_is_away_is_tried_thrice(running_stack: Running) -> None:
    with a_site({"/": answer(503, content__length="0")}) as site:
        job = running_stack.wait(running_stack.submit(background=f"url:{site.url}/"))

    assert job["state"] == "failed"
    assert job["error"]["code"] == "photo_unreachable"
    assert job["error"]["detail"] == "the background at its address: its server answers 503"
    assert len(site.requests) == 3


def test_background_at_an_address_that_is_no_picture_is_told(running_stack: Running) -> None:
    with a_site({"/": ok(b"<html>", content__type="image/jpeg")}) as site:
        job = running_stack.wait(running_stack.submit(background=f"url:{site.url}/"))

    assert (job["state"], job["error"]["code"]) == ("failed", "image_unreadable")
    assert "the background at its address" in job["error"]["detail"]
