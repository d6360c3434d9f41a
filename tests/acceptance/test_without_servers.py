"""`smart_filter` in a program and `smart-filter cut`: pictures without servers."""

import io
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smart_filter
from acceptance.machine import Machine
from smart_filter_deploy.cli.server import program
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_tests.full_stack import PHOTO


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the weights alone."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "weights").symlink_to(weights_folder)
    monkeypatch.setenv("SMART_FILTER_DATA", str(folder))
    return folder


@pytest.fixture
def machine(folder: Path, tmp_path: Path) -> Machine:
    place = tmp_path / "here"
    place.mkdir()
    return Machine(folder, place)


def shows_a_cut_out(picture: Image.Image) -> bool:
    alpha = np.asarray(picture)[..., 3]
    return picture.mode == "RGBA" and {int(alpha[0, -1]), int(alpha[300, 256])} == {0, 255}


@pytest.mark.parametrize(
    "source",
    [str(PHOTO), PHOTO, PHOTO.read_bytes(), Image.open(PHOTO), Image.open(PHOTO).convert("CMYK")],
    ids="str path bytes picture cmyk".split(),
)
def test_people_of_any_kind_of_source_are_cut_out(source: smart_filter.PhotoSource) -> None:
    made = smart_filter.cut_out(source)

    assert (made.people, made.faces, made.media_type) == (1, None, "image/png")
    assert made.image.size == (512, 512)
    assert shows_a_cut_out(made.image)


def test_thing_is_cut_out_on_request() -> None:
    photo = Image.new("RGB", (512, 512), "white")
    photo.paste("navy", (150, 200, 362, 412))

    assert shows_a_cut_out(smart_filter.cut_out(photo, subject="any").image)


def test_pictures_orientation_is_applied(tmp_path: Path) -> None:
    with Image.open(PHOTO) as photo:
        turned = photo.convert("RGB").crop((0, 0, 512, 400)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # Source: Exif 2.3, "Orientation": rotate by 90° clockwise to show it
    turned.save(tmp_path / "turned.jpg", exif=exif)

    with Image.open(tmp_path / "turned.jpg") as opened:
        made = smart_filter.cut_out(opened)

    assert made.image.size == (512, 400)


def test_composed_photo_comes_with_ratings_and_the_background() -> None:
    made = smart_filter.compose(PHOTO, "color:#336699", size="256x256", format="png")

    assert made.image.size == (256, 256)
    assert made.image.convert("RGB").getpixel((255, 0)) == (0x33, 0x66, 0x99)
    assert made.background is not None
    assert (made.people, made.background.kind) == (1, "color")
    assert made.faces is not None
    assert len(made.faces) == 1
    assert made.rating is not None
    assert 80 < made.rating <= 100


def test_picture_is_a_background() -> None:
    made = smart_filter.compose(PHOTO, Image.new("RGB", (64, 64), (9, 200, 9)), format="png")

    assert made.image.convert("RGB").getpixel((511, 0)) == pytest.approx((9, 200, 9), abs=2)


def test_threads_get_the_same_pictures() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(smart_filter.cut_out, [PHOTO] * 8))

    assert len({each.content for each in made}) == 1


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"edg": "best"}, "did you mean edge"),
        ({"background": "url:https://example.org/me.jpg"}, "only a server fetches"),
        ({"outputs": "faces"}, "names no picture"),
        ({"background": "color:#12"}, "/background"),
        ({"edge": None}, "/edge: has no value"),
        ({"run_at": "2027-01-01T00:00:00Z", "priority": "batch"}, "/run_at, /priority: is for a"),
    ],
)
def test_wrong_field_is_an_error_that_names_it(fields: dict[str, str], fault: str) -> None:
    with pytest.raises(smart_filter.Error, match=fault):
        smart_filter.compose(PHOTO, **fields)


@pytest.mark.parametrize(
    "source", [b"", b"no picture", PHOTO.read_bytes()[:5000], "missing.jpg", "/", 3, None]
)
def test_broken_photo_is_an_error(source: object) -> None:
    with pytest.raises(smart_filter.Error):
        smart_filter.cut_out(source)


