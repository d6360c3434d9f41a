import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.errors import FolderUnreadable, SetupFailed
from smart_filter_tests.annotated_pictures import (
    FACE_SRGB,
    DrawnPicture,
    coco_document,
    dataturks_line,
    draw_picture,
    write_folder,
)
from smart_filter_training.annotations import outlines, pictures, splits
from smart_filter_training.annotations.marks import AnnotationFile, InvalidMark, Mark, Runs
from smart_filter_training.annotations.splits import SplitOptions, Splits
from smart_filter_training.models.detectron2 import configuration, detector
from smart_filter_training.models.detectron2.configuration import Configuration
from smart_filter_training.models.detectron2.detector import Batches
from smart_filter_training.preflight import MAX_FINDINGS_PER_REMEDY, Finding, limit_findings
from smart_filter_workers.networks.detectron2 import configs


@pytest.fixture
def drawn() -> DrawnPicture:
    return draw_picture("one.png", 0)


@pytest.fixture
def folder(tmp_path: Path, drawn: DrawnPicture) -> Path:
    Image.fromarray(drawn.srgb).save(tmp_path / drawn.name)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return tmp_path


def read(folder: Path, document: dict[str, Any]) -> AnnotationFile:
    (folder / "annotations.json").write_text(json.dumps(document))
    return splits.read_file(folder / "annotations.json", folder)


def read_lines(folder: Path, *lines: str) -> AnnotationFile:
    (folder / "lines.jsonl").write_text("\n".join(lines))
    return splits.read_file(folder / "lines.jsonl", folder)


def wrong(sheet: AnnotationFile) -> str:
    (finding,) = sheet.findings
    return f"{finding.where} {finding.what}: {finding.remedy}"


def test_coco_and_dataturks_mark_the_same_faces(folder: Path, drawn: DrawnPicture) -> None:
    as_coco, as_lines = (
        read(folder, coco_document([drawn])),
        read_lines(folder, json.dumps(dataturks_line(drawn))),
    )

    assert (as_coco.findings, as_lines.findings) == ((), ())
    faces = [mark for mark in as_coco.pictures[0].marks if mark.label == "face"]
    assert len(faces) == len(drawn.faces)
    for mark, other in zip(faces, as_lines.pictures[0].marks, strict=True):
        assert other.label == "face"
        assert other.box == pytest.approx(mark.box)


NO_BOX = "bbox is not four numbers"


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("bbox", [0, 0, 500, 10], "box lies outside of the picture of 128×96"),
        ("bbox", [10, 10, 0, 5], "box is empty"),
        *(("bbox", value, NO_BOX) for value in ([math.nan, 0, 5, 5], None, [0, 0, 10**400, 5])),
        ("category_id", 99, "has no listed category"),
        ("image_id", 99, "has no listed picture"),
        ("id", None, "has no whole number as its id"),
        ("segmentation", [[0, 0, 1, 1]], "no three corners"),
        ("segmentation", [[0, 0, 5, 5, 9, math.inf]], "a value that is not a number"),
        ("segmentation", [[0, 0, 5, 5, 900, 9]], "outline lies outside"),
        ("segmentation", "all of it", "neither polygons nor run lengths"),
        ("segmentation", {"size": [9, 9], "counts": [81]}, "another size than 128×96"),
        ("segmentation", {"size": [96, 128], "counts": [81]}, "do not cover 128×96 pixels"),
        ("segmentation", {"size": [96, 128], "counts": "é"}, "letter that is not COCO's"),
        ("segmentation", {"size": [96, 128], "counts": "P"}, "end in the middle"),
        ("segmentation", {"size": [96, 128], "counts": None}, "neither a list nor text"),
    ],
)
def test_wrong_annotation_is_found_and_left_out(
    folder: Path, drawn: DrawnPicture, field: str, value: object, why: str
) -> None:
    document = coco_document([drawn])
    document["annotations"][0][field] = value

    sheet = read(folder, document)

    assert why in wrong(sheet)
    assert len(sheet.pictures[0].marks) == len(document["annotations"]) - 1


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("file_name", "gone.png", "gone.png is not in the folder"),
        *(
            ("file_name", name, "not a path below the folder")
            for name in ("../one.png", "/etc/passwd", "C:\\one.png", "one.png\0", ".")
        ),
        ("file_name", "a" * 5000, "is not a name of a file"),
        ("file_name", "", "has no file_name"),
        ("width", 0, "width or height that is not a number of pixels"),
    ],
)
def test_wrong_picture_is_reported_once(
    folder: Path, drawn: DrawnPicture, field: str, value: object, why: str
) -> None:
    document = coco_document([drawn])
    document["images"][0][field] = value

    sheet = read(folder, document)

    assert why in wrong(sheet)
    assert sheet.pictures == ()


