"""`smart-filter eval` and `compare` on folders: figures and pictures."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smart_filter_shared.config import paths
from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import PHOTO
from smart_filter_workers import images
from smart_filter_workers.results import Srgb8

# The astronaut's face and right eye, in pixels: left, top, right, bottom.
FACE = (175, 55, 270, 190)
EYE = (187, 86, 220, 119)
SMALL_MASK = images.encode_png(np.zeros((100, 200), np.uint8)).content


@pytest.fixture
def command(
    weights_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("SMART_FILTER_DATA", str(weights_folder.parent))
    assert paths.data_folder() == weights_folder.parent
    return Command(capsys)


def astronaut() -> Srgb8:
    return images.decode(PHOTO.read_bytes()).srgb


def part(box: tuple[int, int, int, int]) -> Srgb8:
    left, top, right, bottom = box
    return np.ascontiguousarray(astronaut()[top:bottom, left:right])


def write(path: Path, pixels: Srgb8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_png(pixels).content)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of one photo, with a rough mask of head and shoulders."""
    write(tmp_path / "images" / "her.png", astronaut())
    mask = np.zeros((512, 512), np.uint8)
    cv2.ellipse(mask, (225, 150), (100, 140), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (220, 512), (220, 290), 0, 0, 360, 255, -1)
    write(tmp_path / "masks" / "her.png", mask)
    return tmp_path


def measured(command: Command, task: str, data: Path, *arguments: str) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = command("eval", task, "--data", str(data), *arguments)["models"]
    return models


def test_segmentation_measures_the_default_model_before_the_named_ones(
    command: Command, masks: Path
) -> None:
    page = masks / "page.html"

    report = command(
        *("eval", "segmentation", "--data", str(masks), "--models", "selfie", "--html", str(page))
    )

    assert (report["task"], report["data"], report["count"]) == ("segmentation", str(masks), 1)
    names = [model["name"] for model in report["models"]]
    assert names[0] != "selfie"
    assert names[1:] == ["selfie"]
    for model in report["models"]:
        assert list(model["metrics"]) == ["iou", "boundary_f", "mad"]
        assert 0.7 < model["metrics"]["iou"] < 1
        assert 0 < model["metrics"]["mad"] < 0.25
        assert model["cpu_ms"] > 1
        assert 20 < model["peak_mb"] < 2000
    written = page.read_text()
    assert "her.png" in written
    assert written.count("data:image/jpeg;base64,") == 4 * len(names)
    assert "http" not in written


@pytest.mark.slow
def test_default_output_is_a_table(command: Command, masks: Path) -> None:
    page = masks / "page.html"

    said = command.output("eval", "segmentation", "--data", str(masks), "--html", str(page))

    assert "IoU" in said
    assert f"pictures: {page}" in said


@pytest.mark.slow
def test_face_is_found_at_its_place(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "images" / "her.png", astronaut())
    left, top, right, bottom = FACE
    box = {"x": left, "y": top, "w": right - left, "h": bottom - top, "ignore": False}
    boxes = {"her.png": {"width": 512, "height": 512, "boxes": [box]}}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))

    (model,) = measured(command, "face", tmp_path)

    assert model["metrics"] == {"precision": 1, "recall": 1, "f1": 1}


@pytest.mark.slow
def test_smile_of_a_crop_is_rated(command: Command, tmp_path: Path) -> None:
    gray = cv2.cvtColor(cv2.resize(part(FACE), (48, 48)), cv2.COLOR_RGB2GRAY)
    np.savez(tmp_path / "fer.npz", images=np.stack([gray, np.zeros_like(gray)]))
    (tmp_path / "fer_labels.csv").write_text("Image name,level\na.png,huge\nb.png,none\n")

    (model,) = measured(command, "smile", tmp_path)

    assert (model["metrics"]["accuracy"], model["metrics"]["auc"]) == (1, 1)
    assert sum(map(sum, model["confusion"]["counts"])) == 2


@pytest.mark.slow
def test_open_eye_is_recognized_in_its_crop(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "open" / "eye.png", part(EYE))
    # Skin without an eye, which is not open.
    write(tmp_path / "closed" / "cheek.png", part((200, 138, 218, 156)))

    (model,) = measured(command, "eyes", tmp_path)

    assert model["confusion"]["counts"][1][1] == 1
    assert model["metrics"]["accuracy"] >= 0.5


@pytest.mark.slow
def test_upright_photo_is_rotated_by_every_quarter(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "her.png", astronaut())

    (model,) = measured(command, "orientation", tmp_path)

    # She stands upright; the three other orientations have a quarter each.
    metrics = model["metrics"]
    assert metrics["harmed"] == 0
    assert metrics["accuracy"] in {0.25, 0.5, 0.75, 1}
    assert metrics["accuracy"] + metrics["abstained"] <= 1


