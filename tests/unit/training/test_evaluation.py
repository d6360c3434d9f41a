import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face, Faces
from smart_filter_training.evaluation import (
    confidence_intervals,
    contact_sheet,
    dataset_files,
    html_report,
    measure,
    metrics,
)
from smart_filter_training.evaluation.base import Score
from smart_filter_training.evaluation.measure import Evaluation, ModelResult, ReportedPhoto
from smart_filter_training.evaluation.model_comparison import Comparison, CutOutResult, FailedModel
from smart_filter_training.evaluation.tasks import face, orientation, smile
from smart_filter_workers.results import Doubles, Matte8

SIDE = 200
# 0.8 % of the diagonal of 200 × 200 pixels, rounded up.
REACH_PX = 3
ALL = np.ones((SIDE, SIDE), np.bool_)


def a_square(*, left: int = 60) -> Matte8:
    matte = np.zeros((SIDE, SIDE), np.uint8)
    matte[60:140, left : left + 80] = 255
    return matte


EMPTY = np.zeros((SIDE, SIDE), np.uint8)
WHOLE = np.full((SIDE, SIDE), 255, np.uint8)


@pytest.mark.parametrize("matte", [a_square(), EMPTY, WHOLE], ids=["square", "empty", "whole"])
def test_identical_mattes_agree_in_every_metric(matte: Matte8) -> None:
    assert metrics.matte_iou(matte, matte, ALL) == 1
    assert metrics.boundary_f(matte, matte, ALL) == 1
    assert metrics.mean_difference(matte, matte, ALL) == 0


@pytest.mark.parametrize(
    ("matte", "known", "least", "most"),
    [
        (a_square(left=60 + REACH_PX), a_square(), 1, 1),
        # Left and right sides are too far away now; top and bottom are still in place.
        (a_square(left=65), a_square(), 0.4, 0.6),
        # The border of the picture is no outline.
        (a_square(), WHOLE, 0, 0),
    ],
    ids=["within the tolerance", "beyond it", "whole"],
)
def test_outlines_agree_up_to_the_tolerance(
    matte: Matte8, known: Matte8, least: float, most: float
) -> None:
    assert least <= metrics.boundary_f(matte, known, ALL) <= most


def test_only_pixels_near_the_known_outline_count_near_edges() -> None:
    far, near = a_square(), a_square()
    far[95:105, 95:105] = 0
    near[:, 59:62] = 128

    assert metrics.near_edge_difference(far, a_square(), ALL) == 0
    assert metrics.near_edge_difference(near, a_square(), ALL) > 0.05


def test_precision_and_recall_are_shares_of_found_and_of_known() -> None:
    assert metrics.precision_recall_f1(6, 2, 4) == (6 / 8, 6 / 10, 12 / 18)
    assert math.isnan(metrics.precision_recall_f1(0, 0, 0)[2])


def mean_of(numbers: Doubles, weights: Doubles) -> dict[str, float]:
    return {"mean": metrics.weighted_mean(numbers[:, 0], weights)}


def test_difference_on_the_same_photos_is_more_certain_than_the_figures() -> None:
    numbers = np.random.default_rng(1).random((60, 1))

    apart = confidence_intervals.compute_differences(numbers + 0.1, numbers, mean_of)["mean"]
    unknown = confidence_intervals.compute_figures(numbers, lambda *_: {"nothing": math.nan})[
        "nothing"
    ]

    assert apart.value == pytest.approx(0.1)
    assert apart.high - apart.low < 1e-9
    assert math.isnan(unknown.low)


NOWHERE = Path("nowhere.jpg")
POINT = (0.0, 0.0)
PHOTO = np.zeros((60, 90, 3), np.uint8)


def a_face(*box: float, score: float = 0.9) -> Face:
    left, top, width, height = box
    return Face((left, top, width, height), score, (POINT, POINT, POINT, POINT, POINT))


def a_photo_of_faces() -> face.Example:
    return face.Example(
        name="web_1.jpg",
        photo=NOWHERE,
        size=(100, 100),
        faces=((0, 0, 10, 10), (50, 50, 60, 60)),
        ignored=((80, 80, 90, 90),),
    )


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        ([a_face(0, 0, 10, 10), a_face(30, 30, 10, 10)], (1, 1, 1)),
        ([a_face(0, 0, 10, 10), a_face(0, 0, 10, 10, score=0.8)], (1, 1, 1)),
        ([], (0, 0, 2)),
        ([a_face(80, 80, 10, 10)], (0, 0, 2)),
    ],
    ids=["right and wrong", "a second box is wrong", "missed", "ignored counts neither way"],
)
def test_faces_are_right_wrong_or_missed(found: list[Face], counts: tuple[int, ...]) -> None:
    assert face.score(a_photo_of_faces(), Faces(tuple(found))).numbers == counts


@pytest.mark.parametrize(
    ("levels", "counted"),
    [((0, 128, 255), [True, False, True]), ((0, 64, 128, 255), [True] * 4)],
    ids=["three levels", "soft"],
)
def test_only_a_mask_of_three_levels_has_ignored_pixels(
    levels: tuple[int, ...], counted: list[bool]
) -> None:
    assert dataset_files.counted_pixels(np.array([levels], np.uint8)).tolist() == [counted]


def test_limit_takes_photos_from_the_whole_folder() -> None:
    examples = [orientation.Example(str(number), NOWHERE) for number in range(10)]

    assert [example.name for example in measure.sample_evenly(examples, 3)] == ["0", "3", "6"]
    assert measure.sample_evenly(examples, 30) is examples


CARD = ModelCard(
    name="x<y", version="3", task=TaskName.SMILE, family="x", title="A model", source="",
    license="", data_terms="",
)  # fmt: skip


def an_evaluation() -> Evaluation:
    score = Score("a&b.jpg", "", (0.0, 3.0, 0.9), 3.0, "score 0.90")
    picture = np.zeros((48, 48, 3), np.uint8)
    figure = confidence_intervals.Figure(0.75, 0.7, 0.8)
    measured = ModelResult(
        card=CARD,
        parameters={"blur": 3},
        scores=[score],
        figures={metric.name: figure for metric in smile.METRICS},
        groups=[],
        confusion=smile.confusion(np.array([score.numbers])),
        cpu_ms=12.34,
        peak_mb=99,
        worst=[ReportedPhoto(score, (picture, "none", "huge", "3 too high"))],
    )
    task = TaskName.SMILE
    return Evaluation(task, Path("smiles"), 1, smile.HOW, smile.METRICS, [measured])


def test_report_page_needs_no_other_file() -> None:
    evaluation = an_evaluation()
    good = replace(evaluation.models[0], worst=[])

    written = html_report.render_page(replace(evaluation, models=[*evaluation.models, good]))

    assert "x<y" not in written
    assert not re.findall(r"https?://|@import|<link|<script", written)
    assert set(re.findall(r'src="([a-z:/]+)', written)) == {"data:image/jpeg"}
    assert "No photo has errors" in written


def test_sheet_has_a_place_for_each_model_and_grows_right_then_down() -> None:
    cut = CutOutResult("m", PHOTO, PHOTO[..., 0], 0.125, None, ms=41.7, cpu_ms=40)
    fault = FailedModel("m", "needs weights")
    sheets = ([fault], [cut] * (contact_sheet.MAX_COLUMNS - 1), [cut] * contact_sheet.MAX_COLUMNS)

    single, full, more = (
        contact_sheet.draw(Comparison(PHOTO, made), title="p.jpg").shape for made in sheets
    )

    assert single[0] == full[0] < more[0]
    assert single[1] < full[1]
