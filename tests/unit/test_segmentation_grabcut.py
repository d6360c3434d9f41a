from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_tests.pictures import a_figure, prepared
from smart_filter_workers.results import Face, Matte8, Prepared
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
        CARD.parameter("strokes").read("keep 1,1" + " 1,1" * 900 + "!")


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
    seen = cut_out(photo, matte, **given)

    assert [seen[place] for place in inside] == [255] * len(inside)
    assert [seen[place] for place in outside] == [0] * len(outside)


def test_nothing_to_start_from_is_no_person() -> None:
    assert not cut_out(FIGURE, NOBODY).any()