@pytest.mark.parametrize(
    ("command_line", "why"),
    [
        ("segmentation --models magic --data {masks}", "selfie"),
        ("segmentation --models classical --set classical.magic=1 --data {masks}", ".blur"),
        ("segmentation --models classical --set classical.blur=much --data {masks}", "is not"),
        ("segmentation --data {empty}", "{empty}/images"),
        ("face --data {empty}", "boxes.json"),
        ("smile --data {empty}", "_labels.csv"),
        ("eyes --data {empty}", "{empty}/open"),
    ],
)
def test_missing_model_parameter_or_folder_is_wrong_usage(
    command: Command, masks: Path, tmp_path: Path, command_line: str, why: str
) -> None:
    folders = {"masks": masks, "empty": tmp_path / "empty"}
    folders["empty"].mkdir()

    said = command.usage_error("eval", *command_line.format(**folders).split())

    assert why.format(**folders) in said


@pytest.mark.parametrize(
    ("folder", "content", "why"),
    [
        ("masks", None, "her.png"),
        pytest.param("masks", SMALL_MASK, "200×100", marks=pytest.mark.slow),
        pytest.param("images", b"no picture", "her.png", marks=pytest.mark.slow),
    ],
    ids=["no mask", "small mask", "no photo"],
)
def test_mismatched_photo_or_mask_is_named(
    command: Command, masks: Path, folder: str, content: bytes | None, why: str
) -> None:
    path = masks / folder / "her.png"
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    assert why in command.usage_error("eval", "segmentation", "--data", str(masks))


@pytest.mark.slow
def test_tiers_are_compared_with_masks_and_on_sheets(
    command: Command, masks: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (masks / "images" / "him.png").write_bytes((masks / "images" / "her.png").read_bytes())
    (masks / "images" / "him.jpg").write_bytes((masks / "images" / "her.png").read_bytes())
    folder = tmp_path_factory.mktemp("of") / "sheets"

    report = command("eval", "segmentation", "--data", str(masks), "--tiers", str(folder))

    assert (report["photos"], report["masks"]) == (3, 1)
    assert [tier["edge"] for tier in report["tiers"]] == ["fast", "balanced", "best"]
    assert all(0.7 < tier["iou"] < 1 for tier in report["tiers"])
    assert all(0 < tier["near_edge"] < 0.5 < tier["cpu_ms"] for tier in report["tiers"])
    sheets = sorted(path.name for path in folder.iterdir())
    assert sheets == ["her.png.png", "him.jpg.png", "him.png.png"]


@pytest.mark.slow
def test_tiers_say_that_the_best_one_had_no_network_of_its_own(
    command: Command, masks: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("of") / "sheets"

    said = command.output("eval", "segmentation", "--data", str(masks), "--tiers", str(folder))

    assert "edge=best ran without BiRefNet: smart-filter models pull best" in said


@pytest.mark.parametrize(
    ("sheets", "why"),
    [("images", "is in --data"), ("images/new", "is in --data"), (".", "is not empty")],
)
def test_sheets_never_replace_photos(command: Command, masks: Path, sheets: str, why: str) -> None:
    photos = masks / "images"
    before = (photos / "her.png").read_bytes()

    said = command.usage_error(
        *("eval", "segmentation", "--data", str(photos), "--tiers", str(masks / sheets))
    )

    assert why in said
    assert [path.read_bytes() for path in photos.iterdir()] == [before]


def test_tiers_are_of_segmentation_alone(command: Command, masks: Path) -> None:
    tiers = ("--data", str(masks), "--tiers", str(masks / "sheets"))

    assert "--tiers takes" in command.usage_error("eval", "face", *tiers)
    assert "--tiers takes" in command.usage_error(
        "eval", "segmentation", *tiers, "--models", "selfie"
    )


@pytest.mark.slow
def test_compare_draws_one_sheet_of_several_models(command: Command, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"

    report = command("compare", str(PHOTO), "--models", "people,selfie", "-o", str(sheet))

    assert (report["photo"], report["sheet"]) == (str(PHOTO), str(sheet))
    assert [(model["name"], model["error"]) for model in report["models"]] == [
        ("people", None),
        ("selfie", None),
    ]
    assert all(0.2 < model["people_share"] < 0.9 for model in report["models"])
    drawn = images.decode(sheet.read_bytes())
    assert drawn.format == "jpg"
    # The photo and two models next to each other.
    assert drawn.srgb.shape[1] > 3 * 512


def test_compare_refuses_a_sheet_that_is_not_a_picture(command: Command, tmp_path: Path) -> None:
    sheet = str(tmp_path / "sheet.gif")

    assert ".png or .jpg" in command.usage_error(
        "compare", str(PHOTO), "--models", "selfie", "-o", sheet
    )
