"""`smart-filter eval` and `compare`, as people use them: folders in, figures and pictures out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smart_filter_workers import images
from smart_filter_workers.results import Srgb8

ASTRONAUT = Path(__file__).parent.parent / "data" / "astronaut.png"
VARIABLE = "SMART_FILTER_EVAL_DATA"
# Where the astronaut's face and her right eye are, in pixels: left, top, right, bottom.
FACE = (175, 55, 270, 190)
EYE = (187, 86, 220, 119)

pytestmark = pytest.mark.usefixtures("weights_folder")


def smart_filter(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smart_filter_deploy.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


def evaluated(*arguments: object) -> dict[str, Any]:
    ended = smart_filter("eval", *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def refused(*arguments: object) -> str:
    """Return the one line that tells why a command line is wrong."""
    ended = smart_filter(*arguments)
    assert ended.returncode == 2, (ended.stdout, ended.stderr)
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def astronaut() -> Srgb8:
    return images.decode(ASTRONAUT.read_bytes()).srgb


def part(box: tuple[int, int, int, int]) -> Srgb8:
    left, top, right, bottom = box
    return np.ascontiguousarray(astronaut()[top:bottom, left:right])


def write(path: Path, pixels: Srgb8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_png(pixels).content)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of one photo, whose mask is her head and shoulders, roughly."""
    write(tmp_path / "images" / "her.png", astronaut())
    mask = np.zeros((512, 512), np.uint8)
    cv2.ellipse(mask, (225, 150), (100, 140), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (220, 512), (220, 290), 0, 0, 360, 255, -1)
    write(tmp_path / "masks" / "her.png", mask)
    return tmp_path


def test_segmentation_measures_the_default_first_and_then_what_is_named(masks: Path) -> None:
    told = evaluated("segmentation", "--data", masks, "--models", "selfie")

    assert (told["task"], told["data"], told["count"]) == ("segmentation", str(masks), 1)
    names = [model["name"] for model in told["models"]]
    assert names[0] != "selfie"
    assert names[1:] == ["selfie"]
    for model in told["models"]:
        assert list(model["metrics"]) == ["iou", "boundary_f", "mad"]
        assert 0.7 < model["metrics"]["iou"] < 1
        assert 0 < model["metrics"]["mad"] < 0.25
        assert 1 < model["cpu_ms"] < 10_000
        assert 20 < model["peak_mb"] < 2000


def test_page_holds_its_pictures(masks: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    ended = smart_filter("eval", "segmentation", "--data", masks, "--html", page)

    assert ended.returncode == 0, ended.stderr
    assert "IoU" in ended.stdout
    written = page.read_text()
    assert "her.png" in written
    assert written.count("data:image/jpeg;base64,") == 4
    assert "http" not in written


def test_face_is_found_where_it_is(tmp_path: Path) -> None:
    write(tmp_path / "images" / "her.png", astronaut())
    left, top, right, bottom = FACE
    box = {"x": left, "y": top, "w": right - left, "h": bottom - top, "ignore": False}
    boxes = {"her.png": {"width": 512, "height": 512, "boxes": [box]}}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))

    (model,) = evaluated("face", "--data", tmp_path)["models"]

    assert model["metrics"] == {"precision": 1, "recall": 1, "f1": 1}


def test_smile_of_a_crop_is_rated(tmp_path: Path) -> None:
    grey = cv2.cvtColor(cv2.resize(part(FACE), (48, 48)), cv2.COLOR_RGB2GRAY)
    np.savez(tmp_path / "fer.npz", images=np.stack([grey, np.zeros_like(grey)]))
    (tmp_path / "fer_labels.csv").write_text("Image name,level\na.png,huge\nb.png,none\n")

    told = evaluated("smile", "--data", tmp_path)

    (model,) = told["models"]
    assert told["count"] == 2
    assert model["metrics"]["accuracy"] == 1
    assert model["metrics"]["auc"] == 1
    assert sum(map(sum, model["confusion"]["counts"])) == 2


