"""A batch's files: the photos of a folder, the journal, the report."""

import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from smart_filter_deploy.cli.batch import report as batch_report
from smart_filter_deploy.cli.batch import worker
from smart_filter_deploy.cli.batch.album import find_album
from smart_filter_deploy.cli.batch.dashboard import album_lines
from smart_filter_deploy.cli.batch.journal import FILE_NAME, Journal
from smart_filter_deploy.cli.batch.report import Row
from smart_filter_deploy.cli.batch.watch import FoundPhoto, HotFolder, WatchedFolder
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_tests.commands import Command
from smart_filter_tests.journals import an_entry

LONG_AGO_NS = 10**18
OTHER_USER = 65534


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def names(folder: WatchedFolder) -> list[str]:
    return [found.name for found in folder.look().photos]


@contextmanager
def not_root() -> Iterator[None]:
    """Become another user: root may read every folder."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(OTHER_USER)
    try:
        yield
    finally:
        os.seteuid(before)


def test_folder_without_photos_ends_in_one_line_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "photos/notes.txt")
    folder = tmp_path / "photos"

    said = Command(capsys).output("batch", str(folder), "-o", str(tmp_path / "out"))

    assert said == (
        f"no photos in {folder} (1 other file): JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF"
        " files count\n"
    )
    assert not (tmp_path / "out").exists()


def test_only_the_photos_of_the_folder_are_found(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a.png", "notes.txt", ".hidden.jpg", "a.smart-filter.jpg", "sub/c.webp")
    put(tmp_path.parent, "secret.jpg")
    (tmp_path / "secret.jpg").symlink_to(tmp_path.parent / "secret.jpg")
    (tmp_path / "again.jpg").symlink_to("a.png")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")

    look = WatchedFolder(tmp_path, (tmp_path / "out",), recursive=False).look()

    assert [found.name for found in look.photos] == ["a.png", "again.jpg", "b.JPG"]
    assert (look.skipped, look.unfinished) == (3, 0)


def test_folders_of_thumbnails_and_archives_are_skipped_in_one_line(tmp_path: Path) -> None:
    for folder in (".", "a", "a/@eaDir", "b/@eaDir", "__MACOSX"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "photo.jpg").write_bytes(b"x")
    (tmp_path / "a" / "._photo.jpg").write_bytes(b"x")

    scan = WatchedFolder(tmp_path, (), recursive=True).look()

    assert scan.names == ["a/photo.jpg", "photo.jpg"]
    assert scan.closed == ("@eaDir, __MACOSX (thumbnails or deleted files)",)


def list_photos(
    folder: Path, listed: bytes, capsys: pytest.CaptureFixture[str], *options: str
) -> str:
    """Return what a batch of listed photos says that needs no server."""
    file = folder / "list"
    file.write_bytes(listed)
    command = Command(capsys)
    given = ("batch", str(folder / "photos"), "-o", str(folder / "out"), "--list", str(file))
    return command.output(*given, *options)


def test_listed_paths_are_the_photos_whatever_else_the_folder_has(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "sub/b.png", "notes.txt", "c.jpg", "c.smart-filter.jpg")
    names_listed = ("sub/b.png", "c.jpg", "notes.txt", "gone.jpg", "c.smart-filter.jpg")

    look = WatchedFolder(
        tmp_path, (), recursive=False, listed=[tmp_path / name for name in names_listed]
    ).look()

    assert [photo.name for photo in look.photos] == ["c.jpg", "sub/b.png"]
    assert look.skipped == 1
    assert look.closed == (f"{tmp_path}/gone.jpg (No such file or directory)",)


@pytest.mark.parametrize(
    ("options", "end"), [((), "\n"), ((), "\r\n"), (("-0",), "\0")], ids=["lf", "crlf", "nul"]
)
def test_list_has_a_path_per_line_or_before_each_nul(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], end: str
) -> None:
    put(tmp_path / "photos", "a b.txt", "c.txt", "d.txt")
    paths = [f"{tmp_path}/photos/{name}{end}" for name in ("a b.txt", "sub/../c.txt", "c.txt", "")]

    said = list_photos(tmp_path, "".join(paths[:3]).encode(), capsys, *options)

    assert "(2 other files)" in said


@pytest.mark.parametrize(
    ("listed", "options", "why"),
    [
        (b"/etc/passwd\n", (), "/etc/passwd is not below"),
        (b"photos/a.jpg\0", (), "add -0"),
        (b"a.jpg", ("--recursive",), "leave --watch and --recursive out"),
        (b"x" * 64_000_001, (), "more than 64,000,000 bytes"),
    ],
    ids=["outside", "nul", "recursive", "long"],
)
def test_list_that_cannot_be_used_is_wrong_usage(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    listed: bytes,
    options: tuple[str, ...],
    why: str,
) -> None:
    put(tmp_path, "photos/a.jpg")
    (tmp_path / "list").write_bytes(listed)
    given = ("batch", str(tmp_path / "photos"), "--list", str(tmp_path / "list"), *options)

    assert why in Command(capsys).usage_error(*given)


def test_subfolders_are_searched_on_request_but_the_output_is_not(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "sub/deep/b.jpg", "out/a.jpg", ".git/c.jpg")

    found = names(WatchedFolder(tmp_path, (tmp_path / "out",), recursive=True))

    assert found == ["a.jpg", "sub/deep/b.jpg"]


def test_photo_that_is_being_written_is_left_until_it_stops_changing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    now = path.stat().st_mtime
    clock = [0.0]
    folder = WatchedFolder(tmp_path, (tmp_path / "out",), False, lambda: clock[0], lambda: now)
    seen = []

    for moment, size in ((0.0, 1), (1.0, 2), (2.0, 2), (2.9, 2), (3.0, 2)):
        clock[0] = moment
        path.write_bytes(b"x" * size)
        # Both writes have the same timestamp: the observed change counts.
        os.utime(path, (now, now))
        look = folder.look()
        seen.append((len(look.photos), look.unfinished))

    assert seen == [(0, 1), (0, 1), (0, 1), (0, 1), (1, 0)]


def test_photo_that_a_program_has_open_to_write_is_not_ready(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    folder = WatchedFolder(tmp_path, (), recursive=False)

    with (tmp_path / "a.jpg").open("r+b"):
        during = folder.look()
    after = folder.look()

    assert (during.photos, during.unfinished) == ([], 1)
    assert [photo.name for photo in after.photos] == ["a.jpg"]


@pytest.mark.parametrize("suffix", [".part", ".crdownload", ".filepart"])
def test_photo_that_is_still_fetched_into_a_partial_file_is_not_ready(
    tmp_path: Path, suffix: str
) -> None:
    put(tmp_path, "a.jpg", f"a.jpg{suffix}")
    folder = WatchedFolder(tmp_path, (), recursive=False)

    during = folder.look()
    (tmp_path / f"a.jpg{suffix}").replace(tmp_path / "a.jpg")

    assert (during.photos, during.unfinished) == ([], 1)
    assert names(folder) == ["a.jpg"]


def test_writer_that_comes_while_a_photo_is_checked_ends_nothing(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    checking = f"""
from pathlib import Path
from smart_filter_deploy.cli.batch.watch import WatchedFolder
folder = WatchedFolder(Path({str(tmp_path)!r}), (), recursive=False)
for _ in range(5000):
    folder.look()
