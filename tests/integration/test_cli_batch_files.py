"""A batch's files: the photos of a folder, the journal, the report."""

import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smart_filter_deploy.cli.batch import report as batch_report
from smart_filter_deploy.cli.batch.journal import FILE_NAME, Journal
from smart_filter_deploy.cli.batch.watch import FoundPhoto, WatchedFolder
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
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


def test_only_the_photos_of_the_folder_are_found(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a.png", "notes.txt", ".hidden.jpg", "a.smart-filter.jpg", "sub/c.webp")
    put(tmp_path.parent, "secret.jpg")
    (tmp_path / "secret.jpg").symlink_to(tmp_path.parent / "secret.jpg")
    (tmp_path / "again.jpg").symlink_to("a.png")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")

    look = WatchedFolder(tmp_path, tmp_path / "out", recursive=False).look()

    assert [found.name for found in look.photos] == ["a.png", "again.jpg", "b.JPG"]
    assert (look.skipped, look.unfinished) == (3, 0)


def test_subfolders_are_searched_on_request_but_the_output_is_not(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "sub/deep/b.jpg", "out/a.jpg", ".git/c.jpg")

    found = names(WatchedFolder(tmp_path, tmp_path / "out", recursive=True))

    assert found == ["a.jpg", "sub/deep/b.jpg"]


def test_photo_that_is_being_written_is_left_until_it_stops_changing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    now = path.stat().st_mtime
    clock = [0.0]
    folder = WatchedFolder(tmp_path, tmp_path / "out", False, lambda: clock[0], lambda: now)
    seen = []

    for moment, size in ((0.0, 1), (1.0, 2), (2.0, 2), (2.9, 2), (3.0, 2)):
        clock[0] = moment
        path.write_bytes(b"x" * size)
        # Both writes have the same timestamp: the observed change counts.
        os.utime(path, (now, now))
        look = folder.look()
        seen.append((len(look.photos), look.unfinished))

    assert seen == [(0, 1), (0, 1), (0, 1), (0, 1), (1, 0)]


def test_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "closed/a.jpg")
    (tmp_path / "closed").chmod(0)
    # Relative to the folder: another user may not enter the folders above.
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)

    with not_root():
        look = WatchedFolder(Path(), Path("out"), recursive=True).look()

    assert look.closed == ("./closed (Permission denied)",)


def test_reopened_journal_has_its_entries(tmp_path: Path) -> None:
    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry(state="sent", job_id="j1"))
        journal.note(an_entry(smile=("huge",), outputs={"image": "a.jpg"}))
        journal.note(an_entry("b.jpg"))

    with Journal.opened(tmp_path) as journal:
        assert journal.entries() == [
            an_entry(smile=("huge",), outputs={"image": "a.jpg"}),
            an_entry("b.jpg"),
        ]


def test_truncated_line_is_skipped(tmp_path: Path) -> None:
    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry())
        journal.note(an_entry("b.jpg"))
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-20])

    with Journal.opened(tmp_path) as journal:
        journal.note(an_entry("c.jpg"))
    with Journal.opened(tmp_path) as journal:
        assert [entry.photo for entry in journal.entries()] == ["a.jpg", "c.jpg"]


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
        journal.note(an_entry(state="failed"))
        assert journal.is_done(found, "r")


def test_csv_has_a_line_for_each_photo_without_formulas_and_json_is_exact(tmp_path: Path) -> None:
    entries = [
        an_entry("=cmd|'x'.jpg", smile=("mild", "none"), rating=0.5),
        an_entry('a, "b".jpg', state="failed", code="unreadable", error="no\nsuch file"),
    ]
    in_csv, in_json = tmp_path / "report.csv", tmp_path / "report.json"

    for path in (in_csv, in_json):
        batch_report.write(path, entries, tmp_path)

    rows = list(csv.DictReader(io.StringIO(in_csv.read_text(), newline="")))
    assert [row["file"] for row in rows] == ["'=cmd|'x'.jpg", 'a, "b".jpg']
    assert rows[0]["smile"] == "mild none"
    assert rows[1]["error"] == "unreadable: no\nsuch file"
    assert [row["file"] for row in json.loads(in_json.read_text())] == [
        *("=cmd|'x'.jpg", 'a, "b".jpg')
    ]
    assert {one.name for one in tmp_path.iterdir()} == {"report.csv", "report.json"}


def damaged(**fields: object) -> str:
    return json.dumps({**dataclasses.asdict(an_entry()), **fields})


@pytest.mark.parametrize(
    "line",
    [
        *(damaged(photo=1), damaged(photo=[]), damaged(bytes="1"), damaged(seconds="1")),
        *(damaged(place=place) for place in (1, None, "", "../EVIL", "/EVIL", "a/../../b", "a\0")),
        damaged(place="\ud800"),
        *(damaged(outputs=[]), damaged(outputs={"image": 1}), damaged(outputs={"image": "../a"})),
        damaged(outputs={"image": "/etc/passwd"}),
        *(damaged(smile="huge"), damaged(smile=[1]), damaged(smile=None)),
        *(damaged(error=["no"]), damaged(state=None)),
        pytest.param("[" * 100_000, id="nested-without-end"),
    ],
)
def test_damaged_line_of_the_journal_is_skipped(tmp_path: Path, line: str) -> None:
    whole = dataclasses.asdict(an_entry("b.jpg", rating=1, outputs={"image": "b.png"}))
    (tmp_path / FILE_NAME).write_text(f"{line}\n{json.dumps(whole)}\n")

    with Journal.opened(tmp_path) as journal:
        assert [entry.photo for entry in journal.entries()] == ["b.jpg"]
