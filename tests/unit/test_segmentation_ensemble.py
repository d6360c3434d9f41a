from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_tests.pictures import a_figure, noise, prepared
from smart_filter_workers.results import Face, Matte8, Prepared, Srgb8
from smart_filter_workers.stages.segmentation.agreement import joined
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.classical import CARD as CLASSICAL
from smart_filter_workers.stages.segmentation.models.classical import Classical
from smart_filter_workers.stages.segmentation.models.ensemble import CARD, Ensemble
from smart_filter_workers.stages.segmentation.models.grabcut import CARD as GRABCUT
from smart_filter_workers.stages.segmentation.models.grabcut import GrabCut
from smart_filter_workers.stages.segmentation.strokes import (
    Stroke,
    draw_strokes,
    parse_box,
    parse_strokes,
)

PHOTO = prepared(noise(40, 60))


def a_matte(left: int, right: int) -> Matte8:
    """Return a matte of 40 × 60 pixels that is whole from one column to another."""
    matte = np.zeros((40, 60), np.uint8)
    matte[:, left:right] = 255
    return matte


def others(found: Mapping[str, People]) -> Callable[[str], Segmenter]:
    """Return where to get models that see these people in every photo."""
    return lambda name: lambda batch: [found[name] for _ in batch]


def of_two(one: People, other: People, **given: Scalar) -> People:
    ensemble = Ensemble(others({"people": one, "selfie": other}))
    members: dict[str, Scalar] = {"members": "people,selfie"}
    (people,) = ensemble([PHOTO], parameters=CARD.completed({**members, **given}))
    return people


def alone(left: int, right: int) -> People:
    return People(a_matte(left, right), persons=None)


UNSURE, SURE = (alone(0, 20), alone(10, 30)), (alone(0, 20), alone(0, 20))


@pytest.mark.parametrize(
    ("weights", "levels"), [("", [128, 255, 128, 0]), ("3, 2", [204, 255, 51, 0])]
)
def test_two_members_are_joined_by_their_weights(weights: str, levels: list[int]) -> None:
    matte = of_two(*UNSURE, weights=weights).matte

    assert matte[0, [5, 15, 25, 35]].tolist() == levels


@pytest.mark.parametrize(
    ("mattes", "weights", "expected"),
    [
        ([a_matte(0, 20), a_matte(0, 10), a_matte(0, 30)], [1, 1, 1], a_matte(0, 20)),
        ([a_matte(0, 20), a_matte(10, 60)], [1, 0], a_matte(0, 20)),
        ([noise(40, 60)[..., 0]] * 3, [0.1, 7, 0.3], noise(40, 60)[..., 0]),
    ],
    ids=["most of three decide", "no weight does not count", "agreed levels stay"],
)
def test_mattes_are_joined(mattes: list[Matte8], weights: list[float], expected: Matte8) -> None:
    assert np.array_equal(joined(mattes, weights), expected)


