"""Photos and backgrounds from outside: addresses, uploads, files, a tenant's own pictures."""

import hashlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from smart_filter_deploy.cli.server import program
from smart_filter_tests.bench import Bench, open_bench, settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.later import next_week
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.pictures import plain
from smart_filter_tests.web import a_site, answer, ok, redirect

A_PICTURE = plain(900, 300, (20, 160, 60), "JPEG")
DIGEST = hashlib.sha256(PHOTO.read_bytes()).hexdigest()
GREEN = (20, 160, 60)


def submitted(stack: RunningStack, **wish: object) -> str:
    wish.setdefault("recipe", {"background": "keep"})
    return str(stack.create("/v1/jobs", json=wish)["id"])


def an_upload(stack: RunningStack, photo: bytes, type_: str) -> dict[str, Any]:
    wish = {"content_type": type_, "bytes": len(photo)}
    upload: dict[str, Any] = stack.client.post("/v1/uploads", json=wish).json()
    put(upload, photo)
    return upload


def put(upload: dict[str, Any], photo: bytes) -> None:
    httpx.put(
        upload["put_url"], content=photo, headers=upload["headers"], timeout=120
    ).raise_for_status()


@pytest.fixture(scope="module")
def stack_bench(running_stack: RunningStack) -> Iterator[Bench]:
    """The stack's database and storage."""
    with open_bench(settings_of(running_stack.stack.addresses), connections=1) as bench:
        yield bench


def row(bench: Bench, job_id: str) -> Any:  # noqa: ANN401 - a row of named columns
    query = text("SELECT photo_key, photo_digest, photo_url, megapixels FROM jobs WHERE id = :id")
    with bench.transaction() as connection:
        return connection.execute(query, {"id": uuid.UUID(job_id)}).one()


def objects(bench: Bench, name: str) -> set[str]:
    return {stored.key for stored in bench.store.stored() if name in stored.key}


def test_photo_at_an_address_is_fetched_once_and_kept(
    running_stack: RunningStack, stack_bench: Bench
) -> None:
    said = {
        # The server's media type does not count; the link is a presigned one.
        "/a?signature=x": ok(PHOTO.read_bytes(), content__type="text/plain"),
        "/": redirect("/a?signature=x"),
    }
    with a_site(said) as site:
        job_id = submitted(running_stack, photo_url=f"{site.url}/", recipe={"background": "auto"})
        job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert job["photo"] == {"width": 512, "height": 512, "format": "png", "quarter_turns": 0}
    assert len(site.requests) == 2
    kept = row(stack_bench, job_id)
    assert (kept.photo_digest, kept.photo_url) == (DIGEST, None)
    assert round(kept.megapixels, 6) == 0.262144
    assert kept.photo_key in objects(stack_bench, job_id)
    running_stack.client.delete(f"/v1/jobs/{job_id}")
    assert objects(stack_bench, job_id) == set()


@pytest.mark.parametrize("kind", ["photo", "background"])
@pytest.mark.parametrize(
    ("url", "code", "detail"),
    [
        ("{site}/inward?signature=x", "photo_unreachable", "allow it (on redirect 1)"),
        ("{site}/gone?signature=x", "photo_unreachable", "answers 404"),
        ("{site}/page?signature=x", "image_unreadable", ""),
        ("{site}/large", "image_too_large", "more than 40000000 bytes"),
    ],
    ids=["redirect inward", "gone", "no picture", "too large"],
)
def test_unusable_picture_at_an_address_fails_its_job_at_once(
    running_stack: RunningStack, stack_bench: Bench, *, kind: str, url: str, code: str, detail: str
) -> None:
    said = {
        "/inward?signature=x": redirect("http://10.0.0.1/admin"),
        "/page?signature=x": ok(b"<html>", content__type="image/jpeg"),
        "/large": answer(200, content__length="40000001"),
    }
    with a_site(said) as site:
        address = url.format(site=site.url)
        if kind == "photo":
            job_id = submitted(running_stack, photo_url=address)
        else:
            job_id = running_stack.submit(background=f"url:{address}")
        job = running_stack.wait(job_id)

    stage = "prepare" if kind == "photo" else "composite"
    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == (code, stage)
    assert detail in job["error"]["detail"]
    assert not any(part in job["error"]["detail"] for part in ("signature", "10.0"))
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}[stage] == 1
    assert kind == "background" or objects(stack_bench, job_id) == set()


