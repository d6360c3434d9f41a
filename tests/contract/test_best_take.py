"""The best take of a burst of two people, each with closed eyes in another shot."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import best_shot as bursts

from smart_filter_shared import best_shot
from smart_filter_workers import images
from smart_filter_workers.best_take import alignment, compose, seams
from smart_filter_workers.best_take.compose import Head, Shot, compose_take
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def reader(weights_folder: Path) -> bursts.Reader:
    return bursts.Reader(weights_folder)


@pytest.fixture(scope="module")
def couple() -> Srgb8:
    """A woman on the left, a man on the right: (512, 924, 3) sRGB."""
    woman, man = (
        images.decode((DATA / name).read_bytes()).srgb
        for name in ("astronaut.png", "grace_hopper.jpg")
    )
    height = woman.shape[0]
    width = round(man.shape[1] * height / man.shape[0])
    small = cv2.resize(man, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.hstack([woman, small]), np.uint8)


def shot_of(reader: bursts.Reader, srgb: Srgb8, item: int = 0) -> Shot:
    _, faces, smiles = reader.read(srgb)
    size = srgb.shape[1], srgb.shape[0]
    faults = best_shot.measure_faces(faces.faces, smiles, size=size)
    heads = [
        Head(faces.faces[index], smiles.eyes[index], fault)
        for index, fault in zip(best_shot.list_counted(faces.faces), faults, strict=True)
    ]
    return Shot(item, lambda: srgb, tuple(heads))


def closed(reader: bursts.Reader, srgb: Srgb8, person: int) -> Srgb8:
    portrait = bursts.read_portrait(reader, srgb)
    assert portrait is not None
    single = bursts.Portrait(
        srgb, portrait.faces, portrait.meshes[person : person + 1], True, False
    )
    return bursts.close_eyes(single)


def moved(srgb: Srgb8, *, degrees: float = 0.3, shift: tuple[float, float] = (6, -4)) -> Srgb8:
    """Return a shot as a hand moves the camera."""
    size = srgb.shape[1], srgb.shape[0]
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, 1)
    turn[:, 2] += shift
    return np.asarray(cv2.warpAffine(srgb, turn, size, borderMode=cv2.BORDER_REFLECT), np.uint8)


@pytest.mark.parametrize(
    ("degrees", "shift", "gain"),
    [(0.3, (6, -4), 1.0), (-1.5, (-20, 12), 1.0), (0.0, (3, 3), 0.88), (0.5, (8, 0), 1.1)],
)
def test_each_person_has_the_face_with_open_eyes(
    reader: bursts.Reader, couple: Srgb8, degrees: float, shift: tuple[float, float], gain: float
) -> None:
    base = closed(reader, couple, 0)
    other = moved(closed(reader, couple, 1), degrees=degrees, shift=shift)
    other = np.clip(other * gain, 0, 255).astype(np.uint8)

    take, report = compose_take([shot_of(reader, base, 4), shot_of(reader, other, 2)])

    assert [(swap.person, swap.item, swap.reason) for swap in report.swaps] == [
        (1, 2, "the eyes are open")
    ]
    assert (report.base, report.notes, report.fallback) == (4, (), None)
    assert [person.items for person in report.people] == [(4, 2), (4, 2)]
    assert [head.openness for head in shot_of(reader, take).heads] == [1.0, 1.0]
    assert np.array_equal(take[:, 462:], base[:, 462:])
    # A burnt highlight keeps its level, which the mean allows.
    assert np.abs(take[:, :462].astype(int) - couple[:, :462]).mean() < 2.5


def test_chosen_face_is_used_and_the_base_can_be_chosen(
    reader: bursts.Reader, couple: Srgb8
) -> None:
    shots = [
        shot_of(reader, closed(reader, couple, 0), 0),
        shot_of(reader, moved(closed(reader, couple, 1)), 1),
    ]

    take, report = compose_take(shots, {1: 0, 2: 1})

    assert [(swap.person, swap.item, swap.reason) for swap in report.swaps] == [
        (2, 1, "it was chosen")
    ]
    assert all(head.openness < 0.5 for head in shot_of(reader, take).heads)


def test_shot_of_another_scene_is_not_used(reader: bursts.Reader, couple: Srgb8) -> None:
    base = closed(reader, couple, 0)
    spots = np.random.default_rng(5).integers(0, 256, (64, 120, 3), np.uint8)
    other = cv2.resize(spots, base.shape[1::-1], interpolation=cv2.INTER_CUBIC)

    take, report = compose_take([shot_of(reader, base, 0), shot_of(reader, np.asarray(other), 1)])

    assert report.swaps == ()
    assert np.array_equal(take, base)
    assert report.notes == (f"Photo 2 was not used: {alignment.OTHER_SCENE}.",)
    assert report.fallback == f"No other photo could be used: {alignment.OTHER_SCENE}."


def test_camera_that_moved_far_is_named(reader: bursts.Reader, couple: Srgb8) -> None:
    shots = [
        shot_of(reader, closed(reader, couple, 0), 0),
        shot_of(reader, moved(couple, degrees=0, shift=(260, 0)), 1),
    ]

    _, report = compose_take(shots)

    assert report.fallback == f"No other photo could be used: {alignment.MOVED_CAMERA}."


def test_head_that_moved_too_far_is_not_used(reader: bursts.Reader, couple: Srgb8) -> None:
    apart = couple.copy()
    # Her head, 120 pixels farther to the right: more than her neck allows.
    apart[20:190, 260:430] = couple[20:190, 140:310]
    apart[20:190, 140:260] = couple[20:190, 20:140]
    shots = [shot_of(reader, closed(reader, couple, 0), 0), shot_of(reader, apart, 1)]

    _, report = compose_take(shots)

    assert report.swaps == ()
    assert report.fallback == compose.MOVED_PEOPLE


def test_head_before_another_background_does_not_fit(reader: bursts.Reader, couple: Srgb8) -> None:
    base = closed(reader, couple, 0)
    shot = shot_of(reader, base, 0)
    x, y, width, height = (round(length) for length in shot.heads[0].face.box)
    head = np.zeros(couple.shape[:2], np.uint8)
    cv2.circle(head, (x + width // 2, y + height // 2), round(0.7 * width), 255, -1)
    # A bright coat is behind her.
    other = couple.copy()
    around = (slice(0, y + 2 * height), slice(max(0, x - width), x + 2 * width))
    other[around][head[around] == 0] = (250, 210, 40)

    take, report = compose_take([shot, shot_of(reader, other, 1)])

    assert np.array_equal(take, base)
    assert report.notes == (f"Person 1 in photo 2: {seams.UNFIT}.",)
    assert report.fallback == f"No better face fits: person 1 in photo 2: {seams.UNFIT}."


def test_base_that_is_best_stays(reader: bursts.Reader, couple: Srgb8) -> None:
    shots = [shot_of(reader, couple, 0), shot_of(reader, moved(closed(reader, couple, 0)), 1)]

    _, report = compose_take(shots)

    assert report.fallback == compose.ALREADY_BEST


def test_single_shot_is_returned_with_a_reason(reader: bursts.Reader, couple: Srgb8) -> None:
    take, report = compose_take([shot_of(reader, couple)])

    assert np.array_equal(take, couple)
    assert (report.swaps, report.fallback) == ((), compose.ONE_SHOT)


def test_gray_face_is_not_put_on_a_colored_head(reader: bursts.Reader, couple: Srgb8) -> None:
    base = closed(reader, couple, 0)
    gray = np.dstack([cv2.cvtColor(couple, cv2.COLOR_RGB2GRAY)] * 3)

    take, report = compose_take([shot_of(reader, base, 0), shot_of(reader, gray, 1)])

    assert np.array_equal(take, base)
    assert report.swaps == ()
