"""Live video: a worker as clients see it, and `smart-filter live`, frame by frame."""

import itertools
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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
from smart_filter_shared.presets import PRESETS
from smart_filter_tests import filming
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.proxy import Proxy
from smart_filter_tests.running import KEY, Running
from smart_filter_tests.serving import a_photo, serving
from smart_filter_tests.viewing import SECRET, LiveWorker, Viewer, live_worker
from smart_filter_workers.live import frames
from smart_filter_workers.results import Srgb8

# JPEG at quality 85 with 4:2:0 chroma.
JPEG_LEVELS = 12
RED, BLUE = (255, 0, 0), (0, 0, 255)
# VP8 and MPEG-4 at their usual rates, on a plain colour.
CODEC_LEVELS = 40
RATE = 10.0
PATIENCE_SECONDS = 60.0
SIZE = (320, 180)


@pytest.fixture(scope="module")
def worker(weights_folder: Path) -> Iterator[LiveWorker]:
    settings = {"SMART_FILTER_LIVE_CONNECTIONS": "4", "SMART_FILTER_LIVE_CONNECTIONS_EACH": "2"}
    with live_worker(weights_folder, **settings) as worker:
        yield worker


@pytest.fixture(scope="module")
def silent(worker: LiveWorker) -> Iterator[Viewer]:
    """A client that connects when the tests begin, and says nothing."""
    with worker.connected() as viewer:
        yield viewer


@pytest.fixture(scope="module")
def person() -> Srgb8:
    return next(filming.moving(seconds=1)).srgb


def corner(srgb: Srgb8) -> list[int]:
    """Return the mean colour of the upper right corner, where nobody is."""
    return [round(level) for level in srgb[5:25, -25:-5].mean(axis=(0, 1)).tolist()]


