"""Live video: a worker and its clients, and `smart-filter live`, frame by frame."""

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.live import frames as live_frames
from smart_filter_deploy.cli.live import video
from smart_filter_deploy.cli.live.session import CompositedFrame, LiveConnectionLost, LiveSession
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal.signals import StopFlag
from smart_filter_deploy.embedded.child_processes import process_tree
from smart_filter_shared.http_servers import SAFE_HEADERS
from smart_filter_shared.live import LIFETIME_SECONDS
from smart_filter_shared.presets import PRESETS
from smart_filter_tests import videos
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import KEY, RunningStack
from smart_filter_tests.live_worker import SECRET, LiveWorker, live_worker
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy import Proxy
from smart_filter_tests.serving import a_photo, serve_api
from smart_filter_wire.catalog import LiveConnection
from smart_filter_workers.live import frames
from smart_filter_workers.results import Srgb8

# JPEG at quality 85 with 4:2:0 chroma.
JPEG_LEVELS = 12
RED, BLUE = (255, 0, 0), (0, 0, 255)
# VP8 and MPEG-4 at their usual rates, on a plain color.
CODEC_LEVELS = 40
RATE = 10.0
SIZE = (320, 180)


@pytest.fixture(scope="module")
def worker(weights_folder: Path) -> Iterator[LiveWorker]:
    settings = {"SMART_FILTER_LIVE_CONNECTIONS": "4", "SMART_FILTER_LIVE_CONNECTIONS_EACH": "2"}
    with live_worker(weights_folder, **settings) as worker:
        yield worker


@pytest.fixture(scope="module")
def person() -> Srgb8:
    return next(videos.film_moving_camera(seconds=1)).srgb


def corner(srgb: Srgb8) -> list[int]:
    """Return the mean color of the upper right corner, where only background is."""
    return [round(level) for level in srgb[5:25, -25:-5].mean(axis=(0, 1)).tolist()]


def test_person_is_shown_on_another_background(worker: LiveWorker, person: Srgb8) -> None:
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


def test_background_of_the_token_can_be_changed_and_a_wrong_one_is_refused(
    worker: LiveWorker, person: Srgb8
) -> None:
    with worker.connect(token=worker.token(background="color:#ff0000")) as viewer:
        viewer.tell()
        viewer.hear()
        viewer.tell(background="transparent")
        wrong = viewer.hear()
        before = corner(viewer.ask(1, person).srgb)
        viewer.tell(background="color:#0000ff")
        reply = viewer.hear()
        after = corner(viewer.ask(2, person).srgb)
        viewer.tell(background="keep")
        viewer.hear()
        kept = viewer.ask(3, person).srgb

    assert (wrong["type"], wrong["code"]) == ("error", "invalid_recipe")
    assert "color:white" in wrong["detail"]
    assert (reply["type"], reply["background"]) == ("background", "color:#0000ff")
    assert before == pytest.approx(RED, abs=JPEG_LEVELS)
    assert after == pytest.approx(BLUE, abs=JPEG_LEVELS)
    assert np.abs(kept.astype(int) - person).mean() < JPEG_LEVELS


def test_uploaded_picture_becomes_the_background(worker: LiveWorker, person: Srgb8) -> None:
    with worker.viewer(background="color:#ff0000") as viewer:
        viewer.tell(background_file=True)
        viewer.socket.send(b"no picture")
        wrong = viewer.hear()
        viewer.tell(background_file=True)
        viewer.socket.send(a_photo("PNG"))
        reply = viewer.hear()
        answer = viewer.ask(1, person)

    assert (wrong["code"], "frame" in wrong) == ("image_unreadable", False)
    assert reply == {"type": "background", "background": "file", "name": None, "reason": None}
    assert corner(answer.srgb) == pytest.approx((0, 0, 0), abs=JPEG_LEVELS)


def test_frames_are_decoded_in_a_child_that_may_die(worker: LiveWorker, person: Srgb8) -> None:
    with worker.viewer(background="color:#ff0000") as viewer:
        viewer.ask(1, person)
        first = decoders(worker)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        answer = viewer.ask(2, person)

    assert first
    assert corner(answer.srgb) == pytest.approx(RED, abs=JPEG_LEVELS)
    second = decoders(worker)
    assert second
    assert not second & first


