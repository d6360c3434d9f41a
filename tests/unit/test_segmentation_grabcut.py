from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_tests.pictures import a_figure, prepared
from smart_filter_workers.results import Face, Matte8, Prepared
from smart_filter_workers.stages.segmentation import seeds
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.grabcut import CARD, GrabCut
from smart_filter_workers.stages.segmentation.strokes import (
    Stroke,
    draw_strokes,
    parse_box,
    parse_strokes,
)

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


def cut_out(photo: Prepared, matte: Matte8, **given: Scalar) -> Matte8:
    (people,) = GrabCut(seeing(matte))([photo], parameters=CARD.completed(given))
    return people.matte


def test_strokes_are_read() -> None:
    assert parse_strokes("keep 120,80 140,95; remove 10,10 50,50") == (
        Stroke(keep=True, points=((120, 80), (140, 95))),
        Stroke(keep=False, points=((10, 10), (50, 50))),
    )


def test_no_text_is_no_strokes_and_no_box() -> None:
    assert parse_strokes("") == ()
    assert parse_box("") is None


@pytest.mark.parametrize(
    "text",
    ["keep", "keep 1", "keep 1,2 3", "draw 1,2", "keep 1,2;;", "keep -1,2", "keep 1,2 remove 3,4"],
)
def test_malformed_strokes_are_refused_and_told_what_they_should_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"keep 120,80 140,95; remove 10,10 50,50"):
        parse_strokes(text)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,0", "a,b,c,d", "1,2,3,4,5", "-1,2,3,4"])
def test_malformed_box_is_refused_and_told_what_it_should_be(text: str) -> None:
    with pytest.raises(ValueError, match="a box x,y,width,height"):
        parse_box(text)


@pytest.mark.parametrize("text", ["keep 1,2", "keep 1,2;", "keep 1,2;remove 3,4 5,6; keep 7,8", ""])
def test_card_admits_what_can_be_read(text: str) -> None:
    strokes = CARD.parameter("strokes")
    assert strokes is not None

    assert strokes.read(text) == text
    parse_strokes(text)


def test_card_refuses_a_long_text_of_strokes_quickly() -> None:
    strokes = CARD.parameter("strokes")
    assert strokes is not None

    with pytest.raises(ValueError, match="strokes such as"):
        strokes.read("keep 1,1" + " 1,1" * 900 + "!")


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


def test_single_point_is_a_dot() -> None:
    keep, _ = draw_strokes(parse_strokes("keep 50,50"), FIGURE, (HEIGHT, WIDTH), brush_px=9)

    assert keep[50, 50]
    assert 20 < np.count_nonzero(keep) < 110


def test_later_stroke_covers_an_earlier_one() -> None:
    keep, remove = draw_strokes(
        parse_strokes("keep 50,50; remove 50,50"), FIGURE, (HEIGHT, WIDTH), brush_px=9
    )

    assert not keep.any()
    assert remove[50, 50]


def test_strokes_outside_of_the_photo_are_cut_off() -> None:
    keep, remove = draw_strokes(
        parse_strokes("keep 99999,99999 88888,0"), FIGURE, (HEIGHT, WIDTH), brush_px=1000
    )

    assert not keep.any()
    assert not remove.any()


def test_matte_is_doubted_along_its_outline_only() -> None:
    told = seeds.from_matte(a_rough_matte(), (HEIGHT, WIDTH))

    assert told[160, 180] == seeds.PERSON
    assert told[20, 20] == seeds.BACKGROUND
    assert told[160, 125] == seeds.MAYBE_PERSON
    assert told[160, 122] == seeds.MAYBE_BACKGROUND


def test_stroke_opens_its_surroundings_to_doubt() -> None:
    remove = np.zeros((HEIGHT, WIDTH), np.bool_)
    remove[160, 180] = True

    told = seeds.with_strokes(
        seeds.from_matte(a_rough_matte(), (HEIGHT, WIDTH)), np.zeros_like(remove), remove
    )

    assert told[160, 180] == seeds.BACKGROUND
    assert told[165, 180] == seeds.MAYBE_PERSON
    assert told[450, 180] == seeds.PERSON, "too far away"


def test_rough_matte_grows_to_the_colours_edge() -> None:
    matte = cut_out(FIGURE, a_rough_matte())

    assert matte[160, 121] == 255, "the cheek beside it"
    assert matte[20, 20] == 0


def test_box_finds_the_figure_without_any_model() -> None:
    matte = cut_out(FIGURE, NOBODY, box="40,40,280,440")

    assert matte[160, 180] == 255
    assert matte[460, 180] == 255
    assert matte[60, 60] == 0, "the wall within the box"


def test_faces_find_the_body_when_the_matte_is_empty() -> None:
    matte = cut_out(replace(FIGURE, proposals=(FACE,)), NOBODY)

    assert matte[160, 180] == 255
    assert matte[440, 180] == 255
    assert matte[20, 20] == 0


def test_strokes_alone_are_enough() -> None:
    matte = cut_out(
        FIGURE,
        NOBODY,
        seed="strokes",
        strokes="keep 180,120 180,460 120,440 240,440; remove 20,20 20,470; remove 20,20 340,20",
    )

    assert matte[180, 180] == 255
    assert matte[40, 40] == 0


def test_patch_of_the_same_colour_far_from_the_strokes_is_left_out() -> None:
    picture = a_figure()
    picture[30:60, 300:330] = (38, 44, 66)  # the jacket's

    matte = cut_out(
        prepared(picture),
        NOBODY,
        seed="strokes",
        strokes="keep 180,120 180,460 120,440 240,440; remove 20,20 20,470",
    )

    assert matte[400, 180] == 255
    assert matte[45, 315] == 0


def test_stroke_corrects_a_matte() -> None:
    headless = a_rough_matte()
    headless[:290] = 0

    untouched = cut_out(FIGURE, headless)
    corrected = cut_out(FIGURE, headless, strokes="keep 180,110 180,220")

    assert untouched[160, 180] == 0
    assert corrected[160, 180] == 255
    assert corrected[150, 140] == 255, "what the stroke did not touch but its colour tells"
    assert corrected[40, 40] == 0


def test_box_outside_of_the_photo_is_as_none() -> None:
    outside = cut_out(FIGURE, a_rough_matte(), seed="box", box="5000,5000,10,10")

    assert np.array_equal(outside, cut_out(FIGURE, a_rough_matte()))


@pytest.mark.parametrize("seed", ["box", "faces", "strokes"])
def test_seed_that_is_not_there_falls_back(seed: str) -> None:
    matte = cut_out(FIGURE, a_rough_matte(), seed=seed)

    assert np.array_equal(matte, cut_out(FIGURE, a_rough_matte(), seed="auto"))


def test_nothing_to_start_from_is_nobody() -> None:
    assert not cut_out(FIGURE, NOBODY).any()


def test_whole_photo_as_box_leaves_it_whole() -> None:
    matte = cut_out(FIGURE, NOBODY, box=f"0,0,{WIDTH},{HEIGHT}")

    assert (matte == 255).all()


def test_steps_show_what_it_is_told_in_four_levels() -> None:
    (people,) = GrabCut(seeing(a_rough_matte()))([FIGURE], parameters=CARD.completed({}))

    told = next(step.picture for step in people.steps if step.title == "what it is told")
    assert set(np.unique(told)) == {0, 85, 170, 255}
