from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import pytest

from smart_filter_shared.recipe import PersonSelection
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_workers.results import Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.person_selection import (
    select_persons,
)

WIDTH, HEIGHT = 640, 480
# Each side of the photo, as the shares of its columns and rows that a crop of a tenth leaves.
CROPS: Final = {
    "left": (0.1, 0, 1, 1),
    "right": (0, 0, 0.9, 1),
    "top": (0, 0.1, 1, 1),
    "bottom": (0, 0, 1, 0.9),
    "all sides": (0.05, 0.05, 0.95, 0.95),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn person: the middle of the feet, and the height, in pixels of the photo.

    hidden_px: height that another figure hides from below.  face: the distance of its eyes as a
    share of its side; 0 for none.  blur_px: how unsharp the figure is.
    """

    x: int
    feet: int
    height: int
    hidden_px: int = 0
    face: float = 0.4
    blur_px: int = 0

    @property
    def box(self) -> tuple[int, int, int, int]:
        half = round(self.height * 0.15)
        return self.x - half, self.feet - self.height, self.x + half, self.feet - self.hidden_px

    @property
    def seen_face(self) -> Face:
        side = self.height / 7
        middle = (self.x, self.feet - self.height + 0.7 * side)
        eyes = [(self.x + way * self.face * side / 2, middle[1]) for way in (-1, 1)]
        box = (middle[0] - side / 2, middle[1] - side / 2, side, side)
        return Face(box, 0.9, (*eyes, middle, middle, middle))


NEAR = Figure(320, 470, 440)
PAIR = (Figure(220, 470, 420), Figure(420, 470, 380))
PASSER_BY = Figure(560, 300, 130, face=0)
FRONT_ROW = tuple(Figure(x, 460, 200) for x in (140, 320, 500))
BACK_ROW = tuple(Figure(x, 400, 200, hidden_px=140) for x in (160, 330, 480))


def see(*figures: Figure) -> tuple[PreparedPhoto, People]:
    """Return the photo of some figures, drawn in their order, and their mattes."""
    photo = noise(HEIGHT, WIDTH) // 4
    mattes: list[Matte8] = []
    for figure in figures:
        left, top, right, bottom = figure.box
        area = np.s_[max(0, top) : bottom, max(0, left) : right]
        look = noise(HEIGHT, WIDTH)
        photo[area] = (cv2.blur(look, (figure.blur_px,) * 2) if figure.blur_px else look)[area]
        for matte in mattes:
            matte[area] = 0
        mattes.append(np.zeros((HEIGHT, WIDTH), np.uint8))
        mattes[-1][area] = 255
    faces = tuple(figure.seen_face for figure in figures if figure.face)
    people = People(np.maximum.reduce(mattes), tuple(mattes))
    return replace(prepared_photo(photo), proposals=faces), people


def select(wanted: PersonSelection, *figures: Figure) -> set[int]:
    """Return the places, from 1, of the figures that stay."""
    photo, people = see(*figures)
    return set(select_persons(people, wanted, photo))


def crop(
    photo: PreparedPhoto, people: People, shares: tuple[float, float, float, float]
) -> tuple[PreparedPhoto, People]:
    left, top, right, bottom = (
        round(share * side) for share, side in zip(shares, (WIDTH, HEIGHT) * 2, strict=True)
    )
    area = np.s_[top:bottom, left:right]
    srgb: Srgb8 = np.ascontiguousarray(photo.proxy_srgb[area])
    faces = tuple(
        replace(face, box=(face.box[0] - left, face.box[1] - top, *face.box[2:]))
        for face in photo.proposals
    )
    assert people.persons is not None
    persons = tuple(np.ascontiguousarray(person[area]) for person in people.persons)
    return replace(prepared_photo(srgb), proposals=faces), People(people.matte[area], persons)


def encode_badly(photo: PreparedPhoto) -> PreparedPhoto:
    _, jpeg = cv2.imencode(".jpg", photo.proxy_srgb, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return replace(photo, proxy_srgb=np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8))


@pytest.mark.parametrize(
    ("figures", "main"),
    [
        ([NEAR, PASSER_BY], {1}),
        ([*PAIR, PASSER_BY], {1, 2}),
        ([*BACK_ROW, *FRONT_ROW], {1, 2, 3, 4, 5, 6}),
        # As large as the passer-by, and looks at the camera with the others.
        ([*PAIR, replace(PASSER_BY, height=220, face=0.4)], {1, 2, 3}),
        ([replace(NEAR, x=200), Figure(480, 470, 380, face=0, blur_px=25)], {1}),
        ([replace(NEAR, height=300), Figure(20, 470, 290, face=0)], {1}),
        # A leg that the model took for a person.
        ([NEAR, replace(NEAR, height=90, face=0)], {1, 2}),
        # A child on the arm.
        ([NEAR, Figure(340, 280, 110)], {1, 2}),
        ([replace(NEAR, hidden_px=290), Figure(404, 250, 120, face=0)], {1, 2}),
        ([replace(NEAR, hidden_px=290), Figure(440, 250, 120, face=0)], {1}),
    ],
    ids=[
        "passer-by",
        "pair",
        "group",
        "small one who looks at the camera",
        "unsharp",
        "at the side, from behind",
        "part of a person",
        "child on the arm",
        "without a face, touching",
        "without a face, apart",
    ],
)
def test_main_persons_are_those_whom_the_photo_is_of(figures: list[Figure], main: set[int]) -> None:
    assert select(PersonSelection.MAIN, *figures) == main


@pytest.mark.parametrize(
    ("figures", "front"),
    [
        ([*BACK_ROW, *FRONT_ROW], {4, 5, 6}),
        (PAIR, {1, 2}),
        ([NEAR, PASSER_BY], {1}),
        ([NEAR, replace(PASSER_BY, x=100, feet=470, height=280)], {1, 2}),
        ([NEAR, Figure(540, 470, 280)], {1}),
        ([NEAR, Figure(340, 280, 110)], {1, 2}),
        ([Figure(320, 400, 200), Figure(560, 470, 280, face=0, blur_px=25)], {1}),
    ],
    ids=[
        "rows",
        "pair",
        "feet higher",
        "child without a face",
        "smaller face",
        "on the arm",
        "out of focus in the foreground",
    ],
)
def test_front_persons_are_nearest_to_the_camera(figures: list[Figure], front: set[int]) -> None:
    assert select(PersonSelection.FRONT, *figures) == front


@pytest.mark.parametrize("wanted", [PersonSelection.MAIN, PersonSelection.FRONT])
@pytest.mark.parametrize(
    "figures",
    [[NEAR, PASSER_BY], [*PAIR, PASSER_BY], [*BACK_ROW, *FRONT_ROW]],
    ids=["one", "pair", "rows"],
)
@pytest.mark.parametrize("side", [*CROPS, "encoding"])
def test_selected_persons_stay_the_same_in_a_crop_and_another_encoding(
    wanted: PersonSelection, figures: list[Figure], side: str
) -> None:
    photo, people = see(*figures)
    expected = set(select_persons(people, wanted, photo))

    if side == "encoding":
        photo = encode_badly(photo)
    else:
        photo, people = crop(photo, people, CROPS[side])

    assert set(select_persons(people, wanted, photo)) == expected


@pytest.mark.parametrize("wanted", [PersonSelection.MAIN, PersonSelection.FRONT])
def test_photo_without_a_person_keeps_none(wanted: PersonSelection) -> None:
    empty = np.zeros((HEIGHT, WIDTH), np.uint8)
    photo = prepared_photo(noise(HEIGHT, WIDTH))

    assert select_persons(People(empty, ()), wanted, photo) == {}
    assert select_persons(People(empty, (empty, empty)), wanted, photo) == {}
