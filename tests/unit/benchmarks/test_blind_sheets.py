import json
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from benchmarks import blind_sheets
from benchmarks.blind_sheets import Answer, Entry
from click.testing import CliRunner

PHOTOS, VARIANTS = [f"photo-{number}" for number in range(10)], ["today", "before", "best"]


def test_every_photo_of_every_variant_has_one_sheet() -> None:
    entries = blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=7)

    assert [entry.sheet for entry in entries] == [f"{number:03}" for number in range(1, 31)]
    shown = {(entry.photo, entry.variant) for entry in entries}
    assert shown == {(photo, variant) for photo in PHOTOS for variant in VARIANTS}


def test_order_is_the_seeds_and_says_nothing_of_the_variants() -> None:
    entries = blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=7)

    assert entries == blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=7)
    assert entries != blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=8)
    assert {entry.variant for entry in entries[:10]} == set(VARIANTS)
    assert [entry.photo for entry in entries] != sorted(entry.photo for entry in entries)


def test_answers_are_counted_by_variant() -> None:
    entries = [
        Entry("001", "a", "today"),
        Entry("002", "a", "before"),
        Entry("003", "b", "before"),
        Entry("004", "b", "today"),
        Entry("005", "c", "today"),
    ]
    answers = [
        Answer("001", post=True, spoiled_by=()),
        Answer("002", post=False, spoiled_by=("leftover", "halo")),
        Answer("003", post=True, spoiled_by=()),
        Answer("004", post=True, spoiled_by=()),
    ]

    rows = list(blind_sheets.count_answers(entries, answers))

    assert rows == [
        ("today", "2 of 2 = 100% (34% to 100%)", "1", ""),
        ("before", "1 of 2 = 50% (9% to 91%)", "0", "leftover 1, halo 1"),
    ]


def test_interval_is_wilsons() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 and 15 of 148.
    assert blind_sheets.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert blind_sheets.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)


def test_answers_are_read_from_csv() -> None:
    text = 'sheet,post,spoiled_by\n001,Yes,\n002,no,"Halo, limb"\n003,,\n'

    assert blind_sheets.read_answers(text) == [
        Answer("001", post=True, spoiled_by=()),
        Answer("002", post=False, spoiled_by=("halo", "limb")),
    ]
    with pytest.raises(click.ClickException, match="sheet 001: 'perhaps' is neither yes nor no"):
        blind_sheets.read_answers("sheet,post,spoiled_by\n001,perhaps,\n")


def test_crops_lie_on_the_outline_inside_the_photo() -> None:
    alpha = np.zeros((100, 80), np.uint8)
    alpha[30:, 20:60] = 255

    places = blind_sheets.place_crops(alpha, 6)

    assert len(places) == 6
    assert all(y == 30 or x in (20, 59) for x, y in places)
    assert blind_sheets.place_crops(np.zeros_like(alpha), 6) == []


def test_judges_folder_shows_no_variant(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    cutout = np.full((60, 80, 4), 90, np.uint8)
    cutout[..., 3] = 0
    cutout[20:, 20:60, 3] = 255
    cv2.imwrite(str(photos / "a.png"), cutout[..., :3])
    for name in VARIANTS:
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.smart-filter.cutout.png"), cutout)
        cv2.imwrite(str(tmp_path / name / "a.smart-filter.jpg"), cutout[..., :3])
    variants = [f"--variant={name}={tmp_path / name}" for name in VARIANTS]

    CliRunner().invoke(
        blind_sheets.main, ["make", str(photos), str(out), *variants], catch_exceptions=False
    )

    assert sorted(path.name for path in (out / "sheets").iterdir()) == [
        "001.png",
        "002.png",
        "003.png",
        "answers.csv",
    ]
    assert (out / "sheets" / "answers.csv").read_text().split() == [
        "sheet,post,spoiled_by",
        "001,,",
        "002,,",
        "003,,",
    ]
    key = json.loads((out / "key.json").read_text())
    assert {entry["variant"] for entry in key} == set(VARIANTS)
    sheet = cv2.imread(str(out / "sheets" / "001.png"))
    assert (sheet == blind_sheets.MAGENTA).all(axis=-1).any()
