import json
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from benchmarks import blind_sheets
from benchmarks.blind_sheets import Answer, Entry, Verdict
from click.testing import CliRunner

PHOTOS, VARIANTS = [f"photo-{number}" for number in range(10)], ["today", "before", "best"]


def test_order_is_the_seeds_and_says_nothing_of_the_variants() -> None:
    entries = blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=7)

    assert entries == blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=7)
    assert entries != blind_sheets.shuffle_entries(PHOTOS, VARIANTS, seed=8)
    assert {entry.variant for entry in entries[:10]} == set(VARIANTS)
    assert [entry.photo for entry in entries] != sorted(entry.photo for entry in entries)


def answer(
    sheet: str, verdict: Verdict, fault: str = "", *, easy: bool = True, changed: bool = True
) -> Answer:
    return Answer(sheet, verdict, is_easy=easy, is_changed=changed, fault=fault)


def test_answers_are_counted_by_variant() -> None:
    entries = [
        Entry("001", "a", "today"),
        Entry("002", "a", "before"),
        Entry("003", "b", "before"),
        Entry("004", "b", "today"),
        Entry("005", "c", "today"),
    ]
    answers = [
        answer("001", Verdict.POST),
        answer("002", Verdict.NO, "leftover"),
        answer("003", Verdict.MAYBE, "halo", easy=False),
        answer("004", Verdict.POST, changed=False),
    ]

    rows = list(blind_sheets.count_answers(entries, answers))

    assert rows == [
        ("before", "all (2)", "0", "1", "1", "0% to 66%", "leftover 1, halo 1"),
        ("before", "easy (1)", "0", "0", "1", "0% to 79%", "leftover 1"),
        ("before", "hard (1)", "0", "1", "0", "0% to 79%", "halo 1"),
        ("before", "changed (2)", "0", "1", "1", "0% to 66%", "leftover 1, halo 1"),
        ("today", "all (2)", "2", "0", "0", "34% to 100%", ""),
        ("today", "easy (2)", "2", "0", "0", "34% to 100%", ""),
        ("today", "changed (1)", "1", "0", "0", "21% to 100%", ""),
    ]


def test_interval_is_wilsons() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 and 15 of 148.
    assert blind_sheets.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert blind_sheets.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)


def test_answers_are_read_from_csv() -> None:
    header = "sheet,verdict,difficulty,background,class,fault\n"
    text = '001,Post,easy,CHANGED,,\n002,no,HARD,unchanged,Halo,"a dark rim, wide"\n003,,,,,\n'

    assert blind_sheets.read_answers(header + text) == [
        answer("001", Verdict.POST),
        answer("002", Verdict.NO, "halo", easy=False, changed=False),
    ]
    with pytest.raises(click.ClickException, match="sheet 001: 'PERHAPS', 'EASY', 'CHANGED'"):
        blind_sheets.read_answers(header + "001,perhaps,easy,changed,,\n")


def test_judges_folder_shows_no_variant(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    photo = np.full((60, 80, 3), 90, np.uint8)
    cv2.imwrite(str(photos / "a.png"), photo)
    for name in VARIANTS:
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.jpg"), photo + 100)
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
        "sheet,verdict,difficulty,background,class,fault",
        "001,,,,,",
        "002,,,,,",
        "003,,,,,",
    ]
    key = json.loads((out / "key.json").read_text())
    assert {entry["variant"] for entry in key} == set(VARIANTS)
    sheet = cv2.imread(str(out / "sheets" / "001.png"))
    assert sheet.shape == (480, 640 + blind_sheets.GAP_PX + 640, 3)
    assert np.abs(sheet[:, :640].astype(int) - 90).max() <= 2
    assert np.abs(sheet[:, -640:].astype(int) - 190).max() <= 2
