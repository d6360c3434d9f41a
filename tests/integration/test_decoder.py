"""The process that decodes clients' pictures can do nothing else, and its worker survives it."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

import smart_filter_tests
from integration import forging_decoder
from integration.locked_process import ACTIONS
from smart_filter_shared.errors import (
    DecoderUnavailable,
    ImageTooLarge,
    ImageUnreadable,
    Poison,
)
from smart_filter_tests import heic
from smart_filter_tests.mutants import originals
from smart_filter_tests.pictures import encode, noise
from smart_filter_workers import images
from smart_filter_workers.decoder.pool import DecoderPool

TESTS = Path(smart_filter_tests.__file__).parents[1]
PHOTO = (TESTS / "data" / "grace_hopper.jpg").read_bytes()
HARMLESS = {"stop its timer"}
# Landlock is a second lock, of files and what is named by them.
FILES = ("read a file", "write a file", "list a folder")
Children: TypeAlias = Callable[[], set[int]]
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")


@pytest.fixture
def children() -> Children:
    """Return the function that lists the children started since the test began.

    Grandchildren do not count: PostgreSQL starts processes when it likes to.
    """
    before = list_children()
    return lambda: list_children() - before


def list_children() -> set[int]:
    children: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        # A thread can end between the listing and the reading. Source: proc(5).
        with contextlib.suppress(OSError):
            children.update(map(int, path.read_text().split()))
    return children


def only(children: Children) -> int:
    (pid,) = children()
    return pid


@pytest.fixture
def decoder(children: Children) -> Iterator[DecoderPool]:
    assert not children()
    pool = DecoderPool()
    yield pool
    pool.close()


@pytest.fixture
def owned(children: Children, monkeypatch: pytest.MonkeyPatch) -> Iterator[DecoderPool]:
    """Return a decoder whose children an attacker owns."""
    assert not children()
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    pool = DecoderPool(serve="integration.forging_decoder:serve")
    yield pool
    pool.close()


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def attempt(locks: str, action: str) -> str:
    """Return `done` or the error's name, of an action in a process with these locks."""
    return outcomes(locks)[action]


