import csv
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import FolderUnreadable, SetupFailed
from smart_filter_tests import drawn_eyes, drawn_faces, drawn_people
from smart_filter_tests.pictures import encode
from smart_filter_training import trainable_models
from smart_filter_training.models import eyes, orientation
from smart_filter_training.models.expression import train as expression
from smart_filter_training.models.expression import votes
from smart_filter_training.models.unet import train as unet
from smart_filter_training.trainable_models import ModelCode
from smart_filter_workers.networks.faces.eyes import PATCH_PX as EYE_PX
from smart_filter_workers.networks.orientation import SIZE_PX as SCENE_PX

FACES = expression.Configuration(held_out_share=0.3)
HALF = eyes.Configuration(held_out_share=0.5)
HALF_OF_SCENES = orientation.Configuration(held_out_share=0.5, crops=2)


def scenes(place: Path) -> Path:
    place.mkdir()
    rng = np.random.default_rng(0)
    for number in range(24):
        cv2.imwrite(str(place / f"scene{number:04d}.png"), a_scene(rng))
    return place


def a_scene(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a scene, (120, 160, 3) uint8: a light sky, dark ground, and trees on it."""
    picture = np.empty((120, 160, 3), np.float32)
    horizon = int(rng.integers(45, 75))
    picture[:horizon] = rng.uniform(170, 240, 3)
    picture[horizon:] = rng.uniform(40, 110, 3)
    for _ in range(4):
        x, y = int(rng.integers(0, 160)), int(rng.integers(horizon, 115))
        cv2.rectangle(picture, (x - 2, y - 30), (x + 2, y), (30.0, 60.0, 90.0), -1)
        cv2.circle(picture, (x, y - 32), 11, (30.0, float(rng.uniform(90, 150)), 40.0), -1)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("code", "few", "settings"),
    [
        (expression, lambda place: drawn_faces.folder(place, 60), {"held_out_share": 0.00001}),
        (eyes, lambda place: drawn_eyes.folder(place, 2), {"held_out_share": 0.001}),
        (orientation, scenes, {"held_out_share": 0.00001, "crops": 2}),
        (unet, lambda place: drawn_people.folder(place, 2), {"validation_share": 0.001}),
    ],
    ids=["faces", "eyes", "scenes", "people"],
)
def test_too_few_validation_pictures_are_found_before_a_run_refuses_them(
    tmp_path: Path, code: ModelCode, few: Callable[[Path], Path], settings: dict[str, float]
) -> None:
    folder, configuration = few(tmp_path / "few"), code.Configuration(**settings)

    with pytest.raises(FolderUnreadable, match="too few"):
        code.read_folder(folder, configuration)
    assert "too few" in list(code.check_data(folder, configuration))[-1].what


@pytest.mark.parametrize(
    ("code", "made", "configuration", "count"),
    [
        (expression, lambda place: drawn_faces.folder(place, 60), FACES, 60),
        (eyes, lambda place: drawn_eyes.folder(place, 40), HALF, 80),
        (orientation, scenes, HALF_OF_SCENES, 48),
    ],
    ids=["faces", "eyes", "scenes"],
)
def test_each_picture_is_on_one_side_of_the_split(
    tmp_path: Path,
    code: ModelCode,
    made: Callable[[Path], Path],
    configuration: object,
    count: int,
) -> None:
    folder = made(tmp_path / "data")

    read = code.read_folder(folder, configuration)

    assert len(read.train.names) + len(read.validation.names) == count
    assert not set(read.train.names) & set(read.validation.names)
    assert code.read_folder(folder, configuration).digest == read.digest
    assert not any(finding.fatal for finding in code.check_data(folder, configuration))


@pytest.mark.parametrize(
    ("augment", "crop", "result"),
    [
        (expression.augment, (48, 48), (48, 48, 1)),
        (eyes.augment, (48, 48), (EYE_PX, EYE_PX, 1)),
        (orientation.augment, (orientation.SIDE_PX,) * 2 + (3,), (SCENE_PX, SCENE_PX, 3)),
    ],
    ids=["faces", "eyes", "scenes"],
)
def test_augmentation_depends_only_on_the_seed(
    augment: Callable[..., np.ndarray], crop: tuple[int, ...], result: tuple[int, ...]
) -> None:
    crops = np.random.default_rng(0).integers(0, 255, (8, *crop), dtype=np.uint8)

    first, again, other = (augment(np.random.default_rng(seed), crops) for seed in (1, 1, 2))

    assert first.shape == (8, *result)
    assert 0 <= first.min() <= first.max() <= 255
    assert (first == again).all()
    assert (first != other).any()


def test_crops_without_augmentation_are_only_resized() -> None:
    scene = np.full((1, orientation.SIDE_PX, orientation.SIDE_PX, 3), 51, np.uint8)

    assert (orientation.to_inputs(scene) == 51).all()
    assert eyes.to_inputs(scene[..., 0]) == pytest.approx(np.full((1, EYE_PX, EYE_PX, 1), 0.2))


def test_votes_become_levels_by_either_rule_and_shares_of_emotions() -> None:
    counts = np.zeros((2, 10), np.int64)
    counts[0, [votes.COLUMNS.index(name) for name in ("happiness", "surprise")]] = 3, 5
    counts[:, 8] = 6  # for no emotion

    by_rule = {rule: int(votes.levels(votes.count_smiles(counts, rule))[0]) for rule in votes.RULES}
    shares = votes.to_emotions(counts)

    assert by_rule == {"happiness": 0, "happiness+surprise": 2}
    assert sorted(shares[0])[-2:] == pytest.approx([3 / 8, 5 / 8])
    assert (shares[1] == 1 / 8).all()


def test_published_fer2013_files_and_votes_are_parsed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    usages = ["Training"] * 8 + ["PublicTest"] * 2
    pixels = [" ".join(map(str, rng.integers(0, 256, 48 * 48))) for _ in usages]
    named = [
        [usage, f"fer{number}.png", "5", "5", *["0"] * 8] for number, usage in enumerate(usages)
    ]
    named[3][1] = ""
    write_fer2013(tmp_path, [["0", row] for row in pixels], named)

    crops = votes.read_crops(tmp_path)

    assert crops.names == tuple(f"fer{number}.png" for number in (0, 1, 2, 4, 5, 6, 7))
    assert crops.pictures[0].ravel().tolist() == [int(level) for level in pixels[0].split()]


@pytest.mark.parametrize("row", [["0", ""], ["0", "1 2 3"], ["0", "9" * 23], ["0"]])
def test_row_of_fer2013_without_levels_is_refused(tmp_path: Path, row: list[str]) -> None:
    write_fer2013(tmp_path, [row], [["Training", "fer0.png", "10", *["0"] * 9]])

    with pytest.raises(FolderUnreadable, match="must have the same rows"):
        votes.read_crops(tmp_path)


@pytest.mark.parametrize("malformed", ["11", "-1", "many", "9" * 23, "9" * 5000])
def test_every_row_with_malformed_votes_is_found_by_name(tmp_path: Path, malformed: str) -> None:
    folder = drawn_faces.folder(tmp_path, 60)
    for number in (3, 7):
        change(folder, number, anger=malformed)

    places = [finding.where for finding in expression.check_data(folder, FACES) if finding.fatal]

    assert places == ["drawn00003.png", "drawn00007.png"]
    with pytest.raises(FolderUnreadable, match=r"drawn00003\.png has '.*' votes"):
        expression.read_folder(folder, FACES)


def npy(values: np.ndarray) -> bytes:
    return encode(np, values)


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def npz(member: bytes, name: str = "images.npy") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, member)
    return file.getvalue()


CROPS = npy(np.zeros((20, 48, 48), np.uint8))
HARMS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "flipped bit": lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
    "one array": lambda _: CROPS,
    "pixels short": lambda _: npz(CROPS[:-1]),
    "numbers of another kind": lambda _: npz(npy(np.zeros((20, 48, 48)))),
    "huge header": lambda _: npz(header((10**12, 48, 48))),
    "unknown version": lambda _: npz(b"\x93NUMPY\x09\x00 what is this"),
    "another name": lambda _: npz(b"", name="pictures.npy"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_broken_archive_is_reported_in_one_line(tmp_path: Path, harm: str) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    archive = folder / "drawn.npz"
    archive.write_bytes(HARMS[harm](archive.read_bytes()))

    [finding] = expression.check_data(folder, FACES)

    assert finding.fatal
    assert "drawn.npz" in finding.what
    assert "\n" not in finding.what


def test_folder_without_a_sheet_or_its_labels_is_refused(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    (folder / "drawn.npz").unlink()
    (folder / "drawn.png").write_bytes(b"no picture")

    with pytest.raises(FolderUnreadable, match=r"drawn\.png"):
        votes.read_crops(folder)
    (folder / "drawn_labels.csv").unlink()
    with pytest.raises(FolderUnreadable, match=r"needs one file \*_labels\.csv, has 0"):
        votes.read_crops(folder)


def test_bad_figures_of_rare_levels_are_reported_despite_good_accuracy() -> None:
    # Of 1,000 faces 30 are mild; as many others have their score.
    truth = np.array([0] * 970 + [1] * 30)
    scores = np.concatenate([np.full(935, 0.1), np.full(35, 0.5), np.full(30, 0.5)])

    mild, *_ = expression.choose_thresholds(scores.astype(np.float32), truth)

    assert mild == 0.5


@pytest.mark.parametrize(
    ("model", "setting", "words"),
    [
        ("expression", "epoch=3", "epochs"),
        ("expression", "epochs=few", "number"),
        ("expression", "epochs", "name=value"),
        ("expression", "epochs=0", "above 0"),
        ("expression", "learning_rate=nan", "above 0"),
        ("expression", "dropout=1", "below 1"),
        ("expression", "seed=99999999999999", "below"),
        ("detectron2_faces", "clip=-1", "clip=-1: expected a number 0 or more"),
        ("detectron2_faces", "freeze=-2", "freeze=-2: expected a number -1 or more"),
        ("detectron2_persons", "short_side=1", "short_side is 1: set at least 32"),
    ],
)
def test_wrong_setting_is_refused_with_its_bound(model: str, setting: str, words: str) -> None:
    with pytest.raises(SetupFailed, match=words):
        trainable_models.find_model(model).configure([setting])


def test_settings_are_parsed_by_their_kinds() -> None:
    faces = trainable_models.find_model("expression").configure(
        ["half_precision=false", "epochs=3"]
    )
    people = trainable_models.find_model("unet").configure(["network=residual"])

    assert (faces.half_precision, faces.epochs, people.network) == (False, 3, "residual")


@pytest.fixture
def eye_crops(tmp_path: Path) -> Path:
    return drawn_eyes.folder(tmp_path / "eyes", 40)


def test_eyes_of_one_person_are_on_one_side_of_the_split(eye_crops: Path) -> None:
    persons = [
        ("cew_Al_Leiter_0001_L.jpg", "cew_Al_Leiter_0001_R.jpg"),
        ("cew_Al_Gore_0001_L.jpg",),
        ("cew_closed_eye_0014.jpg_face_2_L.jpg", "cew_closed_eye_0014.jpg_face_2_R.jpg"),
        ("ddd__131.jpg", "ddd__132.jpg"),
        ("ddd__141.jpg",),
    ]

    groups = [{eyes.group_of(f"open/{name}") for name in names} for names in persons]
    read = eyes.read_folder(eye_crops, HALF)

    assert [len(group) for group in groups] == [1] * len(persons)
    assert len(set().union(*groups)) == len(persons)
    train, validation = (
        {eyes.group_of(name) for name in part.names} for part in (read.train, read.validation)
    )
    assert not train & validation


def test_missing_source_is_refused(eye_crops: Path) -> None:
    with pytest.raises(FolderUnreadable, match="no files cew_"):
        eyes.read_crops(eye_crops, only="cew")
    (eye_crops / "closed").rename(eye_crops / "shut")
    with pytest.raises(FolderUnreadable, match="closed is not a folder"):
        eyes.read_crops(eye_crops)


def a_crop(height: int, width: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"no picture", "not a picture"),
        (a_crop(8, 8), "8×8 pixels"),
        (a_crop(20, 90), "90×20 pixels"),
        (None, "is not a file"),
    ],
    ids=["damaged", "small", "narrow", "pipe"],
)
def test_broken_crop_is_named(eye_crops: Path, content: bytes | None, what: str) -> None:
    crop = eye_crops / "open" / "drawn_wrong.png"
    if content is None:
        os.mkfifo(crop)
    else:
        crop.write_bytes(content)

    [finding] = (finding for finding in eyes.check_data(eye_crops, HALF) if finding.fatal)

    assert (finding.where, what in finding.what) == ("open/drawn_wrong.png", True)
    assert finding.remedy


def test_duplicate_crop_and_name_that_is_not_utf8_are_found(eye_crops: Path) -> None:
    same = (eye_crops / "closed" / "drawn_closed-0-0000_R.png").read_bytes()
    (eye_crops / "open" / "drawn_again_1_R.png").write_bytes(same)

    [twice] = (finding for finding in eyes.check_data(eye_crops, HALF) if finding.fatal)
    there = eye_crops / "open" / "drawn_open-0-0003_L.png"
    there.rename(Path(os.fsdecode(os.fsencode(eye_crops / "open") + b"/caf\xe9.png")))
    [unprintable] = (finding for finding in eyes.check_data(eye_crops, HALF) if finding.fatal)

    assert twice.where == "open/drawn_again_1_R.png"
    assert "closed/drawn_closed-0-0000_R.png" in twice.what
    assert r"caf\xe9.png" in unprintable.what
    with pytest.raises(FolderUnreadable, match="not UTF-8"):
        eyes.read_folder(eye_crops, HALF)


def test_open_eye_that_looks_shut_becomes_unknown() -> None:
    closed, opened = np.linspace(0, 0.3, 300), np.linspace(0.6, 1, 300)
    said = np.concatenate([closed, opened, [0.1, 0.1, 0.1, 0.1]]).astype(np.float32)
    is_open = np.arange(len(said)) >= 300

    chosen = eyes.choose_thresholds(said, is_open)

    assert chosen.shut_below == pytest.approx(0.1)
    assert chosen.open_above > 0.3


@pytest.fixture
def upright(tmp_path: Path) -> Path:
    return scenes(tmp_path / "photos")


def test_folders_of_images_are_read_without_their_masks(upright: Path) -> None:
    photos = sorted(upright.glob("*.png"))
    for photo, place in zip(photos, ("images", "masks"), strict=False):
        (upright / "portrait" / place).mkdir(parents=True)
        photo.rename(upright / "portrait" / place / "a.png")

    assert [path.parent.name for path in orientation.list_photos(upright)] == ["images"]


def test_crop_near_a_head_is_not_clear_of_it() -> None:
    face = (100.0, 100.0, 200.0, 200.0)

    assert not orientation.is_clear_of((150, 210, 300, 300), [face])
    assert orientation.is_clear_of((0, 240, 300, 300), [face])
    assert orientation.is_clear_of((0, 0, 300, 300), [])


def test_damaged_photo_is_named(upright: Path) -> None:
    (upright / "scene0003.png").write_bytes(b"no picture")

    findings = orientation.check_data(upright, HALF_OF_SCENES)

    assert [finding.where for finding in findings] == ["scene0003.png"]


def test_photos_too_small_for_crops_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((20, 20, 3), np.uint8))

    with pytest.raises(FolderUnreadable, match="no photo with room"):
        orientation.read_folder(tmp_path, HALF_OF_SCENES)
    assert "has 3 of photos" in " ".join(
        finding.what for finding in orientation.check_data(tmp_path, HALF_OF_SCENES)
    )


def test_threshold_rotates_hardly_any_upright_scene() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([3, 1, 1, 1], 4000).astype(np.float32)
    never_wrong = np.tile(np.array([[0.7, 0.1, 0.1, 0.1]], np.float32), (50, 1))

    threshold = orientation.choose_threshold(shares)

    harmed = (shares.argmax(axis=1) != 0) & (shares.max(axis=1) >= threshold)
    assert 0 < harmed.mean() <= 0.005
    assert orientation.choose_threshold(never_wrong) <= 0.7


def change(folder: Path, number: int, **values: str) -> None:
    labels = folder / "drawn_labels.csv"
    with labels.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[number] |= values
    write_csv(labels, list(rows[0]), [list(row.values()) for row in rows])


def write_fer2013(
    folder: Path, pixels: Sequence[Sequence[str]], named: Sequence[Sequence[str]]
) -> None:
    write_csv(folder / votes.PIXELS, ["emotion", "pixels"], pixels)
    write_csv(folder / votes.VOTES, ["Usage", "Image name", *votes.COLUMNS], named)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