def decoders(worker: LiveWorker) -> set[int]:
    """Return the locked processes below a live worker."""
    statuses = {
        pid: Path(f"/proc/{pid}/status").read_text("ascii")
        for pid in process_tree(worker.process.pid)
    }
    return {pid for pid, status in statuses.items() if "\nSeccomp:\t2\n" in status}


def test_automatic_background_depends_on_the_people(worker: LiveWorker, person: Srgb8) -> None:
    with worker.viewer(background="auto") as viewer:
        for number in range(8):
            viewer.ask(number, person)

    (reply,) = (one for one in viewer.said if one["type"] == "background")
    assert reply["background"] == "auto"
    assert reply["name"] in {preset.name for preset in PRESETS}
    assert "smiling" in reply["reason"]


def test_client_that_does_not_read_delays_no_other(worker: LiveWorker, person: Srgb8) -> None:
    content = frames.encode_frame(person)
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

    assert [(error["type"], error["code"], error["frame"]) for error in errors] == [
        ("error", "image_unreadable", 5),
        ("error", "image_unreadable", 5),
        ("error", "image_too_large", 5),
    ]
    assert answer.said["frame"] == 6


def test_huge_message_ends_the_connection(worker: LiveWorker) -> None:
    with worker.viewer() as viewer:
        # Only its head (RFC 6455, 5.2): binary, masked, with 4,000,001 bytes to follow.
        viewer.socket.socket.sendall(b"\x82\xff" + (4_000_001).to_bytes(8) + bytes(4))

        assert viewer.closing()[0] == 1009


@pytest.mark.parametrize(
    ("first", "code", "words"),
    [('{"token": "x"}', 4400, "token"), ('{"\\ud800": 1}', 4400, "ud800")],
)
def test_wrong_first_message_ends_the_connection_with_a_reason(
    worker: LiveWorker, first: str, code: int, words: str
) -> None:
    with worker.connect() as viewer:
        viewer.socket.send(first)

        ended, reason = viewer.closing()

    assert (ended, words in reason) == (code, True)


def test_connections_of_a_tenant_and_of_the_worker_are_limited(worker: LiveWorker) -> None:
    with ExitStack() as held:
        for tenant in ("ann", "ann", "bob"):
            held.enter_context(worker.viewer(tenant))
        with worker.connect("ann") as third:
            of_tenant = third.closing()
        held.enter_context(worker.viewer("bob"))
        is_full = worker.get("/readyz").status_code
        metrics = worker.get("/metrics")
        with worker.connect("eve") as fifth:
            of_worker = fifth.closing()

    assert (of_tenant[0], "you have 2" in of_tenant[1]) == (4429, True)
    assert (of_worker[0], "all places" in of_worker[1]) == (4429, True)
    hidden = [
        httpx.get(f"http://{worker.host}{path}", timeout=60) for path in ("/readyz", "/metrics")
    ]
    alive = httpx.get(f"http://{worker.host}/livez", timeout=60)

    assert [answer.status_code for answer in (*hidden, alive)] == [404, 404, 200]
    assert is_full == 503
    assert "smart_filter_live_connections 4\n" in metrics.text
    assert dict(SAFE_HEADERS).items() <= metrics.headers.items()


@pytest.mark.slow  # it waits 5 s
def test_connection_without_a_first_message_ends_in_time(worker: LiveWorker) -> None:
    with worker.connect() as silent:
        assert silent.closing() == (4408, "no first message in time: send it at once, within 5 s")


def test_connections_of_a_tenant_are_limited_before_their_first_message(worker: LiveWorker) -> None:
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(worker.connect(token=worker.token()))
        with worker.connect(token=worker.token()) as third:
            ended, reason = third.closing()

    assert (ended, "you have 2" in reason) == (4429, True)


def test_wrong_token_in_the_handshake_ends_the_connection_with_a_reason(worker: LiveWorker) -> None:
    with worker.connect(token="wrong") as viewer:
        code, reason = viewer.closing()

    assert (code, "POST /v1/live" in reason) == (4401, True)


PAGE = "https://photos.example.com"


def test_token_of_a_page_opens_connections_of_its_origin_alone(worker: LiveWorker) -> None:
    for origin in ("https://evil.example", f"{PAGE}.evil.example", None):
        with worker.connect(token=worker.token(origin=PAGE), origin=origin) as refused:
            code, reason = refused.closing()
        assert (code, "origin" in reason) == (4401, True)
    with worker.connect(token=worker.token(origin=PAGE), origin=PAGE) as viewer:
        viewer.tell()
        ready = viewer.hear()
        viewer.tell(token=worker.token(origin="https://evil.example"))
        error = viewer.hear()

    assert ready["type"] == "ready"
    assert (error["type"], error["code"]) == ("error", "unauthorized")