def test_open_eye_is_read_off_its_crop(tmp_path: Path) -> None:
    write(tmp_path / "open" / "eye.png", part(EYE))
    # Skin without an eye, which is not open.
    write(tmp_path / "closed" / "cheek.png", part((200, 138, 218, 156)))

    (model,) = evaluated("eyes", "--data", tmp_path)["models"]

    assert model["confusion"]["counts"][1][1] == 1
    assert model["metrics"]["accuracy"] >= 0.5


def test_upright_photo_is_turned_by_every_quarter(tmp_path: Path) -> None:
    write(tmp_path / "her.png", astronaut())

    told = evaluated("orientation", "--data", tmp_path)

    assert told["count"] == 1
    # She stands upright, and whatever else is said of her is one quarter each.
    metrics = told["models"][0]["metrics"]
    assert metrics["harmed"] == 0
    assert metrics["accuracy"] in {0.25, 0.5, 0.75, 1}
    assert metrics["accuracy"] + metrics["abstained"] <= 1


def test_unknown_model_is_told_with_what_there_is(masks: Path) -> None:
    told = refused("eval", "segmentation", "--data", masks, "--models", "magic")

    assert "'magic'" in told
    assert "selfie" in told


def test_parameter_that_no_model_has_is_told_with_those_there_are(masks: Path) -> None:
    command = ("eval", "segmentation", "--data", masks, "--models", "classical")

    assert "classical.blur" in refused(*command, "--set", "classical.magic=1")
    assert "is not" in refused(*command, "--set", "classical.blur=much")


def test_parameter_changes_what_is_measured(masks: Path) -> None:
    command = ("segmentation", "--data", masks, "--models", "classical")
    bound = ("--set", "classical.use_default=false", "--set", "classical.min_area=0.9")

    as_it_is, bounded = (evaluated(*command, *more)["models"][1] for more in ((), bound))

    assert bounded["parameters"] == {"use_default": False, "min_area": 0.9}
    # Nothing in the photo fills nine tenths of it.
    assert as_it_is["metrics"] != bounded["metrics"]


def test_folder_without_pictures_is_told(tmp_path: Path) -> None:
    assert str(tmp_path / "images") in refused("eval", "segmentation", "--data", tmp_path)
    assert "boxes.json" in refused("eval", "face", "--data", tmp_path)
    assert "_labels.csv" in refused("eval", "smile", "--data", tmp_path)
    assert str(tmp_path / "open") in refused("eval", "eyes", "--data", tmp_path)


def test_missing_mask_is_told(masks: Path) -> None:
    (masks / "masks" / "her.png").unlink()

    assert "her.png" in refused("eval", "segmentation", "--data", masks)


def test_mask_of_another_size_is_told(masks: Path) -> None:
    write(masks / "masks" / "her.png", np.zeros((100, 200), np.uint8))

    assert "200×100" in refused("eval", "segmentation", "--data", masks)


def test_photo_that_is_none_is_told(masks: Path) -> None:
    (masks / "images" / "her.png").write_bytes(b"no picture")

    assert "her.png" in refused("eval", "segmentation", "--data", masks)


def test_compare_draws_one_sheet_of_several_models(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"

    ended = smart_filter("compare", ASTRONAUT, "--models", "people,selfie", "-o", sheet, "--json")

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["photo"], told["sheet"]) == (str(ASTRONAUT), str(sheet))
    assert [(one["name"], one["error"]) for one in told["models"]] == [
        ("people", None),
        ("selfie", None),
    ]
    assert all(0.2 < one["people_share"] < 0.9 for one in told["models"])
    drawn = images.decode(sheet.read_bytes())
    assert drawn.format == "jpg"
    # The photo and two models beside each other.
    assert drawn.srgb.shape[1] > 3 * 512


def test_compare_refuses_what_is_no_picture(tmp_path: Path) -> None:
    told = refused("compare", ASTRONAUT, "--models", "selfie", "-o", tmp_path / "sheet.gif")

    assert ".png or .jpg" in told


def test_few_real_portraits_are_cut_out_as_well_as_the_card_says() -> None:
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder of photos with known masks")

    told = evaluated("segmentation", "--data", Path(folder) / "portrait", "--limit", 8)

    assert told["count"] == 8
    assert told["models"][0]["metrics"]["iou"] > 0.9