def test_photo_uploaded_to_storage_is_processed(
    running_stack: RunningStack, stack_bench: Bench
) -> None:
    upload = an_upload(running_stack, PHOTO.read_bytes(), "image/png")["upload_id"]

    first, second = (submitted(running_stack, upload_id=upload) for _ in range(2))
    states = [running_stack.wait(job_id)["state"] for job_id in (first, second)]

    assert states == ["succeeded"] * 2
    assert [row(stack_bench, one).photo_digest for one in (first, second)] == [DIGEST] * 2
    running_stack.client.delete(f"/v1/jobs/{first}")
    assert objects(stack_bench, first) == set()
    assert row(stack_bench, second).photo_key in objects(stack_bench, second)
    assert objects(stack_bench, upload) != set()
    running_stack.client.delete(f"/v1/jobs/{second}")
    assert objects(stack_bench, upload) == set()


def test_photo_that_was_uploaded_twice_is_refused(
    running_stack: RunningStack, stack_bench: Bench
) -> None:
    upload = an_upload(running_stack, A_PICTURE, "image/jpeg")
    # Runs only after the second upload.
    recipe = {"background": "keep", "run_at": next_week()}
    job_id = submitted(running_stack, upload_id=upload["upload_id"], recipe=recipe)

    put(upload, A_PICTURE[:-1] + bytes([A_PICTURE[-1] ^ 1]))
    stack_bench.execute(
        "UPDATE stages SET not_before = now() WHERE job_id = :id AND stage = 'prepare'",
        id=uuid.UUID(job_id),
    )
    job = running_stack.wait(job_id)

    assert (job["state"], job["error"]["code"]) == ("failed", "inputs_expired")
    assert job["error"]["stage"] == "prepare"
    assert "was replaced after this job was submitted" in job["error"]["detail"]


def assert_green_behind(running: RunningStack, job: dict[str, object], *, levels: int) -> None:
    assert job["state"] == "succeeded", job["error"]
    seen = running.pixels(str(job["id"])).astype(int)
    assert seen.shape == (512, 512, 3)
    outside = running.pixels(str(job["id"]), "matte") == 0
    assert np.abs(seen[outside] - GREEN).max() <= levels


def test_background_at_an_address_is_drawn_behind_the_person(running_stack: RunningStack) -> None:
    # The server's media type does not count; the link is a presigned one.
    picture = ok(plain(900, 300, GREEN), content__type="text/plain")
    with a_site({"/a?signature=x": picture}) as site:
        job = running_stack.run(
            background=f"url:{site.url}/a?signature=x", outputs="image,matte", format="png"
        )

    assert_green_behind(running_stack, job, levels=1)
    assert (job["background"]["kind"], job["background"]["name"]) == ("url", None)
    assert "signature" not in job["background"]["reason"]
    assert len(site.requests) == 1


OURS = "local"  # the tenant of the stack's own key
BLUE, MOSS = (20, 40, 200), (10, 120, 40)


@pytest.fixture
def command(
    running_stack: RunningStack,
    stack_bench: Bench,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Command]:
    """The command line on the stack's servers; added pictures are removed at the end."""
    for name, value in running_stack.stack.environment.items():
        monkeypatch.setenv(name, value)
    yield Command(capsys)
    # The stack serves other tests, whose photos must not get these backgrounds.
    stack_bench.execute("DELETE FROM backgrounds")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two pictures, and a file that is none."""
    (tmp_path / "quartz").mkdir()
    Image.new("RGB", (1200, 1100), BLUE).save(tmp_path / "quartz" / "Blue wall.png")
    Image.new("RGB", (1100, 1200), MOSS).save(tmp_path / "moss.jpg", quality=95)
    (tmp_path / "broken.png").write_bytes(PHOTO.read_bytes()[:3000])
    return tmp_path


def assert_behind(running: RunningStack, job: dict[str, Any], color: tuple[int, int, int]) -> None:
    """Compare the mean color of the picture's upper right corner, where only background is."""
    corner = running.pixels(job["id"])[:20, -20:].astype(float)
    assert np.abs(corner.mean(axis=(0, 1)) - color).max() <= 4


