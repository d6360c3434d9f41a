"""`smart-filter live` on real servers: a video goes through, frame by frame."""

import itertools
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from smart_filter_client import Client
from smart_filter_deploy.cli import live_take, program, video
from smart_filter_deploy.cli.live_session import LiveSession
from smart_filter_deploy.cli.stopping import Stop
from smart_filter_tests import filming
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.proxy import Proxy
from smart_filter_tests.running import KEY, Running
from smart_filter_tests.serving import serving
from smart_filter_tests.viewing import SECRET, LiveWorker, live_worker
from smart_filter_workers.live import film, frames, sight
from smart_filter_workers.live.shutter import Shutter, look_of
from smart_filter_workers.results import Srgb8

# VP8 and MPEG-4 at their usual rates, on a plain colour.
CODEC_LEVELS = 40
RATE = 10.0
PATIENCE_SECONDS = 60.0
SIZE = (320, 180)


@dataclass(frozen=True, slots=True)
class Live:
    """An API with live video, whose connections go through a proxy."""

    url: str
    proxy: Proxy


@pytest.fixture(scope="module")
def worker(weights_folder: Path) -> Iterator[LiveWorker]:
    with live_worker(weights_folder) as worker:
        yield worker


@pytest.fixture(scope="module")
def live(running_stack: Running, worker: LiveWorker) -> Iterator[Live]:
    place = urlsplit(f"http://{worker.host}")
    assert place.hostname is not None
    assert place.port is not None
    with Proxy(place.hostname, place.port) as proxy:
        settings = settings_of(
            running_stack.stack.addresses,
            SMART_FILTER_LIVE_URL=f"ws://127.0.0.1:{proxy.port}",
            SMART_FILTER_LIVE_SECRET=SECRET,
        )
        with serving(settings) as url:
            yield Live(url, proxy)


@pytest.fixture
def command(
    live: Live,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Command:
    monkeypatch.setenv("SMART_FILTER_URL", live.url)
    monkeypatch.setenv("SMART_FILTER_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def write(path: Path, *, smiling: int, serious: int) -> None:
    """Write a video of somebody who smiles, and then does not."""
    smile = next(filming.smiles(0.0, seconds=0.1)).srgb
    other = next(filming.smiles(9.0, seconds=0.1)).srgb
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    for srgb in [smile] * smiling + [other] * serious:
        writer.write(cv2.resize(srgb, SIZE)[..., ::-1].copy())
    writer.release()


def read(path: Path) -> list[Srgb8]:
    with video.Source(str(path)) as source:
        return [frame[..., ::-1] for frame in source.frames()]


# Frames come faster than they were filmed: the shutter has to go by the film's seconds.
def test_every_frame_goes_through_and_a_smile_becomes_a_picture(command: Command) -> None:
    write(Path("clip.mp4"), smiling=6, serious=10)

    told = command("live", "clip.mp4", "--background", "color:#00ff00", "--shutter", "smiles")

    output = Path("clip.smart-filter.webm").absolute()
    size = {"width": SIZE[0], "height": SIZE[1]}
    expected = {"frames": 16, "failed": 0, "dropped": 0, "output": str(output), **size}
    assert told.items() >= expected.items()
    frames = read(output)
    assert len(frames) == 16
    corners = np.array([frame[4:12, -12:-4] for frame in frames]).astype(int)
    assert np.abs(corners - [0, 255, 0]).max() < CODEC_LEVELS
    (shot,) = told["shutters"]
    assert shot["error"] is None
    assert shot["frame"] < 6
    picture = cv2.imread(shot["path"])
    assert picture is not None
    assert picture.shape == (180, 320, 3)


@pytest.mark.slow
def test_connection_that_breaks_costs_no_frame(command: Command, live: Live) -> None:
    write(Path("clip.mp4"), smiling=0, serious=20)
    film = Path("out.mp4").absolute()

    def cut_once_frames_come() -> None:
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while not film.exists() and time.monotonic() < gives_up_at:
            time.sleep(0.01)
        live.proxy.cut()

    with ThreadPoolExecutor(1) as pool:
        cutting = pool.submit(cut_once_frames_come)
        told = command("live", "clip.mp4", "-o", str(film), "--background", "color:#00ff00")
        cutting.result()

    assert (told["frames"], told["failed"]) == (20, 0)
    assert len(read(film)) == 20


def test_background_that_cannot_be_is_wrong_usage(command: Command) -> None:
    write(Path("clip.mp4"), smiling=0, serious=1)

    for background in ("nonsense", "transparent", "preset:none-such"):
        assert "background" in command.refused(
            "live", "clip.mp4", "--background", background, "--json"
        )
    assert not Path("clip.smart-filter.webm").exists()


def test_photo_in_name_alone_is_refused_in_one_line(tmp_path: Path) -> None:
    photo = tmp_path / "text.jpg"
    photo.write_text("no photo")

    # A process of its own: FFmpeg asks once how much it may say.
    ended = subprocess.run(
        [*program.command("live", str(photo))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr == f"smart-filter: {photo} has no frame that can be read\n"


def test_camera_gives_the_newest_frames_until_it_is_stopped(live: Live, tmp_path: Path) -> None:
    stop, figures = Stop(), live_take.Figures()
    srgb = next(filming.smiles(0.0, seconds=0.1)).srgb
    frame = cv2.resize(srgb, SIZE)[..., ::-1].astype(np.uint8)

    def tell(figures: live_take.Figures) -> None:
        if figures.frames == 5:
            stop.request()

    with (
        Client(live.url, KEY) as client,
        LiveSession(client, "color:#00ff00") as session,
        video.Film(tmp_path / "film.mp4", rate=RATE, size=SIZE) as film,
    ):
        session.open()
        take = live_take.Take(session, film, SIZE, None, stop, tell)
        # A camera that is faster than any worker.
        take.newest_of(itertools.repeat(frame), RATE, figures)

    assert (figures.frames, figures.failed) == (5, 0)
    assert len(figures.milliseconds) == 5


def test_film_of_a_camera_repeats_frames_where_none_came(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    jpeg = video.sent(np.full((180, 320, 3), 200, np.uint8), SIZE)

    with video.Film(path, rate=RATE, size=SIZE) as film:
        clock = live_take.Clock(film, RATE, started=0.0)
        for when in (0.0, 0.05, 0.1, 0.5, 1.0):
            clock.add(jpeg, when)

    assert len(read(path)) == 11


PEAKS = (1.3, 4.0)
FRAMES_A_SECOND = 6
# What the shutter is held to (docs/live.md).
NEAR_SECONDS = 0.3


def test_each_smile_of_a_clip_is_taken_once_at_its_peak(weights_folder: Path) -> None:
    models = sight.load(weights_folder, research=True)
    faces, shutter = film.Film(models), Shutter()

    taken = []
    for number, take in enumerate(filming.smiles(*PEAKS, seconds=5.5, fps=FRAMES_A_SECOND)):
        seen = faces.look(film.shot(frames.written(take.srgb)))
        look = look_of(seen.faces.faces, seen.smiles.smiles, seen.smiles.eyes)
        one = shutter.observe(number, look, at=take.at)
        taken += [] if one is None else [one.at]

    assert len(taken) == len(PEAKS)
    off = [abs(at - peak) for at, peak in zip(taken, PEAKS, strict=True)]
    assert max(off) <= NEAR_SECONDS