# A token that is issued this many seconds late expires soon.
_NEARLY_EXPIRED = -3


@pytest.mark.slow  # the token ends after three seconds
def test_connection_ends_with_its_token(worker: LiveWorker, person: Srgb8) -> None:
    with worker.connect(token=worker.token(old=_NEARLY_EXPIRED)) as viewer:
        viewer.tell()
        viewer.hear()
        viewer.ask(1, person)

        code, reason = viewer.closing()

    assert (code, "POST /v1/live" in reason) == (4410, True)


@pytest.mark.slow
def test_another_token_of_the_tenant_extends_the_connection(
    worker: LiveWorker, person: Srgb8
) -> None:
    token = worker.token(old=_NEARLY_EXPIRED)
    with worker.connect(token=token) as viewer:
        viewer.tell()
        interval = viewer.hear()["limits"]["token_seconds"]
        for wrong in (worker.token("bob"), token):
            viewer.tell(token=wrong)
            error = viewer.hear()
            assert (error["type"], error["code"]) == ("error", "unauthorized")
        viewer.tell(token=worker.token())
        # A connection that was not extended ends meanwhile.
        with pytest.raises(TimeoutError):
            viewer.socket.recv(timeout=1 - _NEARLY_EXPIRED)
        answer = viewer.ask(1, person)

    assert interval <= LIFETIME_SECONDS / 2
    assert answer.said["frame"] == 1


@pytest.mark.slow  # 2 s: a separate worker
def test_sigterm_ends_connections_with_a_reason(weights_folder: Path, person: Srgb8) -> None:
    with live_worker(weights_folder) as own, own.viewer() as viewer:
        viewer.ask(1, person)

        status = own.stop()

        assert viewer.closing()[0] == 1012
    assert status == 0


@dataclass(frozen=True, slots=True)
class Live:
    """An API with live video whose connections go through a proxy."""

    url: str
    proxy: Proxy


@pytest.fixture(scope="module")
def live(running_stack: RunningStack, worker: LiveWorker) -> Iterator[Live]:
    place = urlsplit(f"http://{worker.host}")
    assert place.hostname is not None
    assert place.port is not None
    with Proxy(place.hostname, place.port) as proxy:
        settings = settings_of(
            running_stack.stack.addresses,
            SMART_FILTER_LIVE_URL=f"ws://127.0.0.1:{proxy.port}",
            SMART_FILTER_LIVE_SECRET=SECRET,
        )
        with serve_api(settings) as site:
            yield Live(site.url, proxy)


