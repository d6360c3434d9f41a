"""`batch`: folders of photos, killed and watched, with real processes and servers."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from acceptance.machine import Machine
from smart_filter_client.operations.photos import LARGE_BYTES
from smart_filter_deploy.cli.batch.journal import FILE_NAME
from smart_filter_tests.full_stack import PHOTO, RunningStack
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS

LONG_AGO = 10**9


def output_of(up: Machine) -> Path:
    return up.here / "photos.smart-filter"


def journal(up: Machine) -> list[dict[str, Any]]:
    path = output_of(up) / FILE_NAME
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def count_done(up: Machine) -> int:
    return len({entry["photo"] for entry in journal(up) if entry["is_done"]})


def moved(up: Machine) -> set[str]:
    """Return the photos that `--watch` has put away."""
    photos = up.here / "photos"
    return {
        path.relative_to(photos).as_posix()
        for folder in ("done", "failed")
        for path in (photos / folder).rglob("*.jpg")
    }


def until_done(up: Machine, process: subprocess.Popen[str], *, done: int) -> None:
    until(lambda: count_done(up) >= done, process)


def until(is_true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    def is_true_while_it_runs() -> bool:
        assert process.poll() is None, process.communicate()
        return is_true()

    wait_until(is_true_while_it_runs)


def put(up: Machine, count: int, folder: str = "", *, first: int = 0) -> None:
    """Put photos with distinct pixels into the folder, with old timestamps."""
    photo = Image.open(PHOTO).convert("RGB").resize((256, 256))
    for number in range(first, first + count):
        path = up.here / "photos" / folder / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True, parents=True)
        ImageEnhance.Brightness(photo).enhance(0.9 + number / 100).save(path)
        os.utime(path, (LONG_AGO + number, LONG_AGO + number))


def albums(running_stack: RunningStack) -> set[str]:
    listed = running_stack.client.get("/v1/batches?limit=50").json()["items"]
    return {batch["id"] for batch in listed}


def pictures(up: Machine) -> set[str]:
    return {path.relative_to(output_of(up)).as_posix() for path in output_of(up).rglob("*.jpg")}


def jobs_of(up: Machine) -> dict[str, set[str]]:
    jobs: dict[str, set[str]] = {}
    for entry in journal(up):
        jobs.setdefault(entry["photo"], set()).update({entry["job_id"]} - {None})
    return jobs


def test_folder_is_processed_and_failures_and_other_files_are_reported(up: Machine) -> None:
    put(up, 2)
    put(up, 1, "sub")
    (up.here / "photos" / "text.jpg").write_text("no picture")
    (up.here / "photos" / "notes.txt").write_text("notes")
    os.utime(up.here / "photos" / "text.jpg", (LONG_AGO, LONG_AGO))
    wish = ("batch", "photos", "--recursive", "--background", "color:red", "--report", "r.csv")

    ended = up.run(*wish, "--json")

    lines = {line["file"]: line for line in map(json.loads, ended.stdout.splitlines())}
    assert ended.returncode == 1, ended.stderr
    assert set(lines) == {"0.jpg", "1.jpg", "sub/0.jpg", "text.jpg"}
    assert pictures(up) == {*("0.jpg", "1.jpg", "sub/0.jpg")}
    done = lines["sub/0.jpg"]
    assert (done["state"], done["people"], done["faces"]) == ("succeeded", 1, 1)
    assert done["output"] == str(output_of(up) / "sub/0.jpg")
    assert lines["text.jpg"]["error"]["code"] == "unsupported_media"
    rows = list(csv.DictReader(io.StringIO((up.here / "r.csv").read_text(), newline="")))
    assert {row["file"]: row["state"] for row in rows} == {
        name: line["state"] for name, line in lines.items()
    }

    again = up.run(*wish)
    before = jobs_of(up)
    retried = up.run(*wish, "--retry-failed")

    assert again.returncode == 1
    assert "3 done, 1 failed, 1 other file skipped" in again.stdout
    assert "text.jpg" in again.stdout
    assert "[4/4] text.jpg" in retried.stdout
    assert jobs_of(up) == before
    assert not {"\x1b", "\r", "\b"} & set(ended.stderr + again.stdout + retried.stdout)


def test_recipe_names_the_pictures_and_numbers_them(up: Machine) -> None:
    put(up, 3)
    wish = ("batch", "photos", "--background", "color:red", "--set", "filename=party {n}")

    ended = up.run(*wish)
    named = pictures(up)
    (output_of(up) / "party 2.jpg").unlink()
    put(up, 1, first=3)
    again = up.run(*wish)

    assert (ended.returncode, again.returncode) == (0, 0), ended.stderr + again.stderr
    assert named == {"party 1.jpg", "party 2.jpg", "party 3.jpg"}
    assert pictures(up) == named | {"party 4.jpg"}
    assert {len(jobs) for jobs in jobs_of(up).values()} == {1}


@pytest.mark.slow
def test_changed_saved_recipe_makes_the_pictures_again(up: Machine) -> None:
    put(up, 1)
    wish = ("batch", "photos", "--recipe", "brand")
    save = ("recipes", "save", "brand", "--set")

    up.run(*save, "filename=first", "--background", "color:teal")
    first = up.run(*wish, "--json")
    teal = (output_of(up) / "first.jpg").read_bytes()
    same = up.run(*wish)
    up.run(*save, "filename=second", "--background", "color:red")
    second = up.run(*wish)

    ended = (first, same, second)
    assert [one.returncode for one in ended] == [0, 0, 0], second.stderr
    assert json.loads(first.stdout)["rating"] > 0  # the saved recipe names no outputs
    assert (output_of(up) / "second.jpg").read_bytes() != teal
    assert len(jobs_of(up)["0.jpg"]) == 2


def test_pictures_of_one_photo_end_in_one_number_and_have_its_name(up: Machine) -> None:
    put(up, 3)
    (up.here / "photos" / os.fsdecode(b"bad\xff.jpg")).write_bytes(
        (up.here / "photos" / "0.jpg").read_bytes()
    )
    wish = ("batch", "photos", "--background", "color:olive", "--outputs", "image,cutout")

    alike = up.run(*wish, "-o", "alike", "--set", "filename=same")
    own = up.run(*wish, "-o", "own", "--set", "filename={name}")

    assert (alike.returncode, own.returncode) == (0, 0), alike.stderr + own.stderr
    entries = {
        entry["photo"]: entry
        for line in (up.here / "alike" / FILE_NAME).read_text().splitlines()
        for entry in [json.loads(line)]
    }
    stems = [[Path(path).stem for path in entry["outputs"].values()] for entry in entries.values()]
    assert {image for image, _ in stems} == {"same", "same-2", "same-3", "same-4"}
    assert all(cutout.replace("-cutout", "") == image for image, cutout in stems)
    named = {path.stem for path in (up.here / "own").glob("*.jpg")}
    assert named == {"0", "1", "2", "bad\ufffd"}


def test_masks_and_strokes_of_a_folder_belong_to_the_photos_of_their_names(up: Machine) -> None:
    put(up, 4)
    masks = up.here / "masks"
    masks.mkdir()
    drawn = np.zeros((256, 256), np.uint8)
    drawn[50:150] = 255
    Image.fromarray(drawn).save(masks / "0.png")
    Image.fromarray(drawn[:50]).save(masks / "1.png")
    (masks / "2.json").write_text('[{"points": [[20, 20]], "width": 12, "keep": true}]')
    wish = ("batch", "photos", "--masks", "masks", "--background", "transparent", "--json")

    first = up.run(*wish)

    lines = {line["file"]: line for line in map(json.loads, first.stdout.splitlines())}
    assert "3 of 4 photos have a mask or strokes in masks" in first.stderr
    assert {name for name, line in lines.items() if line["error"]} == {"1.jpg"}
    assert "mask_file: is 256×50, but" in lines["1.jpg"]["error"]["detail"]
    alpha = {
        name: np.asarray(Image.open(line["output"]))[..., 3]
        for name, line in lines.items()
        if line["output"]
    }
    assert np.array_equal(alpha["0.jpg"], drawn)
    assert (alpha["2.jpg"][20, 20], alpha["3.jpg"][20, 20]) == (255, 0)
    (masks / "2.json").write_text('[{"points": [[20, 20]], "width": 12, "keep": false}]')
    second = up.run(*wish)
    again = [json.loads(line)["file"] for line in second.stdout.splitlines()]
    assert sorted(again) == ["1.jpg", "2.jpg"]  # what was refused has no job


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (["--masks", "masks"], "those of 0.jpg are 0.png or 0.json there"),
        (["--masks", "masks", "--best", "1"], "--masks goes with neither --best nor --watch"),
        (["--masks", "photos"], "keep masks in a folder without photos"),
    ],
)
def test_masks_that_fit_no_photo_are_wrong_usage(up: Machine, wish: list[str], said: str) -> None:
    put(up, 1)
    (up.here / "masks").mkdir()

    ended = up.run("batch", "photos", *wish)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_killed_batch_resumes_and_repeats_nothing(up: Machine, running_stack: RunningStack) -> None:
    put(up, 6)
    wish = ("batch", "photos", "--background", "color:green")
    known = {job["id"] for job in running_stack.client.get("/v1/jobs?limit=200").json()["items"]}

    for done in (1, 3):
        with up.start(*wish) as process:
            until_done(up, process, done=done)
            process.kill()
    ended = up.run(*wish)

    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "6 photos" in ended.stdout
    assert "6 done" in ended.stdout
    assert len(pictures(up)) == 6
    assert {len(jobs) for jobs in jobs_of(up).values()} == {1}
    jobs = {job["id"] for job in running_stack.client.get("/v1/jobs?limit=200").json()["items"]}
    assert len(jobs - known) == 6


def test_best_photos_of_a_folder_are_composed_and_the_reasons_printed(
    up: Machine, running_stack: RunningStack
) -> None:
    put(up, 3)
    for photo in (up.here / "photos").iterdir():
        os.utime(photo)  # none is settled at the first look
    (up.here / "photos" / "text.jpg").write_text("no picture")
    wish = ("batch", "photos", "--background", "color:teal", "--best", "1", "--report", "r.html")

    ended = up.run(*wish)
    before = albums(running_stack)
    again = up.run(*wish)
    put(up, 1, first=9)
    in_json = up.run(*wish, "--json", "--retry-failed")

    assert ended.returncode == 1, ended.stderr
    ranked = [line for line in ended.stdout.splitlines() if line[:3] in {"1. ", "2. ", "3. "}]
    best = ranked[0].split()[1]
    assert ranked[0].endswith(f"photos.smart-filter/{best[0]}.jpg")
    assert "     It is rated " in ended.stdout
    assert all(f"Photo {best} shows the same scene and is better." in line for line in ranked[1:])
    assert "[1/4] text.jpg" in ended.stdout
    page = (up.here / "r.html").read_text("utf-8")
    assert page.count("data:image/webp") == 5
    assert again.returncode == 1
    assert ranked == [line for line in again.stdout.splitlines() if line in ranked]
    rows = {row["file"]: row for row in map(json.loads, in_json.stdout.splitlines())}
    assert sorted(row["rank"] or 0 for row in rows.values()) == [0, 1, 2, 3, 4]
    assert rows["text.jpg"]["error"]["code"] == "unsupported_media"
    assert len(albums(running_stack)) == len(before) + 1


@pytest.mark.slow  # 3 s
def test_killed_album_is_continued_and_not_submitted_again(
    up: Machine, running_stack: RunningStack
) -> None:
    put(up, 4)
    wish = ("batch", "photos", "--background", "color:khaki", "--best", "2")
    before = albums(running_stack)

    with up.start(*wish) as process:
        until(lambda: len(jobs_of(up)) == 4, process)
        process.kill()
    ended = up.run(*wish)

    assert ended.returncode == 0, ended.stderr
    assert len(pictures(up)) == 2
    assert len(albums(running_stack)) == len(before) + 1


@pytest.mark.slow
def test_large_album_is_uploaded_and_a_file_that_is_no_photo_fails_alone(up: Machine) -> None:
    put(up, 1)
    photo = Image.open(PHOTO).convert("RGB").resize((2000, 2000))
    noise = Image.effect_noise((2000, 2000), 90).convert("RGB")
    Image.blend(photo, noise, 0.2).save(up.here / "photos" / "large.png")
    (up.here / "photos" / "text.jpg").write_text("no picture")
    assert (up.here / "photos" / "large.png").stat().st_size > LARGE_BYTES

    ended = up.run("batch", "photos", "--background", "keep", "--best", "1", "--json")

    rows = {row["file"]: row for row in map(json.loads, ended.stdout.splitlines())}
    assert ended.returncode == 1, ended.stderr
    assert sorted((row["rank"] or 0) for row in rows.values()) == [0, 1, 2]
    assert rows["text.jpg"]["error"]["code"] == "unreadable"
    assert len(pictures(up)) == 1


@pytest.mark.slow  # 3 s
def test_take_of_a_folder_is_written_once_with_its_reasons(
    up: Machine, running_stack: RunningStack
) -> None:
    put(up, 3)
    wish = ("batch", "photos", "--background", "keep", "--best", "take", "--report", "r.json")

    ended = up.run(*wish)
    before = albums(running_stack)
    again = up.run(*wish)

    assert ended.returncode == 0, ended.stderr
    assert pictures(up) == {"take.jpg"}
    lines = ended.stdout.splitlines()
    place = lines.index("take  photos.smart-filter/take.jpg")
    assert lines[place + 1].startswith("     It is based on ")
    assert "3 photos" in ended.stdout
    assert lines[place:] == again.stdout.splitlines()[-len(lines[place:]) :]
    assert albums(running_stack) == before
    rows = {row["file"]: row for row in json.loads((up.here / "r.json").read_text())}
    assert rows["take"]["output"] == str(output_of(up) / "take.jpg")
    assert len(rows["take"]["reasons"]) > 1


@pytest.mark.slow  # 4 s
def test_recipe_names_a_take(up: Machine) -> None:
    put(up, 2)

    ended = up.run("batch", "photos", "--best", "take", "--set", "filename=all {n}")

    assert ended.returncode == 0, ended.stderr
    assert len(pictures(up)) == 1


def test_take_of_one_photo_is_refused_in_one_line(up: Machine) -> None:
    put(up, 1)

    ended = up.run("batch", "photos", "--best", "take")

    [said] = [line for line in ended.stderr.splitlines() if line.startswith("smart-filter:")]
    assert ended.returncode == 2
    assert "2 to 12 photos" in said


@pytest.mark.slow
def test_album_without_a_readable_photo_ends(up: Machine) -> None:
    (up.here / "photos").mkdir()
    (up.here / "photos" / "gone.jpg").touch(mode=0o644)
    with (up.here / "photos" / "gone.jpg").open("wb") as file:
        file.truncate(41_000_000)

    ended = up.run("batch", "photos", "--best", "1")

    assert ended.returncode == 1
    assert "gone.jpg: 41 MB; the limit is 40 MB" in ended.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--watch"], "--best ranks a whole folder"),
        (["--background-file", "photos/0.jpg"], "backgrounds add"),
        (["--set", "backgroud=keep"], "did you mean background?"),
    ],
)
def test_best_photos_with_what_they_cannot_have_is_wrong_usage(
    up: Machine, more: list[str], said: str
) -> None:
    put(up, 1)

    ended = up.run("batch", "photos", "--best", "1", *more)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_watched_folder_is_processed_as_it_fills_until_ctrl_c(up: Machine) -> None:
    put(up, 1)
    wish = ("batch", "photos", "--background", "color:navy", "--watch")
    with up.start(*wish) as process:
        until_done(up, process, done=1)
        put(up, 1, first=1)
        (up.here / "photos/1.jpg.part").touch()
        put(up, 1, first=2)
        until_done(up, process, done=2)
        before = moved(up)
        (up.here / "photos/1.jpg.part").unlink()
        until_done(up, process, done=3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, err
    assert before <= {"done/0.jpg", "done/2.jpg"}
    assert moved(up) == {"done/0.jpg", "done/1.jpg", "done/2.jpg"}
    assert "3 photos" in out
    assert "3 done" in out


@pytest.mark.slow  # 3 s
def test_killed_watch_moves_every_photo_and_makes_each_picture_once(
    up: Machine, running_stack: RunningStack
) -> None:
    put(up, 5)
    wish = ("batch", "photos", "--background", "color:olive", "--watch")
    known = {job["id"] for job in running_stack.client.get("/v1/jobs?limit=200").json()["items"]}

    for done in (1, 3, 5):
        with up.start(*wish) as process:
            until_done(up, process, done=done)
            process.kill()
    with up.start(*wish) as process:
        until(lambda: len(moved(up)) == 5, process)
        process.kill()

    assert moved(up) == {f"done/{number}.jpg" for number in range(5)}
    assert len(pictures(up)) == 5
    jobs = {job["id"] for job in running_stack.client.get("/v1/jobs?limit=200").json()["items"]}
    assert len(jobs - known) == 5


@pytest.mark.slow
def test_watch_keeps_the_pictures_of_a_name_apart_and_retries_what_is_put_back(
    up: Machine,
) -> None:
    put(up, 1)
    photos = up.here / "photos"
    (photos / "text.jpg").write_text("no picture")
    os.utime(photos / "text.jpg", (LONG_AGO, LONG_AGO))

    with up.start("batch", "photos", "--background", "color:plum", "--watch") as process:
        until(lambda: moved(up) == {"done/0.jpg", "failed/text.jpg"}, process)
        put(up, 1, first=7)
        (photos / "7.jpg").rename(photos / "0.jpg")  # a camera uses the name again
        shutil.copy(PHOTO, photos / "failed/text.jpg")
        os.utime(photos / "failed/text.jpg", (LONG_AGO, LONG_AGO))
        (photos / "failed/text.jpg").rename(photos / "text.jpg")
        until(lambda: len(moved(up)) == 3, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)

    # What was refused had no picture, so its name is free.
    assert moved(up) == {"done/0.jpg", "done/0-2.jpg", "done/text.jpg"}
    assert pictures(up) == {f"{name}.jpg" for name in ("0", "0-2", "text")}
