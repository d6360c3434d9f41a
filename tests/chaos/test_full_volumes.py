"""Volumes that take nothing more: accepted photos are kept, new ones refused until later."""

import contextlib
import errno
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from PIL import Image

from smart_filter_tests import s3_server
from smart_filter_tests.full_stack import ENGINE, PHOTO, WORKER, RunningStack, run_stack
from smart_filter_tests.pictures import encode, noise
from smart_filter_tests.storm import PHOTOS, Storm, storm

pytestmark = pytest.mark.timeout(600)
# Room for all photos of both tests, before the volume is filled.
STORAGE_MEGABYTES: Final = 64 + 3 * PHOTOS
DATABASE_MEGABYTES: Final = 400 + PHOTOS
# In tables without room a few rows still fit into pages that are there.
MOST_ACCEPTED: Final = PHOTOS + 400


_PIECE = b"\0" * 65536


@contextmanager
def small_volume(path: Path, megabytes: int, *, mode: int, files: int = 0) -> Iterator[Path]:
    """Mount a volume at a new folder while the block lasts; skip the test where that is forbidden.

    mode: permissions of the folder.  files: its most files and folders; 0: as its size allows.
    """
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("no `mount`: install util-linux")
    path.mkdir(mode=mode)
    options = f"size={megabytes}m,mode={mode:o},nr_inodes={files}"
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small volume needs root with CAP_SYS_ADMIN: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def filled(volume: Path) -> Iterator[None]:
    """Leave no byte free on a volume while the block lasts."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(_PIECE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            ballast.unlink()


@contextmanager
def without_inodes(volume: Path) -> Iterator[None]:
    """Let a volume take no new file while the block lasts."""
    ballast = volume / "ballast"
    ballast.mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (ballast / str(number)).touch()
    try:
        yield
    finally:
        shutil.rmtree(ballast)


@contextmanager
def read_only(volume: Path) -> Iterator[None]:
    """Mount a volume, in which no file is open, read-only while the block lasts."""
    _remount(volume, "ro")
    try:
        yield
    finally:
        _remount(volume, "rw")


def _remount(volume: Path, access: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{access}", str(volume)], check=True)


@dataclass(frozen=True, slots=True)
class SmallVolumes:
    storm: Storm
    storage: Path
    database: Path


@pytest.fixture(scope="module")
def small_volumes(data_folder: Path, weights_folder: Path) -> Iterator[SmallVolumes]:
    folder = data_folder / "small-volumes"
    folder.mkdir(mode=0o700)
    with ExitStack() as held:
        storage = held.enter_context(
            small_volume(folder / s3_server.FOLDER, STORAGE_MEGABYTES, mode=0o700)
        )
        database = held.enter_context(
            small_volume(folder / "postgres", DATABASE_MEGABYTES, mode=0o711)
        )
        yield SmallVolumes(held.enter_context(storm(folder, weights_folder)), storage, database)


@pytest.mark.parametrize("server", ["storage", "database"])
def test_full_volume_refuses_new_photos_and_keeps_accepted_ones(
    small_volumes: SmallVolumes, server: str
) -> None:
    stack = small_volumes.storm
    job_ids = stack.submit()
    with filled(getattr(small_volumes, server)):
        refusal = None
        while refusal is None:
            answer = submit(stack)
            if answer.status_code == httpx.codes.ACCEPTED:
                job_ids.append(answer.json()["id"])
                assert len(job_ids) < MOST_ACCEPTED
            else:
                refusal = answer
        stack.wait_seconds(3)
    stack.ride_out([])
    stack.calm_down()
    after = stack.running.run(background="keep")

    assert refusal.status_code == httpx.codes.SERVICE_UNAVAILABLE, refusal.text
    assert refusal.headers["content-type"] == "application/problem+json"
    assert int(refusal.headers["retry-after"]) > 0
    assert stack.damage(job_ids) == []
    assert after["state"] == "succeeded"


def submit(stack: Storm) -> httpx.Response:
    return stack.running.client.post("/v1/jobs", files={"photo": PHOTO.read_bytes()})


@dataclass(frozen=True, slots=True)
class PartedFolder:
    """A stack, each part of whose data folder is a volume of its own."""

    running: RunningStack
    volumes: dict[str, Path]


# Megabytes and permissions of each part; PostgreSQL runs as a user who must enter its own.
PARTS: Final = {
    "logs": (2, 0o700),
    "objects": (400, 0o700),  # the photos of all tests
    "scratch": (30, 0o700),
    "postgres": (DATABASE_MEGABYTES, 0o711),
    "valkey": (8, 0o700),
}
MOST_FILES: Final = 20_000
# More than an upload may have in memory.
LARGE_PHOTO: Final = encode(Image.fromarray(noise(700, 900)), "PNG")
SENT: Final = 6


@pytest.fixture(scope="module")
def parted_folder(data_folder: Path, weights_folder: Path) -> Iterator[PartedFolder]:
    folder = data_folder / "parted"
    folder.mkdir(mode=0o711)
    with ExitStack() as held:
        volumes = {
            name: held.enter_context(
                small_volume(folder / name, megabytes, mode=mode, files=MOST_FILES)
            )
            for name, (megabytes, mode) in PARTS.items()
        }
        environment = {**ENGINE, "TMPDIR": str(volumes["scratch"])}
        yield PartedFolder(
            held.enter_context(run_stack(folder, weights_folder, environment)), volumes
        )


@pytest.mark.parametrize(
    ("part", "trouble"),
    [
        *((part, filled) for part in PARTS),
        *((part, without_inodes) for part in PARTS),
        # The kernel refuses it where files are open for writing.
        *((part, read_only) for part in ("objects", "scratch")),
    ],
)
def test_part_that_takes_nothing_stops_no_worker(
    parted_folder: PartedFolder, part: str, trouble: Callable[[Path], AbstractContextManager[None]]
) -> None:
    running = parted_folder.running
    before = [running.stack.pid(name) for name in ("api", WORKER)]

    with trouble(parted_folder.volumes[part]):
        answers = [
            running.client.post("/v1/jobs", files={"photo": photo})
            for photo in (LARGE_PHOTO, PHOTO.read_bytes()) * (SENT // 2)
        ]
        ready = running.operators.get("/readyz")

    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert {running.wait(job_id)["state"] for job_id in accepted} <= {"succeeded"}
    assert running.run(background="keep")["state"] == "succeeded"
    assert {answer.status_code for answer in refused} <= {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.headers["content-type"] for answer in (*refused, ready)} <= {
        "application/problem+json",
        "application/json",
    }
    assert [running.stack.pid(name) for name in ("api", WORKER)] == before
    assert (ready.status_code == 503) == (part == "objects")
    assert ("temporary_files" in ready.json().get("degraded", [])) == (part == "scratch")
