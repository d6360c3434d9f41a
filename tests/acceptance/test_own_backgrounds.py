"""Backgrounds of one's own, from the command line to the picture, on the running stack."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image

from smart_filter_deploy.cli import main, program
from smart_filter_tests.running import KEY, PHOTO, Running

OURS = "local"  # the tenant of the stack's own key
BLUE, GREEN = (20, 40, 200), (10, 120, 40)
PATIENCE_SECONDS = 60.0
LAST = 3


@dataclass(slots=True)
class Command:
    """`smart-filter backgrounds` on the servers of the stack, in this very process."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command that must succeed; return what it told."""
        assert self.status(*arguments) == 0
        return json.loads(self.capsys.readouterr().out)

    def status(self, *arguments: str) -> object:
        """Run a command; return how it ended."""
        with pytest.raises(SystemExit) as ended:
            main(["backgrounds", *arguments, "--json"])
        return ended.value.code


@pytest.fixture
def backgrounds(
    running_stack: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
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


def colour_behind(running: Running, job: dict[str, Any]) -> list[float]:
    """Return the mean colour of the picture's upper corners, where nobody is."""
    file = io.BytesIO(running.output(job["id"], "image"))
    picture = np.asarray(Image.open(file).convert("RGB")).astype(float)
    return [round(float(level)) for level in picture[:20, -20:].mean(axis=(0, 1))]


@pytest.mark.usefixtures("backgrounds")  # which removes what is added
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

    by_name = running_stack.submit(background="preset:tenant/moss", format="png")
    by_words = running_stack.submit(background="keywords:quarz", format="png")
    jobs = [running_stack.wait(job_id) for job_id in (by_name, by_words)]

    assert [job["state"] for job in jobs] == ["succeeded", "succeeded"], jobs
    assert [job["background"]["name"] for job in jobs] == [
        "tenant/moss",
        "tenant/quartz-blue-wall",
    ]
    assert np.abs(np.subtract(colour_behind(running_stack, jobs[0]), GREEN)).max() <= 4
    assert np.abs(np.subtract(colour_behind(running_stack, jobs[1]), BLUE)).max() <= 4


def test_what_was_added_is_listed_until_it_is_removed(backgrounds: Command, folder: Path) -> None:
    moss = str(folder / "moss.jpg")

    assert backgrounds("add", moss, "--tags", "Dark Moss,wood")["added"] == ["site/moss"]
    assert backgrounds("add", moss, "--tags", "Dark Moss,wood")["unchanged"] == ["site/moss"]
    items = backgrounds("list")["items"]
    listed = [one for one in items if one["source"] == "site"]
    assert [(one["name"], one["width"], one["tags"]) for one in listed] == [
        ("site/moss", 1100, ["dark-moss", "wood"])
    ]
    assert backgrounds("remove", "site/moss")["removed"] == ["site/moss"]

    assert backgrounds.status("remove", "site/moss") == 1


def test_picture_that_is_removed_fails_jobs_that_asked_for_it_by_name(
    running_stack: Running, backgrounds: Command, folder: Path
) -> None:
    backgrounds("add", str(folder / "moss.jpg"), "--name", "short-lived")
    job_id = running_stack.submit(
        background="preset:site/short-lived", run_at="2099-01-01T00:00:00Z"
    )

    backgrounds("remove", "short-lived")
    run_now(running_stack, job_id, composite_attempts=0)
    job = running_stack.wait(job_id)

    assert (job["state"], job["error"]["code"]) == ("failed", "inputs_expired")
    assert "the background site/short-lived is not there any more" in job["error"]["detail"]


def test_last_attempt_in_a_process_of_its_own_has_pictures_too(
    running_stack: Running, backgrounds: Command, folder: Path
) -> None:
    backgrounds("add", str(folder / "moss.jpg"), "--name", "last")
    job_id = running_stack.submit(
        background="preset:site/last", run_at="2099-01-01T00:00:00Z", format="png"
    )

    run_now(running_stack, job_id, composite_attempts=LAST - 1)
    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert {one["name"]: one["attempt"] for one in job["stages"]}["composite"] == LAST
    assert np.abs(np.subtract(colour_behind(running_stack, job), GREEN)).max() <= 4


def run_now(running: Running, job_id: str, *, composite_attempts: int) -> None:
    """Let a job that was to wait run, as if its last stage had been tried before."""
    with psycopg.connect(database(running)) as connection:
        connection.execute(
            "UPDATE stages SET attempt = %s WHERE job_id = %s AND stage = 'composite'",
            (composite_attempts, job_id),
        )
        connection.execute(
            "UPDATE stages SET not_before = now() WHERE job_id = %s AND not_before IS NOT NULL",
            (job_id,),
        )


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
def test_what_cannot_be_done_is_told_in_one_line(
    backgrounds: Command, folder: Path, arguments: tuple[str, ...], what: str
) -> None:
    placed = [str(folder / one) if (folder / one).exists() else one for one in arguments]

    assert backgrounds.status(*placed) == 2

    told = backgrounds.capsys.readouterr().err
    assert what in told
    assert told.count("\n") == 1