@pytest.fixture
def command(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    monkeypatch.setenv("SMART_FILTER_URL", live.url)
    monkeypatch.setenv("SMART_FILTER_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def write(path: Path, *, smiling: int, serious: int) -> None:
    """Write a video of a person who smiles, and then does not."""
    smile = next(videos.film_smiles(0.0, seconds=0.1)).srgb
    other = next(videos.film_smiles(9.0, seconds=0.1)).srgb
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    for srgb in [smile] * smiling + [other] * serious:
        writer.write(cv2.resize(srgb, SIZE)[..., ::-1].copy())
    writer.release()


def read(path: Path) -> list[Srgb8]:
    with video.VideoSource(str(path)) as source:
        return [frame[..., ::-1] for frame in source.frames()]


# Frames are sent faster than they were filmed: the shutter uses the film's time.
def test_every_frame_is_processed_and_a_smile_becomes_a_picture(command: Command) -> None:
    write(Path("clip.mp4"), smiling=6, serious=10)

    reply = command("live", "clip.mp4", "--background", "color:#00ff00", "--shutter", "smiles")

    output = Path("clip.smart-filter.webm").absolute()
    size = {"width": SIZE[0], "height": SIZE[1]}
    expected = {"frames": 16, "failed": 0, "dropped": 0, "output": str(output), **size}
    assert reply.items() >= expected.items()
    messages = read(output)
    assert len(messages) == 16
    corners = np.array([frame[4:12, -12:-4] for frame in messages]).astype(int)
    assert np.abs(corners - [0, 255, 0]).max() < CODEC_LEVELS
    (shot,) = reply["shutters"]
    assert shot["error"] is None
    assert shot["frame"] < 6
    picture = cv2.imread(shot["path"])
    assert picture is not None
    assert picture.shape == (180, 320, 3)


@pytest.mark.slow
def test_interrupted_connection_loses_no_frame(command: Command, live: Live) -> None:
    write(Path("clip.mp4"), smiling=0, serious=20)
    film = Path("out.mp4").absolute()

    def cut_once_frames_come() -> None:
        wait_until(film.exists)
        live.proxy.cut()

    with ThreadPoolExecutor(1) as pool:
        cutting = pool.submit(cut_once_frames_come)
        reply = command("live", "clip.mp4", "-o", str(film), "--background", "color:#00ff00")
        cutting.result()

    assert (reply["frames"], reply["failed"]) == (20, 0)
    assert len(read(film)) == 20


def send_forever(session: LiveSession, jpeg: bytes) -> NoReturn:
    for number in itertools.count():
        session.send(number, jpeg)
        session.receive()


class TicketCounter(Client):
    """A client that counts the tokens that it got."""

    tickets = 0

    def open_live(self, background: str | None = None) -> LiveConnection:
        ticket = super().open_live(background)
        self.tickets += 1
        return ticket


def test_command_extends_its_connection(live: Live, person: Srgb8) -> None:
    now = 0.0
    with (
        TicketCounter(live.url, KEY) as client,
        LiveSession(client, "keep", clock=lambda: now) as session,
    ):
        session.open()
        for number in range(3):
            now = number * 15.0
            session.send(number, frames.encode_frame(person))
            answer = session.receive()
            assert isinstance(answer, CompositedFrame)

        assert (answer.number, client.tickets) == (2, 2)


@pytest.mark.slow  # a minute: the lifetime of a token
def test_connection_of_a_revoked_key_ends(live: Live, person: Srgb8) -> None:
    owner = httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    with owner:
        issued = owner.post("/v1/keys", json={"scopes": ["submit"]}).json()
        with Client(live.url, issued["key"]) as client, LiveSession(client, "keep") as session:
            session.open()
            owner.delete(f"/v1/keys/{issued['key_id']}").raise_for_status()

            with pytest.raises(LiveConnectionLost, match="no new token"):
                send_forever(session, frames.encode_frame(person))
            with pytest.raises(client_errors.Unauthorized):
                session.open()


def test_impossible_background_is_wrong_usage(command: Command) -> None:
    write(Path("clip.mp4"), smiling=0, serious=1)

    for background in ("nonsense", "transparent", "preset:none-such"):
        assert "background" in command.usage_error(
            "live", "clip.mp4", "--background", background, "--json"
        )
    assert not Path("clip.smart-filter.webm").exists()


def test_file_that_is_not_a_photo_is_refused_in_one_line(tmp_path: Path) -> None:
    photo = tmp_path / "text.jpg"
    photo.write_text("no photo")

    # A separate process: FFmpeg reads its log level once.
    ended = subprocess.run(
        [*program.command("live", str(photo))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr == f"smart-filter: {photo} has no readable frame\n"


def test_camera_gives_the_newest_frames_until_it_is_stopped(live: Live, tmp_path: Path) -> None:
    stop, figures = StopFlag(), live_frames.FrameStats()
    srgb = next(videos.film_smiles(0.0, seconds=0.1)).srgb
    frame = cv2.resize(srgb, SIZE)[..., ::-1].astype(np.uint8)

    def tell(figures: live_frames.FrameStats) -> None:
        if figures.frames == 5:
            stop.request()

    with (
        Client(live.url, KEY) as client,
        LiveSession(client, "color:#00ff00") as session,
        video.VideoWriter(tmp_path / "film.mp4", rate=RATE, size=SIZE) as film,
    ):
        session.open()
        take = live_frames.FrameLoop(session, film, SIZE, None, stop, tell)
        # A camera that is faster than any worker.
        take.process_camera(itertools.repeat(frame), RATE, figures)

    assert (figures.frames, figures.failed) == (5, 0)
    assert len(figures.milliseconds) == 5


def test_camera_film_repeats_frames_where_none_arrived(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    jpeg = video.encode_for_sending(np.full((180, 320, 3), 200, np.uint8), SIZE)

    with video.VideoWriter(path, rate=RATE, size=SIZE) as film:
        clock = live_frames.RealTimeWriter(film, RATE, started=0.0)
        for when in (0.0, 0.05, 0.1, 0.5, 1.0):
            clock.add(jpeg, when)

    assert len(read(path)) == 11