def test_repeated_number_is_found(folder: Path, drawn: DrawnPicture) -> None:
    document = coco_document([drawn])
    document["annotations"].append(document["annotations"][0])

    sheet = read(folder, document)

    assert "annotation 1 occurs 2 times" in wrong(sheet)
    assert len(sheet.pictures[0].marks) == len(document["annotations"]) - 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"images": []}', "[" * 100_000, "\ufeff{}"])
def test_malformed_coco_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations.json").write_text(text)

    with pytest.raises(FolderUnreadable) as error:
        splits.read_file(tmp_path / "annotations.json", tmp_path)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"content": "https://example.org/a/gone.png"}, "gone.png, which is not in the folder"),
        ({"content": "http://[/one.png"}, "is not an address"),
        ({"content": None}, "has no content"),
        ({"content": "broken.png", "annotation": []}, "is not a picture"),
        ({"annotation": [7]}, "not a list of marks"),
        ({"annotation": [{"imageWidth": [1], "imageHeight": {}}]}, "do not agree on imageWidth"),
        ({"content": "\ud800\n.png"}, r"names \ud800\n.png, which is not in the folder"),
    ],
)
def test_wrong_line_is_found(
    folder: Path, drawn: DrawnPicture, change: dict[str, Any], why: str
) -> None:
    assert why in wrong(read_lines(folder, json.dumps(dataturks_line(drawn) | change)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": []}, "has no label"),
        ({"points": [{"x": 0.1, "y": 0.1}]}, "no two points"),
        ({"points": [{"x": 0.1, "y": None}, {"x": 0.2, "y": 0.2}]}, "not two numbers"),
        ({"points": [{"x": 0.1, "y": 0.1}, {"x": 1.9, "y": 0.2}]}, "outside of the picture"),
        ({"points": [{"x": 0.1, "y": 0.1}, {"x": 0.1, "y": 0.1}]}, "box is empty"),
    ],
)
def test_wrong_mark_of_a_line_is_left_out(
    folder: Path, drawn: DrawnPicture, change: dict[str, Any], why: str
) -> None:
    document = dataturks_line(drawn)
    document["annotation"][0] |= change

    sheet = read_lines(folder, json.dumps(document))

    assert why in wrong(sheet)
    assert "lines.jsonl, line 1" in wrong(sheet)
    assert len(sheet.pictures[0].marks) == len(drawn.faces) - 1


def test_line_that_is_not_json_does_not_affect_the_others(
    folder: Path, drawn: DrawnPicture
) -> None:
    without_marks = json.dumps({"content": drawn.name, "annotation": None})

    sheet = read_lines(folder, without_marks, "", "not this", "")

    assert "lines.jsonl, line 3 is not JSON" in wrong(sheet)
    assert [(picture.width, picture.height, picture.marks) for picture in sheet.pictures] == [
        (128, 96, ())
    ]


def test_mark_is_parsed_from_its_box_or_run_lengths() -> None:
    # Each letter: five bits, the lowest first, and whether more follow; from the fourth run on, the
    # difference from the run two before.
    letters = "5\\9X1kFPn05"

    inside = outlines.draw(Mark("face", (1, 2, 4, 3)), width=6, height=5)

    assert (inside.sum(), inside[2, 1:4].all()) == (3, True)
    assert outlines.parse_runs(letters, 1364, 1) == Runs((5, 300, 40, 7, 1000, 12))
    with pytest.raises(InvalidMark, match="do not cover 10×10 pixels"):
        outlines.parse_runs([50, 49], 10, 10)


FACES = SplitOptions(labels=("face",))


@pytest.fixture
def two_splits(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "data", train=3, validation=2)


def test_file_is_split_alike_in_any_order(tmp_path: Path) -> None:
    drawings = [draw_picture(f"{seed}.png", seed) for seed in range(12)]
    for drawn in drawings:
        Image.fromarray(drawn.srgb).save(tmp_path / drawn.name)
    (tmp_path / "a.json").write_text(json.dumps(coco_document(drawings)))
    first = splits.read_splits(tmp_path, FACES)

    (tmp_path / "a.json").write_text(json.dumps(coco_document(drawings[::-1])))
    second = splits.read_splits(tmp_path, FACES)

    assert {picture.path for picture in first.validation} == {
        picture.path for picture in second.validation
    }
    assert 0 < len(first.validation) < len(first.train)


def test_same_picture_on_both_sides_is_found(two_splits: Path) -> None:
    copied = (two_splits / "images" / "val_1000.png").read_bytes()
    (two_splits / "images" / "train_1.png").write_bytes(copied)

    [finding] = splits.check_data(two_splits, FACES)

    assert finding.what == "looks like train_1.png, which is on the other side of the split"