"""

    with subprocess.Popen([sys.executable, "-c", checking]) as process:
        while process.poll() is None:
            (tmp_path / "a.jpg").open("r+b").close()

    assert process.returncode == 0


def test_ended_photos_are_moved_without_replacing_others(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "sub/b.jpg", "done/a.jpg")
    hot = HotFolder(tmp_path)
    photos = WatchedFolder(tmp_path, hot.folders, recursive=True).look().photos

    moved = [hot.put_away(photo, succeeded=photo.name == "a.jpg") for photo in photos]

    assert moved == ["done/a-2.jpg", "failed/sub/b.jpg"]
    assert all((tmp_path / path).is_file() for path in ("done/a.jpg", *map(str, moved)))


def test_photo_that_was_changed_or_removed_meanwhile_is_not_moved(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    first, second = WatchedFolder(tmp_path, (), recursive=False).look().photos
    first.path.write_bytes(b"another photo")
    second.path.unlink()
    hot = HotFolder(tmp_path)

    assert [hot.put_away(photo, succeeded=True) for photo in (first, second)] == [None, None]
    assert first.path.exists()


def test_new_photo_of_an_old_name_gets_a_name_that_no_photo_had(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "a-2.jpg")
    folder = WatchedFolder(tmp_path, (), recursive=False)
    [photo] = [photo for photo in folder.look().photos if photo.name == "a.jpg"]

    HotFolder(tmp_path).set_apart(photo, {"a.jpg", "a-3.jpg"}.__contains__)

    assert names(folder) == ["a-2.jpg", "a-4.jpg"]


def test_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with not_root(), pytest.raises(CommandError, match=r"done .Permission denied.*let this user"):
        HotFolder(tmp_path).prepare()


def test_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "closed/a.jpg")
    (tmp_path / "closed").chmod(0)
    # Relative to the folder: another user may not enter the folders above.
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)

    with not_root():
        look = WatchedFolder(Path(), (Path("out"),), recursive=True).look()

    assert look.closed == ("./closed (Permission denied)",)


def test_photo_that_grew_after_it_was_found_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"small")
    found = FoundPhoto("a.jpg", path, (5, 0))
    os.truncate(path, 3_000_000_000)

    with pytest.raises(worker.PhotoFailed) as raised:
        worker.read_photo(found)

    failure = raised.value.failure
    assert (failure.code, failure.detail) == ("photo_too_large", "3000 MB; the limit is 40 MB")


@pytest.mark.parametrize("last", [b'{"photo": "z.jpg", "ta', b"[" * 2_500_000])
def test_line_of_a_journal_without_an_end_is_skipped(tmp_path: Path, last: bytes) -> None:
    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry())
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(last)

    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry("b.jpg"))
    with Journal.opened(tmp_path) as journal:
        assert journal.entries() == [an_entry(), an_entry("b.jpg")]


def test_reopened_journal_has_its_entries(tmp_path: Path) -> None:
    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry(is_done=False))
        journal.note(an_entry(outputs={"image": "a.jpg"}))
        journal.note(an_entry("b.jpg"))

    with Journal.opened(tmp_path) as journal:
        assert journal.entries() == [
            an_entry(outputs={"image": "a.jpg"}),
            an_entry("b.jpg"),
        ]


def test_second_batch_into_a_folder_is_refused(tmp_path: Path) -> None:
    with Journal.opened(tmp_path), pytest.raises(CommandError, match="another batch"):
        Journal.opened(tmp_path).__enter__()


def test_photos_with_one_stem_have_permanent_places_of_their_own(tmp_path: Path) -> None:
    with Journal.opened(tmp_path) as journal:
        first = [journal.place(name) for name in ("a.jpg", "a.png", "sub/a.jpg")]
        journal.note(an_entry("a.png", place=first[1]))

    with Journal.opened(tmp_path) as journal:
        again = [journal.place(name) for name in ("a.png", "a.jpg")]

    assert first == ["a", "a-2", "sub/a"]
    assert again == ["a-2", "a"]


def test_longest_file_name_is_seen_and_leaves_room_for_those_of_its_outputs(tmp_path: Path) -> None:
    name = f"{'Ж' * 125}.jpg"
    put(tmp_path, name)
    folder = WatchedFolder(tmp_path, (), recursive=False)
    with Journal.opened(tmp_path) as journal:
        first, second = journal.place(name), journal.place(name.replace("jpg", "png"))

    put(tmp_path, f"{first}-10.smart-filter.cutout.webp.{'0' * 8}.part")

    assert names(folder) == [name]
    assert first != second


def test_photo_is_done_until_photo_recipe_or_picture_changes(tmp_path: Path) -> None:
    found = FoundPhoto("a.jpg", tmp_path / "a.jpg", (1, 2))
    put(tmp_path, "a.smart-filter.jpg")
    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry(outputs={"image": "a.smart-filter.jpg"}))

        assert journal.is_done(found, "r")
        assert not journal.is_done(found, "another recipe")
        assert not journal.is_done(FoundPhoto("a.jpg", found.path, (1, 3)), "r")
        assert not journal.is_done(FoundPhoto("b.jpg", found.path, (1, 2)), "r")
        (tmp_path / "a.smart-filter.jpg").unlink()
        assert not journal.is_done(found, "r")
        journal.note(an_entry())
        assert journal.is_done(found, "r")
        journal.note(an_entry(is_done=False))
        assert not journal.is_done(found, "r")


def test_album_is_continued_only_for_exactly_its_photos(tmp_path: Path) -> None:
    photos = [FoundPhoto(name, tmp_path / name, (1, 2)) for name in ("a.jpg", "b.jpg")]
    more = FoundPhoto("c.jpg", tmp_path / "c.jpg", (1, 2))
    changed = FoundPhoto("b.jpg", tmp_path / "b.jpg", (1, 3))

    with Journal.opened(tmp_path) as journal:
        before = find_album(journal, photos, "r")
        for name in ("a.jpg", "b.jpg"):
            journal.note(an_entry(name, album="one"))
        found = [
            find_album(journal, wanted, recipe)
            for wanted, recipe in (
                *((photos, "r"), (photos, "another"), ([*photos, more], "r")),
                *((photos[:1], "r"), ([photos[0], changed], "r")),
            )
        ]

    assert before is None
    assert found == ["one", None, None, None, None]


def test_pictures_of_an_earlier_run_are_named_when_they_are_not_among_the_best(
    tmp_path: Path,
) -> None:
    put(tmp_path, "a.jpg", "sub/b[1].jpg", "c.jpg")
    rows = [Row(file="a.jpg", rank=1, output="a"), Row(file="sub/b[1].jpg", rank=2)]

    with Journal.opened(tmp_path) as journal:
        *_, last = album_lines([*rows, Row(file="d.jpg", rank=3)], 1, None, journal)

    assert last.endswith("still there: b[1].jpg")


def test_csv_has_a_line_for_each_photo_without_formulas_and_json_is_exact(tmp_path: Path) -> None:
    error = {"code": "unreadable", "detail": "no\nsuch file"}
    rows = [
        Row(file="=cmd|'x'.jpg", smile=["mild", "none"], rating=50),
        Row(file='a, "b".jpg', error=error),
    ]
    in_csv, in_json = tmp_path / "report.csv", tmp_path / "report.json"

    for path in (in_csv, in_json):
        batch_report.write(path, rows, {}, title="photos")

    written = list(csv.DictReader(io.StringIO(in_csv.read_text(), newline="")))
    assert [row["file"] for row in written] == ["'=cmd|'x'.jpg", 'a, "b".jpg']
    assert written[0]["smile"] == "mild none"
    assert written[1]["error"] == "unreadable: no\nsuch file"
    assert [row["file"] for row in json.loads(in_json.read_text())] == [row.file for row in rows]
    assert {one.name for one in tmp_path.iterdir()} == {"report.csv", "report.json"}


def test_page_holds_pictures_and_escaped_text_and_needs_nothing_else(tmp_path: Path) -> None:
    photo, picture = tmp_path / "a&b.jpg", tmp_path / "a.png"
    for path, mode in ((photo, "RGB"), (picture, "RGBA")):
        Image.new(mode, (900, 600)).save(path)
    rows = [
        Row(file="<script>alert(1)</script>.jpg", error={"code": "x", "detail": '"><img src=x>'}),
        Row(
            file="b.jpg",
            state="succeeded",
            rank=2,
            reasons=["The better photo is <b>sharper</b>."],
        ),
        Row(file="a&b.jpg", state="succeeded", rank=1, output=str(picture)),
        Row(file="caf\udce9.jpg"),
    ]

    batch_report.write(tmp_path / "report.html", rows, {"a&b.jpg": photo}, title="photos")

    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.index("1. a&amp;b.jpg") < page.index("2. b.jpg") < page.index("caf\ufffd.jpg")
    assert page.count('src="data:image/webp;base64,') == page.count("<img alt=") == 2
    assert "<script" not in page
    assert "&lt;b&gt;sharper&lt;/b&gt;" in page
    assert "&quot;&gt;&lt;img src=x&gt;" in page
    assert "http:" not in page
    assert "https:" not in page


def damaged(**fields: object) -> str:
    return json.dumps({**dataclasses.asdict(an_entry()), **fields})


@pytest.mark.parametrize(
    "line",
    [
        *(damaged(photo=1), damaged(photo=[]), damaged(bytes="a"), damaged(number="a")),
        *(damaged(place=place) for place in (1, None, "", "../EVIL", "/EVIL", "a/../../b", "a\0")),
        damaged(place="\ud800"),
        *(damaged(outputs=[]), damaged(outputs={"image": 1}), damaged(outputs={"image": "../a"})),
        damaged(outputs={"image": "/etc/passwd"}),
        *(damaged(photo="../a.jpg"), damaged(moved="/etc/a.jpg"), damaged(is_done=None)),
        pytest.param("[" * 100_000, id="nested-without-end"),
    ],
)
def test_damaged_line_of_the_journal_is_skipped(tmp_path: Path, line: str) -> None:
    whole = dataclasses.asdict(an_entry("b.jpg", outputs={"image": "b.png"}))
    (tmp_path / FILE_NAME).write_text(f"{line}\n{json.dumps(whole)}\n")

    with Journal.opened(tmp_path) as journal:
        assert [entry.photo for entry in journal.entries()] == ["b.jpg"]


def test_photos_keep_their_numbers_in_a_later_run(tmp_path: Path) -> None:
    with Journal.opened(tmp_path) as journal:
        assert [journal.number(name) for name in ("a.jpg", "b.jpg", "a.jpg")] == [1, 2, 1]
        journal.note(an_entry("b.jpg", number=2))

    with Journal.opened(tmp_path) as journal:
        assert [journal.number(name) for name in ("c.jpg", "b.jpg")] == [3, 2]


def test_two_photos_never_share_a_file_and_each_keeps_its_own(tmp_path: Path) -> None:
    put(tmp_path, "other.jpg")
    with Journal.opened(tmp_path) as journal:
        for name in ("a.jpg", "b.jpg"):
            journal.note(an_entry(name))
        claimed = [
            journal.claim_file(photo, "image", tmp_path / "party.jpg").name
            for photo in ("a.jpg", "b.jpg", "a.jpg")
        ]
        # A file of another program is not replaced.
        foreign = journal.claim_file("a.jpg", "cutout", tmp_path / "other.jpg").name

    with Journal.opened(tmp_path) as journal:
        later = journal.claim_file("b.jpg", "image", tmp_path / "party.jpg").name
    assert claimed == ["party.jpg", "party-2.jpg", "party.jpg"]
    assert (foreign, later) == ("other-2.jpg", "party-2.jpg")
