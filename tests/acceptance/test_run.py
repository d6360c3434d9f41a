"""The command line as somebody uses it: real processes, real servers, a real photo."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import connect

from smart_filter_deploy.cli import program
from smart_filter_deploy.embedded.folder import running_stack
from smart_filter_tests.running import PHOTO

PATIENCE_SECONDS = 90.0
STAGES = ["prepare", "segmentation", "face", "smile", "composite"]


class Machine:
    """A data folder and a working directory, and commands that run there."""

    def __init__(self, data: Path, here: Path) -> None:
        self.data = data
        self.here = here

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a shell does."""
        return subprocess.Popen(
            program.command(*arguments),
            cwd=self.here,
            env={**os.environ, "SMART_FILTER_DATA": str(self.data), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def lines(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        """Run a command with --json and return its lines."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == status, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def picture(self, name: str) -> "np.ndarray[Any, Any]":
        """Return a picture in the working directory."""
        return np.asarray(Image.open(self.here / name))

    def is_quiet(self) -> bool:
        """Whether no process of a stack is left: each one holds these locks while it lives."""
        return all(_is_free(self.data / name) for name in ("lock", "children.lock", "users.lock"))


def a_folder(folder: Path, weights: Path) -> Path:
    """A new data folder with the weights that other tests have too."""
    folder.mkdir(mode=0o711)
    (folder / "weights").symlink_to(weights)
    return folder


@pytest.fixture(scope="module")
def _quiet_folder(data_folder: Path, weights_folder: Path) -> Path:
    return a_folder(data_folder / "cli-quiet", weights_folder)


@pytest.fixture(scope="module")
def _up_folder(data_folder: Path, weights_folder: Path) -> Path:
    return a_folder(data_folder / "cli-up", weights_folder)


@pytest.fixture
def machine(_quiet_folder: Path, tmp_path: Path) -> Machine:
    """Nothing is up."""
    machine = Machine(_quiet_folder, tmp_path)
    assert machine.is_quiet()
    return machine


@pytest.fixture(scope="module")
def first_line(
    _up_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    machine = Machine(_up_folder, tmp_path_factory.mktemp("up"))
    with machine.start("up", "--json") as process, contextlib.ExitStack() as at_end:
        at_end.callback(process.send_signal, signal.SIGTERM)
        assert process.stdout is not None
        first: dict[str, Any] = json.loads(process.stdout.readline())
        yield first
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        at_end.pop_all()
        assert process.returncode == 0
        assert not out
        assert machine.is_quiet()


@pytest.fixture
def up(first_line: dict[str, Any], _up_folder: Path, tmp_path: Path) -> Machine:
    """`smart-filter up` is up."""
    assert first_line
    return Machine(_up_folder, tmp_path)


def test_run_starts_what_it_needs_shows_what_it_found_and_leaves_nothing(machine: Machine) -> None:
    ended = machine.run("run")

    assert ended.returncode == 0, ended.stderr
    assert machine.is_quiet()
    assert machine.picture("astronaut.smart-filter.jpg").shape == (512, 512, 3)
    for stage in STAGES:
        assert f"{stage} succeeded in " in ended.stdout
    for told in ("1 person, 1 face", "both eyes open", "rating", "0.8 × ", "background"):
        assert told in ended.stdout
    assert "astronaut.smart-filter.jpg  512 × 512 jpg" in ended.stdout
    assert not {"\x1b", "\r", "\b"} & set(ended.stdout + ended.stderr)


def test_ctrl_c_while_servers_start_ends_all_of_it(machine: Machine) -> None:
    with machine.start("run") as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "preparing" in line)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130
    assert not err.strip()
    assert machine.is_quiet()


def test_run_that_is_killed_leaves_nothing_and_the_next_one_works(machine: Machine) -> None:
    with machine.start("run") as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "starting the API" in line)
        process.kill()

    [line] = machine.lines("run", "--background", "transparent", "--outputs", "image")

    assert line["state"] == "succeeded"
    assert machine.is_quiet()


def test_runs_at_the_same_time_share_one_stack(machine: Machine) -> None:
    first = machine.start("run", "-o", "first.png", "--json")
    second = machine.start("run", "-o", "second.png", "--json")
    with first, second:
        said = [process.communicate(timeout=PATIENCE_SECONDS)[1] for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], said
    assert machine.picture("first.png").shape == machine.picture("second.png").shape
    assert machine.is_quiet()


def test_run_uses_the_stack_that_is_up_and_leaves_it_up(up: Machine) -> None:
    [line] = up.lines("run", str(PHOTO), "-o", "red.png", "--background", "color:red")

    stack = running_stack(up.data)
    assert stack is not None
    image = line["image"]
    assert (image["width"], image["height"], image["format"]) == (512, 512, "png")
    assert image["path"] == str(up.here / "red.png")
    assert image["bytes"] == (up.here / "red.png").stat().st_size
    assert tuple(up.picture("red.png")[0, 0][:3]) == (255, 0, 0)
    [page] = up.lines("jobs", "list")
    assert page["items"][0]["id"] == line["id"]


def test_first_line_of_up_lets_anybody_in(up: Machine, first_line: dict[str, Any]) -> None:
    assert set(first_line) == {"url", "api_key", "pid", "studio_url"}
    page, _, code = first_line["studio_url"].partition("#code=")
    assert page == f"{first_line['url']}/"
    with httpx.Client(base_url=first_line["url"]) as browser:
        assert browser.post("/v1/session", json={"code": code}).status_code == httpx.codes.CREATED
        assert browser.get("/v1/jobs").status_code == httpx.codes.OK

    ended = up.run(
        *("run", "--json"),
        SMART_FILTER_DATA="/nonexistent",
        SMART_FILTER_URL=first_line["url"],
        SMART_FILTER_API_KEY=first_line["api_key"],
    )

    assert ended.returncode == 0, ended.stderr


def test_live_video_is_there_at_once(first_line: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {first_line['api_key']}"}
    let_in = httpx.post(f"{first_line['url']}/v1/live", json={}, headers=headers).json()

    with connect(let_in["url"]) as socket:
        socket.send(json.dumps({"token": let_in["token"]}))
        assert json.loads(socket.recv(timeout=PATIENCE_SECONDS))["type"] == "ready"


def test_second_up_on_a_folder_is_told_who_is_there(
    up: Machine, first_line: dict[str, Any]
) -> None:
    ended = up.run("up", "--json")

    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert str(first_line["pid"]) in ended.stderr
    assert not ended.stdout


def test_photos_are_told_in_their_order_and_one_that_fails_is_a_line_too(up: Machine) -> None:
    (up.here / "other").mkdir()
    for name in ("a.png", "other/a.png"):
        shutil.copy(PHOTO, up.here / name)
    (up.here / "broken.png").write_bytes(PHOTO.read_bytes()[:20_000])
    (up.here / "text.png").write_text("no picture")

    lines = up.lines("run", "a.png", "text.png", "broken.png", "other/a.png", status=1)

    assert [line["state"] for line in lines] == ["succeeded", "failed", "failed", "succeeded"]
    assert [one["error"]["code"] for one in lines[1:3]] == ["unsupported_media", "image_unreadable"]
    assert "image_unreadable" in up.run("jobs", "list", "--state", "failed").stdout
    assert Path(lines[0]["image"]["path"]).name == "a.smart-filter.jpg"
    assert Path(lines[3]["image"]["path"]).name == "a-2.smart-filter.jpg"
    assert sorted(path.name for path in up.here.iterdir()) == [
        *("a-2.smart-filter.jpg", "a.png", "a.smart-filter.jpg", "broken.png", "other", "text.png")
    ]


def test_steps_of_a_model_are_written_beside_the_picture(up: Machine) -> None:
    up.lines(
        *("run", str(PHOTO), "-o", "out/", "--outputs", "image,debug"),
        *("--set", "segmentation.model=classical"),
    )

    sheet = np.asarray(Image.open(up.here / "out" / "astronaut.smart-filter.debug.png"))
    assert min(sheet.shape[:2]) > 300


def test_outputs_are_written_beside_the_picture(up: Machine) -> None:
    up.lines("run", str(PHOTO), "-o", "out/", "--outputs", "image,matte,zip,thumbnail")

    names = {path.name.partition(".")[2] for path in (up.here / "out").iterdir()}
    assert {"smart-filter.zip", "smart-filter.thumbnail.jpg"} < names
    matte = np.asarray(Image.open(up.here / "out" / "astronaut.smart-filter.matte.png"))
    assert matte.shape == (512, 512)
    assert 0.2 < (matte > 127).mean() < 0.9


@pytest.mark.parametrize(
    ("destination", "picture", "cutout"),
    [
        ("out/", "out/astronaut.smart-filter.jpg", "out/astronaut.smart-filter.cutout.png"),
        ("red.avif", "red.avif", "astronaut.smart-filter.cutout.avif"),
    ],
)
def test_cutout_is_written_beside_the_picture(
    up: Machine, destination: str, picture: str, cutout: str
) -> None:
    up.lines(
        *("run", str(PHOTO), "-o", destination, "--background", "color:red"),
        *("--outputs", "image,cutout"),
    )

    alone = np.asarray(Image.open(up.here / cutout))
    seen = np.asarray(Image.open(up.here / picture)).astype(int)
    assert alone.shape == (512, 512, 4)
    assert 0.2 < (alone[..., 3] == 255).mean() < 0.9
    assert np.abs(seen[alone[..., 3] == 0] - [255, 0, 0]).mean() < 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--background", "nonsense"],
        ["--set", "nonsense=1"],
        ["--format", "tiff"],
        ["--background", "transparent", "-o", "cut.jpg"],
    ],
)
def test_recipe_that_the_server_refuses_is_wrong_usage(up: Machine, arguments: list[str]) -> None:
    ended = up.run("run", *arguments, "--json")

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert not ended.stdout
    assert not list(up.here.iterdir())


def test_late_photo_is_withdrawn(up: Machine) -> None:
    [line] = up.lines("run", "--timeout", "0.001", status=1)

    assert line["error"]["code"] == "timeout"
    assert up.lines("jobs", "show", line["id"])[0]["state"] == "canceled"


def test_ctrl_c_withdraws_the_photos_and_leaves_the_stack_up(up: Machine) -> None:
    photos = []
    for number in range(12):
        photos.append(f"photo-{number}.png")
        shutil.copy(PHOTO, up.here / photos[-1])

    with up.start("run", *photos, "-o", "out/") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)

    [page] = up.lines("jobs", "list", "--state", "canceled")
    assert process.returncode == 130
    assert not err.strip()
    assert len(page["items"]) > 1
    assert running_stack(up.data) is not None


def test_job_is_listed_shown_and_too_late_to_cancel(up: Machine) -> None:
    [line] = up.lines("run", "--set", "metadata.album=beach")

    listed = up.run("jobs", "list").stdout
    shown = up.run("jobs", "show", line["id"]).stdout
    canceled = up.run("jobs", "cancel", line["id"])

    assert line["metadata"] == {"album": "beach"}
    assert line["id"] in listed
    assert "1 person, 1 face" in shown
    assert canceled.returncode == 1
    assert canceled.stderr.startswith("smart-filter: ")


def test_people_are_told_about_faces_whatever_the_background_is(up: Machine) -> None:
    ended = up.run("run", "--background", "preset:studio")

    assert "1 person, 1 face" in ended.stdout
    assert "studio – " in ended.stdout


def test_models_are_listed_with_the_defaults_marked(up: Machine) -> None:
    listed = up.run("models", "list").stdout
    [page] = up.lines("models", "list")

    assert "centerface *" in listed
    assert {model["task"] for model in page["items"]} >= {"segmentation", "face", "smile", "eyes"}


def test_doctor_finds_a_stack_that_is_up_in_good_health(up: Machine) -> None:
    up.lines("run", "--background", "color:red")  # from then on there is a worker for certain
    ended = up.run("doctor")
    [told] = up.lines("doctor")

    assert ended.returncode == 0, ended.stdout
    assert {line.split()[0] for line in ended.stdout.splitlines()} == {"ok"}
    assert told["ok"]
    stack = running_stack(up.data)
    assert stack is not None
    assert stack.api_key not in ended.stdout
    looked_at = {finding["what"] for finding in told["findings"]}
    assert looked_at >= {*"api key studio live browsers outbound database clock".split()}
    assert looked_at >= {*"migrations workers broker storage weights".split()}


def test_weights_are_verified_one_by_one(up: Machine, tmp_path: Path) -> None:
    [right] = up.lines("models", "verify")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / right["files"][0]["name"]).write_bytes(b"changed")

    ended = up.run("models", "verify", SMART_FILTER_DATA=str(tmp_path))

    assert right["ok"]
    assert ended.returncode == 1
    assert ended.stdout.count("has a wrong SHA-256: run `smart-filter models pull`") == 1
    assert ended.stdout.count("is missing") == len(right["files"]) - 1


def test_result_that_cannot_be_written_is_told(up: Machine) -> None:
    (up.here / "out").mkdir()
    (up.here / "out" / "astronaut.smart-filter.jpg").mkdir()

    [line] = up.lines("run", "-o", "out/", status=1)

    assert line["error"]["code"] == "unwritable"


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