@pytest.mark.parametrize("weights", ["1,1,1", "0,0"])
def test_weights_that_fit_no_members_are_refused(weights: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        of_two(alone(0, 20), alone(0, 20), weights=weights)


@pytest.mark.parametrize(
    ("members", "given", "confidence", "needs_review", "stronger"),
    [
        (UNSURE, {}, 1 / 3, True, None),
        (SURE, {}, 1, False, None),
        ((alone(0, 0), alone(0, 0)), {}, 1, False, None),
        ((alone(0, 20), alone(30, 50)), {"agreement": 0.0}, 0, False, None),
        (UNSURE, {"below": "escalate", "stronger": "detectron2"}, 1 / 3, True, "detectron2"),
        (UNSURE, {"below": "escalate", "stronger": ""}, 1 / 3, True, None),
        (SURE, {"below": "escalate", "stronger": "x"}, 1, False, None),
    ],
    ids=[
        *("unsure", "sure", "no people", "threshold of 0", "unsure and escalated"),
        *("unsure without a stronger model", "sure and not escalated"),
    ],
)
def test_overlap_of_members_decides_about_a_review_and_the_stronger_model(
    members: tuple[People, People],
    given: dict[str, Scalar],
    confidence: float,
    stronger: str | None,
    *,
    needs_review: bool,
) -> None:
    people = of_two(*members, **given)

    assert people.confidence == pytest.approx(confidence)
    assert (people.needs_review, people.stronger) == (needs_review, stronger)


def test_confidence_of_three_members_is_the_mean_over_their_pairs() -> None:
    ensemble = Ensemble(others({"a": alone(0, 20), "b": alone(0, 20), "c": alone(10, 30)}))

    (people,) = ensemble([PHOTO], parameters=CARD.completed({"members": "a, b,c"}))

    assert people.confidence == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert people.matte[0, 5] == 255
    assert people.matte[0, 25] == 0


def test_persons_are_those_of_the_first_member_that_separates_them() -> None:
    two = People(a_matte(0, 40), persons=(a_matte(0, 20), a_matte(20, 40)))

    people = of_two(alone(0, 50), two)

    assert people.persons is not None
    left, right = people.persons
    assert left[0, 10] == 255
    assert right[0, 45] == 128, "pixels of the other member alone go to the nearest person"
    assert np.array_equal(left + right, people.matte)


def test_persons_are_unknown_when_no_member_separates_them() -> None:
    assert of_two(*SURE).persons is None
    assert of_two(People(a_matte(0, 0), persons=()), alone(0, 0)).persons == ()


def test_batch_is_joined_photo_by_photo() -> None:
    def first(batch: Sequence[Prepared]) -> list[People]:
        return [alone(number, number + 10) for number in range(len(batch))]

    found = Ensemble(lambda _: first)([PHOTO, PHOTO, PHOTO], parameters=CARD.completed({}))

    assert [int(people.matte[0].argmax()) for people in found] == [0, 1, 2]


WALL = (214, 210, 202)


def cut_out(srgb: Srgb8, **given: Scalar) -> People:
    (people,) = Classical()([prepared(srgb)], parameters=CLASSICAL.completed(given))
    return people


def a_wall_with(*boxes: tuple[int, int, int, int]) -> Srgb8:
    """Return a wall of 400 × 400 pixels with dark boxes: x, y, width, height."""
    picture = np.full((400, 400, 3), WALL, np.uint8)
    for x, y, width, height in boxes:
        picture[y : y + height, x : x + width] = 20
    return picture


def test_figure_before_a_plain_wall_is_filled() -> None:
    matte = cut_out(a_figure()).matte

    assert matte[160, 180] == 255, "the face, which has no edges inside"
    assert matte[470, 180] == 255, "the jacket, which the picture cuts off"
    assert matte[100, 40] == 0, "the wall"


@pytest.mark.parametrize(("bound", "small", "large"), [("min_area", 0, 255), ("max_area", 255, 0)])
def test_shape_outside_of_the_bounds_of_area_is_left_out(
    bound: str, small: int, large: int
) -> None:
    matte = cut_out(a_wall_with((50, 50, 40, 40), (200, 200, 120, 120)), **{bound: 0.05}).matte

    assert (matte[70, 70], matte[260, 260]) == (small, large)


@pytest.mark.parametrize(
    ("given", "same_as"),
    [
        ({"use_default": True, "min_area": 0.9, "blur": 1, "erode": 60}, {}),
        # An even kernel counts as the next odd one.
        ({"blur": 20, "smooth": 10}, {"blur": 21, "smooth": 11}),
    ],
    ids=["use_default", "even kernels"],
)
def test_parameters_that_mean_the_same_give_the_same_matte(
    given: dict[str, Scalar], same_as: dict[str, Scalar]
) -> None:
    one, other = cut_out(a_figure(), **given), cut_out(a_figure(), **same_as)

    assert np.array_equal(one.matte, other.matte)


FIGURE = prepared(a_figure())
FACE = Face(box=(125.0, 90.0, 110.0, 140.0), score=0.9, landmarks=((0.0, 0.0),) * 5)
HEIGHT, WIDTH = FIGURE.proxy_srgb.shape[:2]
NOBODY = np.zeros((HEIGHT, WIDTH), np.uint8)


def seeing(matte: Matte8) -> Callable[[str], Segmenter]:
    """Return where to get models that all see this matte."""

    def see(batch: Sequence[Prepared]) -> list[People]:
        return [People(matte, persons=None) for _ in batch]

    return lambda _: see


def a_rough_matte() -> Matte8:
    """Return a matte of the figure that is some pixels too narrow at the head."""
    matte = NOBODY.copy()
    matte[85:240, 124:236] = 255
    matte[300:, 76:284] = 255
    return matte


def grabbed(photo: Prepared, matte: Matte8, **given: Scalar) -> Matte8:
    (people,) = GrabCut(seeing(matte))([photo], parameters=GRABCUT.completed(given))
    return people.matte


def test_strokes_are_read() -> None:
    assert parse_strokes("keep 120,80 140,95; remove 10,10 50,50") == (
        Stroke(keep=True, points=((120, 80), (140, 95))),
        Stroke(keep=False, points=((10, 10), (50, 50))),
    )


STROKES_FORM, BOX_FORM = r"keep 120,80 140,95; remove 10,10 50,50", "a box x,y,width,height"
WRONG_STROKES = "keep|keep 1|keep 1,2 3|draw 1,2|keep 1,2;;|keep -1,2|keep 1,2 remove 3,4"
WRONG_BOXES = "1,2,3|1,2,3,0|a,b,c,d|1,2,3,4,5|-1,2,3,4"


@pytest.mark.parametrize(
    ("parse", "text", "form"),
    [
        *((parse_strokes, text, STROKES_FORM) for text in WRONG_STROKES.split("|")),
        *((parse_box, text, BOX_FORM) for text in WRONG_BOXES.split("|")),
    ],
)
def test_malformed_text_is_refused_with_its_form(
    parse: Callable[[str], object], text: str, form: str
) -> None:
    with pytest.raises(ValueError, match=form):
        parse(text)


def test_card_refuses_a_long_text_of_strokes_quickly() -> None:
    with pytest.raises(ValueError, match="strokes such as"):
        GRABCUT.parameter("strokes").read("keep 1,1" + " 1,1" * 900 + "!")


def test_strokes_are_drawn_in_pixels_of_the_photo() -> None:
    photo = replace(FIGURE, width=WIDTH * 10, height=HEIGHT * 10)

    keep, remove = draw_strokes(
        parse_strokes("keep 1000,500 2000,500"), photo, (HEIGHT, WIDTH), brush_px=60
    )

    rows, columns = np.nonzero(keep)
    assert abs(rows.mean() - 50) <= 1
    assert abs(columns.min() - 100) <= 4
    assert abs(columns.max() - 200) <= 4
    assert 5 <= np.ptp(rows) + 1 <= 8
    assert not remove.any()


WITH_FACE = replace(FIGURE, proposals=(FACE,))
AROUND = "keep 180,120 180,460 120,440 240,440; remove 20,20 20,470"
ALL_AROUND = AROUND + "; remove 20,20 340,20"
HEADLESS = a_rough_matte()
HEADLESS[:290] = 0


@pytest.mark.parametrize(
    ("photo", "matte", "given", "inside", "outside"),
    [
        # The cheek next to the matte.
        (FIGURE, a_rough_matte(), {}, [(160, 121)], [(20, 20)]),
        # Outside: the wall within the box.
        (FIGURE, NOBODY, {"box": "40,40,280,440"}, [(160, 180), (460, 180)], [(60, 60)]),
        (WITH_FACE, NOBODY, {}, [(160, 180), (440, 180)], [(20, 20)]),
        (FIGURE, NOBODY, {"seed": "strokes", "strokes": ALL_AROUND}, [(180, 180)], [(40, 40)]),
        (FIGURE, HEADLESS, {}, [(400, 180)], [(160, 180)]),
        # The second: not touched by the stroke, but of its color.
        (
            FIGURE,
            HEADLESS,
            {"strokes": "keep 180,110 180,220"},
            [(160, 180), (150, 140)],
            [(40, 40)],
        ),
    ],
    ids=["rough matte", "box", "face", "strokes", "headless matte", "stroke corrects a matte"],
)
def test_figure_is_found_from_its_seeds(
    photo: Prepared,
    matte: Matte8,
    given: dict[str, Scalar],
    inside: list[tuple[int, int]],
    outside: list[tuple[int, int]],
) -> None:
    seen = grabbed(photo, matte, **given)

    assert [seen[place] for place in inside] == [255] * len(inside)
    assert [seen[place] for place in outside] == [0] * len(outside)


def test_nothing_to_start_from_is_no_person() -> None:
    assert not grabbed(FIGURE, NOBODY).any()