@functools.cache
def outcomes(locks: str) -> dict[str, str]:
    lines = subprocess.run(
        [sys.executable, "-m", "integration.locked_process", locks, *ACTIONS],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return dict(zip(ACTIONS, lines, strict=True))


@needs_linux
@pytest.mark.parametrize(
    ("locks", "action", "ends"),
    [
        *(("all", action, {"done"}) for action in ACTIONS if action in HARMLESS),
        *(
            ("all", action, {"EPERM", "EACCES", "ENOMEM"})
            for action in ACTIONS
            if action not in HARMLESS
        ),
        *(("none", action, {"done"}) for action in ACTIONS if action != "start a program"),
        *(("landlock", action, {"EACCES"}) for action in FILES),
        *(
            ("seccomp", action, {"EPERM"})
            for action in ACTIONS
            if action not in {*HARMLESS, "allocate two gigabytes"}
        ),
        # Files are locked before anything large is loaded.
        *(("entry", action, {"EACCES"}) for action in FILES),
    ],
)
def test_locked_process_can_only_compute(locks: str, action: str, ends: set[str]) -> None:
    assert attempt(locks, action) in ends


@needs_linux
def test_child_has_no_secret_and_no_open_file_of_its_worker(
    decoder: DecoderPool, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMART_FILTER_DATABASE_URL", "postgresql://a-secret")

    decoder.start()

    child = Path(f"/proc/{only(children)}")
    environment = (child / "environ").read_bytes()
    files = sorted(str(one.readlink()).partition(":")[0] for one in (child / "fd").iterdir())
    assert b"SMART_FILTER" not in environment
    assert files == ["/dev/null", "/dev/null", "/dev/null", "socket"]


@needs_linux
def test_running_child_is_locked(decoder: DecoderPool, children: Children) -> None:
    decoder.start()

    status = Path(f"/proc/{only(children)}/status").read_text("ascii")
    assert "NoNewPrivs:\t1\n" in status
    assert "Seccomp:\t2\n" in status


def a_gif() -> bytes:
    return encode(Image.new("RGB", (8, 8)), "PPM")


PICTURES = {
    "camera": PHOTO,
    "CMYK": encode(Image.new("CMYK", (70, 50), (10, 200, 30, 40)), "JPEG"),
    "gray": encode(Image.new("L", (70, 50), 77), "JPEG"),
    "large": encode(Image.fromarray(noise(1000, 1500)), "JPEG"),
    "larger": encode(Image.fromarray(noise(1500, 2500)), "JPEG"),
    "palette": encode(Image.new("P", (70, 50), 3), "PNG"),
    "16 bits": encode(Image.new("I;16", (70, 50), 30_000), "PNG"),
    "one pixel": encode(Image.new("RGB", (1, 1)), "PNG"),
    "animated": encode(
        Image.new("RGB", (70, 50), "red"),
        "WEBP",
        save_all=True,
        append_images=[Image.new("RGB", (70, 50), "blue")],
    ),
    "HEIC": heic.quarters(),
    **originals(),
}


@pytest.mark.parametrize("name", PICTURES)
def test_child_returns_the_picture_that_a_process_of_its_own_would(
    shared_decoder: DecoderPool, name: str
) -> None:
    content = PICTURES[name]
    expected = images.decode(content)

    photo = shared_decoder.decode(content)

    assert photo.srgb.dtype == np.uint8
    assert np.array_equal(photo.srgb, expected.srgb)
    assert (photo.format, photo.taken_at) == (expected.format, expected.taken_at)
    assert photo.exif == expected.exif
    assert (photo.alpha is None) == (expected.alpha is None)
    if photo.alpha is not None and expected.alpha is not None:
        assert np.array_equal(photo.alpha, expected.alpha)


@pytest.fixture(scope="module")
def shared_decoder() -> Iterator[DecoderPool]:
    pool = DecoderPool()
    yield pool
    pool.close()


@pytest.mark.parametrize("content", [b"", b"no picture", a_gif(), PHOTO[:5000]])
def test_bad_picture_has_the_same_message_as_without_a_child(
    shared_decoder: DecoderPool, content: bytes
) -> None:
    with pytest.raises(ImageUnreadable) as expected:
        images.decode(content)

    with pytest.raises(ImageUnreadable) as raised:
        shared_decoder.decode(content)

    assert str(raised.value) == str(expected.value)


def test_too_large_picture_keeps_its_error(shared_decoder: DecoderPool) -> None:
    large = bytearray(PHOTO)
    frame = large.index(b"\xff\xc0") if b"\xff\xc0" in large else large.index(b"\xff\xc2")
    large[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"

    with pytest.raises(ImageTooLarge, match="at most 50000000"):
        shared_decoder.decode(bytes(large))


def test_mask_keeps_its_levels(shared_decoder: DecoderPool) -> None:
    levels = np.arange(60, dtype=np.uint8).reshape(6, 10)

    mask = shared_decoder.decode_mask(encode(Image.fromarray(levels), "PNG"))

    assert np.array_equal(mask, levels)
    with pytest.raises(ImageUnreadable, match="mask"):
        shared_decoder.decode_mask(b"\x89PNG")


@pytest.mark.parametrize("what", [b"crash", b"exit"])
def test_picture_that_ends_its_decoder_is_poison_and_the_next_one_is_decoded(
    owned: DecoderPool, what: bytes
) -> None:
    with pytest.raises(Poison, match="ended the process that decodes it"):
        owned.decode(what)

    assert owned.decode(PHOTO).srgb.shape == (600, 512, 3)


@pytest.mark.parametrize("what", [b"hang", b"fewer pixels"])
def test_picture_that_hangs_its_decoder_is_poison(
    children: Children, monkeypatch: pytest.MonkeyPatch, what: bytes
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    owned = DecoderPool(serve="integration.forging_decoder:serve", limit_seconds=0.2)

    with pytest.raises(Poison, match="takes too long"):
        owned.decode(what)

    assert not children()
    owned.close()


def test_forged_answer_is_refused_and_its_child_replaced(
    owned: DecoderPool, children: Children
) -> None:
    owned.start()
    for lie in (*forging_decoder.FORGED, b"not json", b"endless", b"two answers"):
        child = only(children)

        with pytest.raises(Poison, match="has changed the process that decodes it"):
            owned.decode(lie)

        assert owned.decode(PHOTO).srgb.shape == (600, 512, 3), lie
        assert only(children) != child, lie


@needs_linux
def test_picture_survives_the_death_of_all_children(
    decoder: DecoderPool, children: Children
) -> None:
    while len(children()) < 2:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(decoder.decode, [PHOTO] * 4))
    for child in children():
        os.kill(child, signal.SIGKILL)

    for _ in range(2):
        assert decoder.decode(PHOTO).srgb.shape == (600, 512, 3)


@needs_linux
def test_signals_of_a_shutdown_leave_the_child_at_work(
    decoder: DecoderPool, children: Children
) -> None:
    decoder.start()
    child = only(children)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child, number)

    decoder.decode(PHOTO)

    assert only(children) == child


@needs_linux
def test_nothing_is_left_open_by_pictures_good_and_bad(
    owned: DecoderPool, children: Children
) -> None:
    owned.decode(PHOTO)
    before = count_open_files()

    for content in (PHOTO, b"crash", b"no rows", b"no picture", b"not json", PHOTO):
        with contextlib.suppress(ImageUnreadable, Poison):
            owned.decode(content)

    assert count_open_files() == before
    assert len(children()) == 1


def test_threads_share_two_children(decoder: DecoderPool, children: Children) -> None:
    with ThreadPoolExecutor(6) as threads:
        photos = list(threads.map(decoder.decode, [PHOTO] * 24))

    assert {photo.srgb.shape for photo in photos} == {(600, 512, 3)}
    assert 1 <= len(children()) <= 2


def test_spare_child_ends_and_comes_back(decoder: DecoderPool, children: Children) -> None:
    decoder.start()
    reserved = children()
    large = encode(Image.new("L", (4000, 4000)), "PNG")
    decoder.decode(large)

    decoder.end_spare()

    assert children() == reserved
    assert decoder.decode(large).srgb.shape == (4000, 4000, 3)
    assert len(children()) == 2


def test_closed_decoder_ends_its_children(children: Children) -> None:
    decoder = DecoderPool()
    decoder.start()

    decoder.close()

    assert not children()
    with pytest.raises(DecoderUnavailable):
        decoder.decode(PHOTO)


@needs_linux
def test_large_pictures_have_a_child_of_a_lower_priority(
    decoder: DecoderPool, children: Children
) -> None:
    decoder.start()
    reserved = only(children)

    decoder.decode(encode(Image.new("L", (4000, 4000)), "PNG"))

    (other,) = children() - {reserved}
    niceness = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, reserved, other)}
    assert niceness[0] == niceness[reserved] < niceness[other]
    # Priorities do not count between sessions (autogroup in sched(7)).
    assert os.getsid(0) == os.getsid(reserved) == os.getsid(other)


