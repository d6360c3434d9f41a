"""`smart-filter batch` and `submit` against real servers: killed, cut off, watched, looked at."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image, ImageEnhance

from smart_filter_deploy.cli.journal import NAME
from smart_filter_tests.proxy import Mode, Proxy
from smart_filter_tests.running import KEY, PHOTO, Running

PATIENCE_SECONDS = 100.0
LONG_AGO = 10**9


@dataclass(frozen=True, slots=True)
class Place:
    """Photos, pictures, and commands that run between them; the server is behind a proxy."""

    here: Path
    proxy: Proxy
    stack: Running

    @property
    def photos(self) -> Path:
        return self.here / "photos"

    @property
    def output(self) -> Path:
        return self.here / "photos.smart-filter"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "smart_filter_deploy.cli", *arguments],
            cwd=self.here,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SMART_FILTER_URL": f"http://127.0.0.1:{self.proxy.port}",
            "SMART_FILTER_API_KEY": KEY,
            "SMART_FILTER_DATA": "/nonexistent",
        }

    def journal(self) -> list[dict[str, Any]]:
        path = self.output / NAME
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def states(self) -> dict[str, str]:
        return {entry["photo"]: entry["state"] for entry in self.journal()}

    def until(self, process: "subprocess.Popen[str]", *, done: int) -> None:
        """Return when so many photos are done."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while list(self.states().values()).count("succeeded") < done:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < gives_up_at
            time.sleep(0.02)


@pytest.fixture
def place(running_stack: Running, tmp_path: Path) -> Iterator[Place]:
    address = urlsplit(str(running_stack.client.base_url))
    assert address.hostname is not None
    assert address.port is not None
    (tmp_path / "photos").mkdir()
    with Proxy(address.hostname, address.port) as proxy:
        yield Place(tmp_path, proxy, running_stack)


def put(place: Place, count: int, folder: str = "", *, first: int = 0) -> None:
    """Put photos of other pixels into the folder, finished long ago."""
    photo = Image.open(PHOTO).convert("RGB").resize((256, 256))
    for number in range(first, first + count):
        path = place.photos / folder / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        ImageEnhance.Brightness(photo).enhance(0.9 + number / 100).save(path)
        os.utime(path, (LONG_AGO + number, LONG_AGO + number))


def pictures(place: Place) -> set[str]:
    return {path.relative_to(place.output).as_posix() for path in place.output.rglob("*.jpg")}


def jobs_of(place: Place) -> dict[str, set[str]]:
    """Return the jobs that each photo has had."""
    jobs: dict[str, set[str]] = {}
    for entry in place.journal():
        jobs.setdefault(entry["photo"], set()).update({entry["job_id"]} - {None})
    return jobs


def test_folder_goes_through_and_reports_failures_and_other_files(
    place: Place,
) -> None:
    put(place, 2)
    put(place, 1, "sub")
    (place.photos / "text.jpg").write_text("no picture")
    (place.photos / "notes.txt").write_text("notes")
    os.utime(place.photos / "text.jpg", (LONG_AGO, LONG_AGO))
    wish = ("batch", "photos", "--recursive", "--background", "color:red", "--report", "r.csv")

    ended = place.run(*wish, "--json")

    lines = {line["file"]: line for line in map(json.loads, ended.stdout.splitlines())}
    assert ended.returncode == 1, ended.stderr
    assert set(lines) == {"0.jpg", "1.jpg", "sub/0.jpg", "text.jpg"}
    assert pictures(place) == {
        *("0.smart-filter.jpg", "1.smart-filter.jpg", "sub/0.smart-filter.jpg")
    }
    done = lines["sub/0.jpg"]
    assert (done["state"], done["people"], done["faces"]) == ("succeeded", 1, 1)
    assert done["output"] == str(place.output / "sub/0.smart-filter.jpg")
    assert lines["text.jpg"]["error"]["code"] == "unsupported_media"
    rows = list(csv.DictReader(io.StringIO((place.here / "r.csv").read_text(), newline="")))
    assert {row["file"]: row["state"] for row in rows} == {
        name: line["state"] for name, line in lines.items()
    }

    again = place.run(*wish)
    before = jobs_of(place)
    retried = place.run(*wish, "--retry-failed")

    assert again.returncode == 1
    assert "3 done, 1 failed, 1 other file passed over" in again.stdout
    assert "text.jpg" in again.stdout
    assert "[4/4] text.jpg" in retried.stdout
    assert jobs_of(place) == before
    assert not {"\x1b", "\r", "\b"} & set(ended.stderr + again.stdout + retried.stdout)


def test_batch_that_is_killed_goes_on_and_does_nothing_twice(place: Place) -> None:
    put(place, 6)
    wish = ("batch", "photos", "--background", "color:green")
    known = {job["id"] for job in place.stack.client.get("/v1/jobs?limit=200").json()["items"]}

    for done in (1, 3):
        with place.start(*wish) as process:
            place.until(process, done=done)
            process.kill()
    ended = place.run(*wish)

    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "6 photos" in ended.stdout
    assert "6 done" in ended.stdout
    assert len(pictures(place)) == 6
    assert {len(jobs) for jobs in jobs_of(place).values()} == {1}
    jobs = {job["id"] for job in place.stack.client.get("/v1/jobs?limit=200").json()["items"]}
    assert len(jobs - known) == 6


@pytest.mark.slow
def test_server_that_goes_away_is_waited_for(place: Place) -> None:
    put(place, 6)

    with place.start("batch", "photos", "--background", "color:blue") as process:
        place.until(process, done=1)
        place.proxy.mode = Mode.RESET
        place.proxy.cut()
        assert process.stdout is not None
        told = next(line for line in process.stdout if "is away" in line)
        place.proxy.mode = Mode.PASS
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, err
    assert "waiting for it" in told
    assert "going on" in out
    assert len(pictures(place)) == 6


@pytest.mark.slow
def test_watched_folder_is_followed_as_it_fills_until_ctrl_c(place: Place) -> None:
    put(place, 1)
    with place.start("batch", "photos", "--background", "color:navy", "--watch") as process:
        place.until(process, done=1)
        put(place, 1, first=1)
        place.until(process, done=2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, err
    assert place.states() == {"0.jpg": "succeeded", "1.jpg": "succeeded"}
    assert "2 photos" in out


@pytest.mark.slow
def test_ctrl_c_finishes_what_was_begun_and_leaves_the_rest(place: Place) -> None:
    put(place, 30)
    with place.start("batch", "photos", "--background", "color:olive") as process:
        place.until(process, done=1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130, err
    assert set(place.states().values()) == {"succeeded"}
    assert 1 < len(place.states()) < 30
    assert "Ctrl-C again" in out
    assert "the same command does the rest" in out


def test_submitted_photos_are_listed_and_not_waited_for(place: Place) -> None:
    put(place, 1)
    (place.photos / "text.jpg").write_text("no picture")

    ended = place.run("submit", "photos/0.jpg", "photos/text.jpg", "--json")
    told = place.run("submit", "photos/0.jpg")

    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 1
    assert [line["state"] for line in lines] == ["queued", "failed"]
    assert lines[1]["error"]["code"] == "unsupported_media"
    assert told.returncode == 0
    job_id, photo = told.stdout.split()
    assert photo == "photos/0.jpg"
    answer = place.stack.client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == httpx.codes.OK