@pytest.mark.usefixtures("command")  # which removes added pictures
def test_folder_of_pictures_becomes_backgrounds_of_jobs(
    running_stack: RunningStack, folder: Path
) -> None:
    # An operator's process finds the servers by the data folder.
    running_stack.stack.announce(url="http://127.0.0.1:1", api_key=KEY)
    environment = {one: os.environ[one] for one in os.environ if not one.startswith("SMART_")}
    synced = subprocess.run(
        program.command("backgrounds", "sync", str(folder), "--tenant", OURS, "--json"),
        env={**environment, "SMART_FILTER_DATA": str(running_stack.stack.folder.path)},
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    running_stack.stack.folder.withdraw()
    assert synced.returncode == 1, synced.stderr
    document = json.loads(synced.stdout)
    assert document["added"] == ["tenant/moss", "tenant/quartz-blue-wall"]
    assert [one["path"] for one in document["refused"]] == ["broken.png"]

    by_name = running_stack.run(background="preset:tenant/moss", format="png")
    by_words = running_stack.run(background="keywords:quarz", format="png")

    assert (by_name["state"], by_words["state"]) == ("succeeded", "succeeded")
    assert by_name["background"]["name"] == "tenant/moss"
    assert by_words["background"]["name"] == "tenant/quartz-blue-wall"
    assert_behind(running_stack, by_name, MOSS)
    assert_behind(running_stack, by_words, BLUE)


def test_picture_that_was_added_is_listed_until_it_is_removed(
    command: Command, folder: Path
) -> None:
    add = ("backgrounds", "add", str(folder / "moss.jpg"), "--tags", "Dark Moss,wood")

    assert command(*add)["added"] == ["site/moss"]
    assert command(*add)["unchanged"] == ["site/moss"]
    listed = [item for item in command("backgrounds", "list")["items"] if item["source"] == "site"]
    assert [(one["name"], one["width"], one["tags"]) for one in listed] == [
        ("site/moss", 1100, ["dark-moss", "wood"])
    ]
    assert command("backgrounds", "remove", "site/moss")["removed"] == ["site/moss"]
    assert command.status("backgrounds", "remove", "site/moss") == 1


def test_brand_is_a_saved_recipe_with_a_wall_and_a_logo(
    running_stack: RunningStack, command: Command, folder: Path
) -> None:
    logo = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    logo.paste((255, 0, 0, 255), (0, 0, 30, 60))
    logo.save(folder / "acme.png")
    command("backgrounds", "add", str(folder / "moss.jpg"))
    command("backgrounds", "add", str(folder / "acme.png"), "--logo")
    fields = {
        "background": "preset:site/moss",
        "logo": "site/acme",
        "logo_place": "top-right",
        "logo_size": "40%",
        "logo_margin": "0px",
    }
    running_stack.client.put("/v1/recipes/brand", json={"recipe": fields}).raise_for_status()

    job = running_stack.run(recipe="brand,instagram-square", format="png", size="100x100")
    again = running_stack.run(recipe="brand", format="png", size="100x100", logo="none")

    pixels = running_stack.pixels(job["id"]).astype(int)
    assert (job["state"], job["recipe"]["logo"]) == ("succeeded", "site/acme")
    assert (pixels[4:36, 64:76] == (255, 0, 0)).all()
    assert np.abs(pixels[4:36, 84:96].mean(axis=(0, 1)) - MOSS).max() <= 4
    # Another logo is another picture, never one of the cache.
    assert not (running_stack.pixels(again["id"])[4:36, 64:76] == (255, 0, 0)).all()
    running_stack.client.delete("/v1/recipes/brand").raise_for_status()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("add", "moss.jpg", "quartz/Blue wall.png", "--name", "x"), "give one file"),
        (("add", "moss.jpg", "--name", "a/b"), "cannot be a background's name"),
        (("add", "moss.jpg", "--moods", "hungry"), "there are joyful"),
        (("add", "moss.jpg", "--tenant", "a/b"), "not a tenant's name"),
        (("sync", "nowhere"), "is not a folder"),
        (("sync", "ftp://example.org/x"), "neither a folder"),
    ],
)
def test_wrong_usage_is_refused_in_one_line(
    command: Command, folder: Path, arguments: tuple[str, ...], what: str
) -> None:
    placed = [
        str(folder / argument) if (folder / argument).exists() else argument
        for argument in arguments
    ]

    assert what in command.usage_error("backgrounds", *placed, "--json")
