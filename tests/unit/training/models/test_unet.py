import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smart_filter_shared.errors import Conflict, FolderUnreadable, SetupFailed
from smart_filter_tests import drawn_people
from smart_filter_tests.pictures import a_png
from smart_filter_training.models.unet import augmentation, batches, pairs, teaching
from smart_filter_training.models.unet import train as unet
from smart_filter_training.models.unet.batches import PairCache
from smart_filter_training.models.unet.pairs import Example
from smart_filter_training.preflight import Finding

CONFIGURATION = unet.Configuration(validation_share=0.3)


def an_example() -> Example:
    photo, mask = drawn_people.draw_person(np.random.default_rng(0))
    return Example(photo, mask, np.ones(mask.shape, np.bool_))


def write(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values)
    return path


def fatal(folder: Path) -> list[Finding]:
    return [finding for finding in unet.check_data(folder, CONFIGURATION) if finding.fatal]


def test_pairs_are_found_by_source(tmp_path: Path) -> None:
    drawn_people.folder(tmp_path / "portrait", 2)
    write(tmp_path / "faces" / "images" / "alone.jpg", np.zeros((4, 4, 3), np.uint8))
    write(tmp_path / "club" / "images" / "7.png", np.zeros((4, 4, 3), np.uint8))
    write(tmp_path / "club" / "masks" / "7.png", np.zeros((4, 4), np.uint8))

    sources = {pair.name: pair.source for pair in pairs.find_pairs(tmp_path)}

    # A name without a source has the source of its folder.
    assert sources == {"drawn_000": "drawn", "drawn_001": "drawn", "club_7": "club"}


def test_mattes_of_aisegment_are_the_alpha_of_its_cutouts(tmp_path: Path) -> None:
    photo, mask = drawn_people.draw_person(np.random.default_rng(0))
    cut = np.dstack([np.zeros_like(photo), mask])
    write(tmp_path / "clip_img" / "1803" / "clip_00000000" / "1803-0001.jpg", photo)
    write(tmp_path / "matting" / "1803" / "matting_00000000" / "1803-0001.png", cut)

    (pair,) = pairs.find_pairs(tmp_path)

    assert pair.source == "aisegment"
    assert (pairs.read_pair(pair).matte == mask).all()


def test_ignored_pixels_stay_ignored_when_a_photo_shrinks(tmp_path: Path) -> None:
    mask = np.zeros((900, 600), np.uint8)
    mask[300:600] = 255
    mask[600:610] = 128
    write(tmp_path / "images" / "a_1.png", np.zeros((900, 600, 3), np.uint8))
    write(tmp_path / "masks" / "a_1.png", mask)

    read = pairs.read_pair(pairs.find_pairs(tmp_path)[0])

    assert read.srgb.shape == (416, 277, 3)
    assert 4 <= (~read.counted).sum(axis=0).min() <= 6
    assert read.matte[280:, :].max() == 0


def test_both_sides_of_the_split_share_no_person(tmp_path: Path) -> None:
    folder = drawn_people.folder(tmp_path, 20)
    for number in range(20):
        photo = cv2.imread(str(folder / "images" / f"drawn_{number:03}.png"))
        mask = cv2.imread(str(folder / "masks" / f"drawn_{number:03}.png"))
        write(folder / "images" / f"again_{number:03}.png", cv2.add(photo, (9, 9, 9, 0)))
        write(folder / "masks" / f"again_{number:03}.png", mask)

    read = unet.read_folder(folder, CONFIGURATION)

    sides = [{pair.name[-3:] for pair in side.pairs} for side in (read.train, read.validation)]
    assert not sides[0] & sides[1]
    assert len(read.train) + len(read.validation) == 40


def test_missing_corrupt_and_unequal_files_are_found_by_name(tmp_path: Path) -> None:
    with pytest.raises(FolderUnreadable, match="holds neither images/ and masks/ nor"):
        unet.read_folder(tmp_path, CONFIGURATION)
    assert fatal(tmp_path)
    folder = drawn_people.folder(tmp_path, 24)
    assert fatal(folder) == []

    (folder / "masks" / "drawn_000.png").unlink()
    (folder / "images" / "drawn_001.png").write_bytes(b"no picture")
    (folder / "masks" / "drawn_002.png").write_bytes(b"no picture")
    write(folder / "masks" / "drawn_003.png", np.zeros((5, 7), np.uint8))

    findings = fatal(folder)
    assert [Path(finding.where).stem for finding in findings] == [
        f"drawn_00{number}" for number in range(4)
    ]
    assert "is missing" in findings[0].what
    assert "is not a picture" in findings[2].what
    assert "is 7×5 pixels, its photo 72×96" in findings[3].what
    assert all(finding.remedy for finding in findings)


