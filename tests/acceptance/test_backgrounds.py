"""Backgrounds: a file, an address, words, the photo itself, and a tenant's own pictures."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image

from smart_filter_deploy.cli import program
from smart_filter_tests.commands import Command
from smart_filter_tests.pictures import plain
from smart_filter_tests.running import KEY, PHOTO, Running
from smart_filter_tests.web import a_site, ok, redirect

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


@pytest.mark.parametrize(
    ("url", "code", "detail"),
    [
        (
            "{site}/inward?signature=x",
            "photo_unreachable",
            "not found on the public internet (on redirect 1)",
        ),
        ("{site}/page", "image_unreadable", ""),
    ],
    ids=["redirect inward", "no picture"],
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
    assert not any(part in job["error"]["detail"] for part in ("signature", "10.0"))
    assert {stage["name"]: stage["attempt"] for stage in job["stages"]}["composite"] == 1


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


OURS = "local"  # the tenant of the stack's own key
BLUE, MOSS = (20, 40, 200), (10, 120, 40)
PATIENCE_SECONDS = 60.0
LAST = 3


@pytest.fixture
def command(
    running_stack: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """The command line on the servers of the stack; removes what is added."""
    for name, value in running_stack.stack.environment.items():
        monkeypatch.setenv(name, value)
    yield Command(capsys)
    # The stack serves other tests, whose photos are not to get these behind them.
    with psycopg.connect(database(running_stack)) as connection:
        connection.execute("DELETE FROM backgrounds")


def database(running: Running) -> str:
    return running.stack.addresses.database_url.replace("+psycopg", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures: two that are, and one that is none."""
    (tmp_path / "quartz").mkdir()
    Image.new("RGB", (1200, 1100), BLUE).save(tmp_path / "quartz" / "Blue wall.png")
    Image.new("RGB", (1100, 1200), MOSS).save(tmp_path / "moss.jpg", quality=95)
    (tmp_path / "broken.png").write_bytes(PHOTO.read_bytes()[:3000])
    return tmp_path


def assert_behind(running: Running, job: dict[str, Any], color: tuple[int, int, int]) -> None:
    """Compare the mean color of the picture's upper right corner, where nobody is."""
    corner = running.pixels(job["id"])[:20, -20:].astype(float)
    assert np.abs(corner.mean(axis=(0, 1)) - color).max() <= 4


@pytest.mark.usefixtures("command")  # which removes what is added
def test_folder_of_pictures_becomes_backgrounds_that_jobs_have(
    running_stack: Running, folder: Path
) -> None:
    # As an operator does it: a process that finds the servers by the data folder.
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
    listed = [one for one in command("backgrounds", "list")["items"] if one["source"] == "site"]
    assert [(one["name"], one["width"], one["tags"]) for one in listed] == [
        ("site/moss", 1100, ["dark-moss", "wood"])
    ]
    assert command("backgrounds", "remove", "site/moss")["removed"] == ["site/moss"]
    assert command.status("backgrounds", "remove", "site/moss") == 1


@pytest.mark.slow
def test_last_attempt_in_a_process_of_its_own_has_pictures_too(
    running_stack: Running, command: Command, folder: Path
) -> None:
    command("backgrounds", "add", str(folder / "moss.jpg"), "--name", "last")
    job_id = running_stack.submit(
        background="preset:site/last", run_at="2099-01-01T00:00:00Z", format="png"
    )

    with psycopg.connect(database(running_stack)) as connection:
        connection.execute(
            "UPDATE stages SET attempt = %s WHERE job_id = %s AND stage = 'composite'",
            (LAST - 1, job_id),
        )
        connection.execute(
            "UPDATE stages SET not_before = now() WHERE job_id = %s AND not_before IS NOT NULL",
            (job_id,),
        )
    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert {one["name"]: one["attempt"] for one in job["stages"]}["composite"] == LAST
    assert_behind(running_stack, job, MOSS)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("add", "moss.jpg", "quartz/Blue wall.png", "--name", "x"), "add one file"),
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
    placed = [str(folder / one) if (folder / one).exists() else one for one in arguments]

    assert what in command.refused("backgrounds", *placed, "--json")