def test_corrupt_and_mismatched_pictures_are_found(two_splits: Path) -> None:
    (two_splits / "images" / "train_1.png").write_bytes(b"no picture")
    Image.new("RGB", (50, 40)).save(two_splits / "images" / "train_2.png")

    faults = {finding.where: finding.what for finding in splits.check_data(two_splits, FACES)}

    assert "cannot be decoded" in faults["train_1.png"]
    assert "50×40 pixels upright, and annotated as 128×96" in faults["train_2.png"]
    for picture in splits.read_splits(two_splits, FACES).train[1:]:
        with pytest.raises(FolderUnreadable):
            pictures.load(picture)


def test_missing_label_is_found_and_refused(two_splits: Path) -> None:
    where = SplitOptions(labels=("unicorn",))

    with pytest.raises(FolderUnreadable, match="has no unicorn marked in its 3 pictures"):
        splits.read_splits(two_splits, where)
    assert [finding.fatal for finding in splits.check_data(two_splits, where)] == [True, True]


def test_faults_below_the_limit_do_not_stop_a_run(two_splits: Path) -> None:
    sheet = two_splits / "annotations" / "instances_train.json"
    document = json.loads(sheet.read_text())
    document["annotations"][0]["bbox"] = [0, 0, 0, 0]
    sheet.write_text(json.dumps(document))
    lenient = SplitOptions(labels=("face",), most_faults=1)

    with pytest.raises(FolderUnreadable, match="its box is empty"):
        splits.read_splits(two_splits, FACES)
    assert len(splits.read_splits(two_splits, lenient).train) == 3
    assert [finding.fatal for finding in splits.check_data(two_splits, lenient)] == [False]


@pytest.mark.parametrize(
    ("names", "why"),
    [((), "holds no annotations"), (("a.json", "b.json"), "holds a.json, b.json: choose")],
)
def test_ambiguous_folder_is_refused(tmp_path: Path, names: tuple[str, ...], why: str) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")

    with pytest.raises(FolderUnreadable, match=why):
        splits.read_splits(tmp_path, FACES)


def test_pipe_is_not_a_file_of_annotations(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")

    with pytest.raises(FolderUnreadable, match="is not a file"):
        splits.find_files(tmp_path)


def test_findings_of_the_same_kind_are_counted() -> None:
    alike = [Finding(f"{number}.png", "is damaged", "get it again") for number in range(50)]

    kept = limit_findings([*alike, Finding("x", "is empty", "add some", fatal=False)])

    assert len(kept) == MAX_FINDINGS_PER_REMEDY + 2
    assert kept[MAX_FINDINGS_PER_REMEDY].what == "30 more like these"


SMALL = Configuration(batch_size=3, short_side=64, long_side=96)


@pytest.fixture
def faces(tmp_path: Path) -> Splits:
    folder = write_folder(tmp_path / "data", train=4, validation=1)
    return splits.read_splits(folder, splits.SplitOptions.read(SMALL, "face"))


def of(faces: Splits, config: Configuration = SMALL) -> Batches:
    return Batches(faces.train, faces.labels, config, order="RGB", masks=False)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("weights", ["", "start.pkl"])
@pytest.mark.parametrize("architecture", ["faster_rcnn", "mask_rcnn", "retinanet"])
def test_network_is_one_that_the_product_admits(
    architecture: str, weights: str, depth: int
) -> None:
    text = configuration.to_yaml(Configuration(depth=depth, weights=weights), architecture, 1)

    document = configs.parse(text, "made here")

    configs.check(document, "made here")
    assert not set(document) & set(configs.TRAINING_KEYS)
    with pytest.raises(SetupFailed, match="'yolo' is an unknown architecture"):
        configuration.to_yaml(Configuration(), "yolo", 1)


def test_random_backbone_is_never_frozen_by_default() -> None:
    pretrained = Configuration(weights="start.pkl")

    frozen = [
        config.frozen_stages
        for config in (
            *(Configuration(), Configuration(freeze=3), pretrained),
            dataclasses.replace(pretrained, freeze=0),
        )
    ]

    assert frozen == [0, 3, 2, 0]


@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_follow_the_augmented_objects(faces: Splits, mirrored: bool) -> None:  # noqa: FBT001 - a case
    example = detector.make_example(
        faces.train[0],
        faces.labels,
        short_side_px=48,
        long_side_px=64,
        is_mirrored=mirrored,
        masks=False,
    )

    assert example.srgb.shape == (48, 64, 3)
    for left, top, right, bottom in example.boxes:
        middle = example.srgb[int((top + bottom) / 2), int((left + right) / 2)].astype(np.int64)
        assert np.abs(middle - FACE_SRGB).max() < 3


def test_batch_depends_only_on_the_seed_and_its_number(faces: Splits) -> None:
    other_seed = dataclasses.replace(SMALL, seed=1)

    first, again, other = (
        [(example.srgb.tobytes(), example.boxes.tobytes()) for example in examples]
        for examples in (
            of(faces).examples(5),
            of(faces).examples(5),
            of(faces, other_seed).examples(5),
        )
    )

    assert first == again
    assert first != other