@needs_linux
def test_child_outlives_the_thread_that_asked_for_it(
    decoder: DecoderPool, children: Children
) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(decoder.start).result()
    child = only(children)

    decoder.decode(PHOTO)

    assert only(children) == child


HANGING_WORKER = """
import sys
from pathlib import Path
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.decoder.turns import Requester
decoder = DecoderPool(serve="integration.forging_decoder:serve")
decoder.start()
print(*(path.read_text() for path in Path("/proc/self/task").glob("*/children")), file=sys.stderr)
decoder.decode(b"hang")
"""


@needs_linux
def test_child_at_work_ends_with_its_killed_worker() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HANGING_WORKER],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as worker:
        assert worker.stderr is not None
        child = int(worker.stderr.readline())
        assert is_alive(child)

        worker.kill()

    while is_alive(child):
        pass


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a dead one may stay listed until its new parent looks."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def test_child_that_cannot_start_is_not_the_picture_s_fault() -> None:
    decoder = DecoderPool(serve="smart_filter_workers.no_such_module:serve")

    with pytest.raises(DecoderUnavailable, match="does not start"):
        decoder.decode(PHOTO)

    decoder.close()


def test_missing_locks_are_logged_once_and_pictures_are_decoded(owned: DecoderPool) -> None:
    with capture_logs() as lines:
        owned.start()
        with pytest.raises(Poison):
            owned.decode(b"not json")
        owned.decode(PHOTO)

    found = [line["missing"] for line in lines if line["event"] == "decoder_not_locked"]
    assert found == [["all locks"]]


@needs_linux
def test_child_of_this_machine_has_all_locks(decoder: DecoderPool) -> None:
    with capture_logs() as lines:
        decoder.start()

    assert lines == []


@needs_linux
def test_child_starts_in_the_root_folder_without_the_working_folder_in_its_paths(
    decoder: DecoderPool, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonexistent::lib:")

    decoder.start()

    child = Path(f"/proc/{only(children)}")
    assert b"LD_LIBRARY_PATH=/nonexistent" in (child / "environ").read_bytes().split(b"\0")
    assert (child / "cwd").readlink() == Path("/")


@needs_linux
def test_decoders_are_loaded_behind_the_first_lock() -> None:
    program = (
        "import sys\n"
        "from smart_filter_workers.decoder import entry\n"
        "print(sorted({'numpy', 'PIL', 'cv2', 'pydantic', 'ssl'} & sys.modules.keys()))\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)

    assert ended.stdout == b"[]\n"


def test_opencv_leaves_the_library_path_as_it_was() -> None:
    program = (
        "import os\n"
        "from smart_filter_workers.opencv import cv2\n"
        "print(cv2.__name__, os.environ.get('LD_LIBRARY_PATH'))\n"
    )
    environment = {name: os.environ[name] for name in os.environ if name != "LD_LIBRARY_PATH"}

    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**environment, **given},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for given in ({}, {"LD_LIBRARY_PATH": "/nonexistent"})
    ]

    assert printed == ["cv2 None\n", "cv2 /nonexistent\n"]
