"""A tenant's own backgrounds, from the command line to the picture, on the running stack."""

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
from smart_filter_tests.running import KEY, PHOTO, Running

OURS = "local"  # the tenant of the stack's own key
BLUE, GREEN = (20, 40, 200), (10, 120, 40)
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
    Image.new("RGB", (1100, 1200), GREEN).save(tmp_path / "moss.jpg", quality=95)
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
    assert_behind(running_stack, by_name, GREEN)
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
    assert_behind(running_stack, job, GREEN)


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