@pytest.mark.parametrize("place", ["images", "masks"])
@pytest.mark.parametrize(
    "content",
    [b"", a_png(60_000, 60_000, pixels=b""), a_png(12_000, 9_000, pixels=b""), None],
    ids=["empty", "huge", "large", "pipe"],
)
def test_empty_and_huge_pictures_and_pipes_are_found(
    tmp_path: Path, place: str, content: bytes | None
) -> None:
    picture = drawn_people.folder(tmp_path, 24) / place / "drawn_003.png"
    picture.unlink()
    if content is None:
        os.mkfifo(picture)
    else:
        picture.write_bytes(content)

    [found] = fatal(tmp_path)

    assert Path(found.where).name == "drawn_003.png"


def test_empty_masks_are_fatal_only_when_all_are_empty(tmp_path: Path) -> None:
    folder = drawn_people.folder(tmp_path, 4)
    empty = np.zeros((96, 72), np.uint8)
    write(folder / "masks" / "drawn_000.png", empty)
    some = {(finding.what, finding.fatal) for finding in unet.check_data(folder, CONFIGURATION)}

    for number in range(1, 4):
        write(folder / "masks" / f"drawn_{number:03}.png", empty)

    assert ("has 1 photos without a person", False) in some
    assert "has no person in any mask" in {finding.what for finding in fatal(folder)}


def test_photo_and_matte_are_framed_alike_and_light_depends_only_on_the_seed() -> None:
    example = an_example()
    both = Example(np.dstack([example.matte] * 3), example.matte, example.counted)

    seen = augmentation.reframe(np.random.default_rng(5), both, 64)
    once, again = (augmentation.relight(np.random.default_rng(3), example.srgb) for _ in range(2))

    # Rounding to whole levels, in the photo and not in the matte.
    assert np.abs(seen.srgb[..., 0] / 255 - seen.matte).max() <= 1 / 255
    assert (once == again).all()


def test_background_contains_no_people_and_needs_room() -> None:
    full = replace(an_example(), matte=np.full((96, 72), 255, np.uint8))

    behind = augmentation.remove_people(an_example())

    assert augmentation.remove_people(full) is None
    assert behind is not None
    # Skin is warm, the drawn backgrounds are cold.
    assert (behind[..., 0].astype(int) <= behind[..., 2]).mean() > 0.97


def test_people_on_a_new_background_keep_their_matte_and_colors() -> None:
    seen, black = augmentation.to_sample(an_example(), 64), np.zeros((30, 30, 3), np.uint8)

    joined = augmentation.replace_background(np.random.default_rng(0), seen, black)

    inside = cv2.erode(seen.matte, np.ones((9, 9))) == 1
    assert np.abs(joined.srgb[inside].astype(int) - seen.srgb[inside]).max() <= 2
    assert joined.matte is seen.matte


def test_full_cache_reads_again_with_the_same_result(tmp_path: Path) -> None:
    read = pairs.find_pairs(drawn_people.folder(tmp_path, 3))
    roomy, narrow = PairCache(read), PairCache(read, max_bytes=0)

    assert roomy.example(1) is roomy.example(1)
    assert narrow.example(1) is not narrow.example(1)
    for roomy_stack, other in zip(
        batches.stack_all(roomy, 32), batches.stack_all(narrow, 32), strict=True
    ):
        assert (roomy_stack == other).all()


def test_unknown_teacher_and_mattes_of_another_teacher_are_refused(tmp_path: Path) -> None:
    (tmp_path / teaching.PROVENANCE).write_text('{"teacher": "selfie", "photos": {}}')

    with pytest.raises(SetupFailed, match="teacher=unknown: expected one of best, classical"):
        teaching.teach(tmp_path, tmp_path / "out", teacher="unknown", weights=tmp_path)
    with pytest.raises(Conflict, match="another teacher's mattes"):
        teaching.teach(tmp_path, tmp_path, teacher="classical", weights=tmp_path)