def test_person_stands_before_another_background(
    worker: LiveWorker, silent: Viewer, person: Srgb8
) -> None:
    del silent
    with worker.viewer(background="color:#ff0000") as viewer:
        answer = viewer.ask(7, person)

    said = answer.said
    assert (said["frame"], said["width"], said["height"]) == (7, 640, 360)
    assert said["people"] is True
    (face,) = said["faces"]
    assert face["smile"]["level"] == "huge"
    assert face["eyes"] == {"left_open": True, "right_open": True}
    assert said["rating"]["score"] == pytest.approx(1)
    assert corner(answer.srgb) == pytest.approx(RED, abs=JPEG_LEVELS)
    left, top, width, height = (round(side) for side in face["box"])
    inside = slice(top + height // 4, top + height // 2), slice(left + 30, left + width - 30)
    assert np.abs(answer.srgb[inside].astype(int) - person[inside]).mean() < JPEG_LEVELS


def test_background_of_the_token_changes_and_a_wrong_one_is_refused(
    worker: LiveWorker, person: Srgb8
) -> None:
    with worker.connected() as viewer:
        viewer.tell(token=worker.token(background="color:#ff0000"))
        viewer.hear()
        viewer.tell(background="transparent")
        wrong = viewer.hear()
        before = corner(viewer.ask(1, person).srgb)
        viewer.tell(background="color:#0000ff")
        told = viewer.hear()
        after = corner(viewer.ask(2, person).srgb)
        viewer.tell(background="keep")
        viewer.hear()
        kept = viewer.ask(3, person).srgb

    assert (wrong["type"], wrong["code"]) == ("error", "invalid_recipe")
    assert "color:white" in wrong["detail"]
    assert (told["type"], told["background"]) == ("background", "color:#0000ff")
    assert before == pytest.approx(RED, abs=JPEG_LEVELS)
    assert after == pytest.approx(BLUE, abs=JPEG_LEVELS)
    assert np.abs(kept.astype(int) - person).mean() < JPEG_LEVELS


def test_picture_that_is_sent_becomes_the_background(worker: LiveWorker, person: Srgb8) -> None:
    with worker.viewer(background="color:#ff0000") as viewer:
        viewer.tell(background_file=True)
        viewer.socket.send(b"no picture")
        wrong = viewer.hear()
        viewer.tell(background_file=True)
        viewer.socket.send(a_photo("PNG"))
        told = viewer.hear()
        answer = viewer.ask(1, person)

    assert (wrong["code"], "frame" in wrong) == ("image_unreadable", False)
    assert told == {"type": "background", "background": "file", "name": None, "reason": None}
    assert corner(answer.srgb) == pytest.approx((0, 0, 0), abs=JPEG_LEVELS)


def test_people_choose_their_background(worker: LiveWorker, person: Srgb8) -> None:
    with worker.viewer(background="auto") as viewer:
        for number in range(8):
            viewer.ask(number, person)

    (told,) = (one for one in viewer.said if one["type"] == "background")
    assert told["background"] == "auto"
    assert told["name"] in {preset.name for preset in PRESETS}
    assert "smiling" in told["reason"]


def test_client_that_does_not_read_delays_no_other(worker: LiveWorker, person: Srgb8) -> None:
    content = frames.written(person)
    with worker.viewer("ann") as slow, worker.viewer("bob") as other:
        for _ in range(10):
            slow.show(1, content)
            other.ask(1, person)
        slow.show(2, content)
        said = slow.see().said
        while said["frame"] != 2:
            said = slow.see().said

    assert said["dropped"] >= 0


def test_wrong_message_is_an_error_and_the_next_frame_is_served(
    worker: LiveWorker, person: Srgb8
) -> None:
    wrong = [b"\xff\xd8\xff\xe0 no picture", a_photo("PNG"), a_photo(size=(1281, 8))]
    with worker.viewer() as viewer:
        for message in ("", "{", "[1]", '{"background": 1}', b"", b"\0\0\0\1"):
            viewer.socket.send(message)
            assert viewer.hear()["type"] == "error"
        errors = []
        for content in wrong:
            viewer.show(5, content)
            errors.append(viewer.hear())
        answer = viewer.ask(6, person)

    assert [(one["type"], one["code"], one["frame"]) for one in errors] == [
        ("error", "image_unreadable", 5),
        ("error", "image_unreadable", 5),
        ("error", "image_too_large", 5),
    ]
    assert answer.said["frame"] == 6


def test_huge_message_ends_the_connection(worker: LiveWorker) -> None:
    with worker.viewer() as viewer:
        # Its head alone (RFC 6455, 5.2): binary, masked, 4,000,001 bytes to come.
        viewer.socket.socket.sendall(b"\x82\xff" + (4_000_001).to_bytes(8) + bytes(4))

        assert viewer.ending()[0] == 1009


@pytest.mark.parametrize(
    ("first", "code", "words"),
    [('{"token": "x"}', 4401, "POST /v1/live"), ('{"token": "x", "\\ud800": 1}', 4400, "ud800")],
)
def test_wrong_first_message_ends_the_connection_with_a_reason(
    worker: LiveWorker, first: str, code: int, words: str
) -> None:
    with worker.connected() as viewer:
        viewer.socket.send(first)

        ended, reason = viewer.ending()

    assert (ended, words in reason) == (code, True)


def test_places_of_a_tenant_and_of_the_worker_are_limited(worker: LiveWorker) -> None:
    with ExitStack() as held:
        for tenant in ("ann", "ann", "bob"):
            held.enter_context(worker.viewer(tenant))
        with worker.connected() as third:
            third.tell(token=worker.token("ann"))
            of_tenant = third.ending()
        held.enter_context(worker.viewer("bob"))
        is_full = worker.get("/readyz").status_code
        metrics = worker.get("/metrics").text
        with worker.connected() as fifth:
            fifth.tell(token=worker.token("eve"))
            of_worker = fifth.ending()

    assert (of_tenant[0], "you have 2" in of_tenant[1]) == (4429, True)
    assert (of_worker[0], "all places" in of_worker[1]) == (4429, True)
    assert is_full == 503
    assert "smart_filter_live_connections 4\n" in metrics


def test_connection_without_a_token_ends_in_time(silent: Viewer) -> None:
    assert silent.ending() == (4408, "no token in time: send it at once, within 5 s")


@pytest.mark.slow  # 2 s: a worker of its own
def test_sigterm_ends_connections_with_a_reason(weights_folder: Path, person: Srgb8) -> None:
    with live_worker(weights_folder) as own, own.viewer() as viewer:
        viewer.ask(1, person)

        status = own.stop()

        assert viewer.ending()[0] == 1012
    assert status == 0


@dataclass(frozen=True, slots=True)
class Live:
    """An API with live video, whose connections go through a proxy."""

    url: str
    proxy: Proxy


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
