"""Which annotated pictures train and which validate, and what is wrong with a folder of them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_tests.annotated import coco, drawn, folder_of
from smart_filter_training.annotations import splits
from smart_filter_training.annotations.splits import Where

FACES = Where(labels=("face",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "data", train=3, validation=2)


def test_files_called_train_and_val_are_the_splits(folder: Path) -> None:
    found = splits.read(folder, FACES)

    assert {one.path.name for one in found.train} == {f"train_{n}.png" for n in range(3)}
    assert {one.path.name for one in found.validation} == {"val_1000.png", "val_1001.png"}
    assert list(splits.findings(folder, FACES)) == []


def test_one_file_is_parted_alike_whatever_its_order(tmp_path: Path) -> None:
    drawings = [drawn(f"{seed}.png", seed) for seed in range(12)]
    for one in drawings:
        Image.fromarray(one.srgb).save(tmp_path / one.name)
    (tmp_path / "a.json").write_text(json.dumps(coco(drawings)))
    first = splits.read(tmp_path, FACES)

    (tmp_path / "a.json").write_text(json.dumps(coco(drawings[::-1])))
    second = splits.read(tmp_path, FACES)

    assert {one.path for one in first.validation} == {one.path for one in second.validation}
    assert 0 < len(first.validation) < len(first.train)


def test_digest_changes_with_a_picture(folder: Path) -> None:
    before = splits.read(folder, FACES).digest

    Image.fromarray(drawn("train_0.png", 99).srgb).save(folder / "images" / "train_0.png")

    assert splits.read(folder, FACES).digest != before


def test_same_picture_on_both_sides_is_found(folder: Path) -> None:
    copied = (folder / "images" / "val_1000.png").read_bytes()
    (folder / "images" / "train_1.png").write_bytes(copied)

    [finding] = splits.findings(folder, FACES)

    assert finding.what == "looks like train_1.png, which is on the other side of the split"


def test_corrupt_and_mismatched_pictures_are_found(folder: Path) -> None:
    (folder / "images" / "train_1.png").write_bytes(b"no picture")
    Image.new("RGB", (50, 40)).save(folder / "images" / "train_2.png")

    found = {one.where: one.what for one in splits.findings(folder, FACES)}

    assert "cannot be decoded" in found["train_1.png"]
    assert "50×40 pixels upright, and annotated as 128×96" in found["train_2.png"]


def test_missing_label_is_found_and_refused(folder: Path) -> None:
    where = Where(labels=("unicorn",))

    with pytest.raises(FolderUnreadable, match="has no unicorn marked in its 3 pictures"):
        splits.read(folder, where)
    assert [one.fatal for one in splits.findings(folder, where)] == [True, True]


def test_faults_below_the_limit_do_not_stop_a_run(folder: Path) -> None:
    sheet = folder / "annotations" / "instances_train.json"
    told = json.loads(sheet.read_text())
    told["annotations"][0]["bbox"] = [0, 0, 0, 0]
    sheet.write_text(json.dumps(told))
    lenient = Where(labels=("face",), most_faults=1)

    with pytest.raises(FolderUnreadable, match="its box is empty"):
        splits.read(folder, FACES)
    assert len(splits.read(folder, lenient).train) == 3
    assert [one.fatal for one in splits.findings(folder, lenient)] == [False]


@pytest.mark.parametrize(
    ("names", "why"),
    [((), "holds no annotations"), (("a.json", "b.json"), "holds a.json, b.json: say which")],
)
def test_ambiguous_folder_is_refused(tmp_path: Path, names: tuple[str, ...], why: str) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")

    with pytest.raises(FolderUnreadable, match=why):
        splits.read(tmp_path, FACES)