def test_weights_are_fetched_for_valid_fields_only(machine: Machine) -> None:
    (machine.data / "weights").unlink()

    ended = machine.run("cut", str(PHOTO), "--set", "edg=best")

    assert ended.returncode != 0
    assert not (machine.data / "weights").exists()


def test_weights_of_an_earlier_version_are_replaced(machine: Machine, weights_folder: Path) -> None:
    (machine.data / "weights").unlink()
    shutil.copytree(weights_folder, machine.data / "weights")
    (machine.data / "weights" / "movenet.onnx").write_bytes(b"as it was")

    ended = machine.run("cut", str(PHOTO), "-o", "me.png")

    assert ended.returncode == 0, ended.stderr


def test_closed_standard_output_gives_one_line() -> None:
    command = program.command("cut", str(PHOTO), "-o", "-")

    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "standard output is closed" in ended.stderr


def test_command_cuts_a_file_out_and_starts_nothing(machine: Machine) -> None:
    ended = machine.run("cut", str(PHOTO), "-o", "me.png")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    with Image.open(machine.here / "me.png") as picture:
        assert shows_a_cut_out(picture)
    assert [path.name for path in machine.data.iterdir()] == ["weights"]


def test_photo_for_a_document_comes_with_its_report(machine: Machine) -> None:
    made = smart_filter.compose(PHOTO, document="badge")
    ended = machine.run("cut", str(PHOTO), "--document", "badge", "-o", "me.jpg")

    assert made.document_report is not None
    assert made.document_report.title == "Badge, 3:4"
    assert (machine.here / "me.jpg").read_bytes() == made.content
    assert f"document  {made.document_report.verdict} – Badge, 3:4" in ended.stderr


def test_picture_goes_from_pipe_to_pipe(machine: Machine) -> None:
    ended = machine.pipe("cut", "-", "-o", "-", content=PHOTO.read_bytes())

    assert ended.returncode == 0, ended.stderr
    assert shows_a_cut_out(Image.open(io.BytesIO(ended.stdout)))


def test_several_sources_are_named_after_themselves(machine: Machine, tmp_path: Path) -> None:
    fifo = tmp_path / "me.fifo"
    os.mkfifo(fifo)
    with machine.start("cut", str(fifo), str(PHOTO), "-o", "out/") as command:
        told = command.stderr and command.stderr.readline()
        fifo.write_bytes(PHOTO.read_bytes())
        assert command.wait() == 0

    assert told == f"waiting until a program writes to {fifo}\n"
    assert sorted(path.name for path in (machine.here / "out").iterdir()) == [
        "astronaut.png",
        "me.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("/dev/zero",), f"more than {MAX_PHOTO_BYTES:,} bytes"),
        (("/dev/null",), "is empty"),
        (("/tmp",), "is a folder"),
        (("",), "is empty"),
        ((str(PHOTO), "--set", "run_at=2027-01-01"), "is for a server"),
        (("missing.jpg",), "cannot be read"),
        ((str(PHOTO), str(PHOTO), "-o", "-"), "takes one picture"),
        ((str(PHOTO), "--set", "outputs=image,cutout", "-o", "-"), "takes one output"),
        ((str(PHOTO), "--set", "edg=best"), "did you mean edge"),
        ((__file__,), "not a picture"),
        ((str(PHOTO), "--set", "format=png", "-o", "me.jpg"), "names jpg, and the format is png"),
        ((str(PHOTO), "-o", "me.gif"), ".gif is not written: name one of .png, .jpg,"),
    ],
)
def test_wrong_source_gives_one_line(
    machine: Machine, arguments: tuple[str, ...], fault: str
) -> None:
    ended = machine.run("cut", *arguments)

    assert ended.returncode != 0
    [line] = ended.stderr.splitlines()
    assert fault in line


def test_import_opens_nothing_and_is_typed() -> None:
    code = "import smart_filter, sys; print({'celery', 'fastapi', 'sqlalchemy'} & {*sys.modules})"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == "set()\n"
    assert Path(smart_filter.__file__).with_name("py.typed").is_file()
