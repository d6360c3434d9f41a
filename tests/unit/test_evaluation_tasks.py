"""How each task judges answers, and what reports show of them."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.evaluation import drawing, folders, intervals, measure, page, sheet
from smart_filter_workers.evaluation.base import Score, TaskCode
from smart_filter_workers.evaluation.contact import Compared, Cut, Fault
from smart_filter_workers.evaluation.measure import Evaluation, Measured, Shown
from smart_filter_workers.evaluation.tasks import TASKS, eyes, face, of, orientation, smile
from smart_filter_workers.networks.face_mesh import LEFT_EYE, RIGHT_EYE, FaceMesh
from smart_filter_workers.results import Eyes, Face, Faces, Smile

NOWHERE = Path("nowhere.jpg")
POINT = (0.0, 0.0)


def a_face(*box: float, score: float = 0.9) -> Face:
    left, top, width, height = box
    return Face((left, top, width, height), score, (POINT, POINT, POINT, POINT, POINT))


def figures(code: TaskCode, *scores: Score) -> dict[str, float]:
    numbers = np.array([score.numbers for score in scores], np.float64)
    return dict(code.figures(numbers, np.ones(len(scores))))


@pytest.mark.parametrize("task", TASKS)
def test_task_says_what_it_measures(task: TaskName) -> None:
    code = of(task)

    assert code.LOOKS >= 1
    assert code.HOW.endswith(".")
    assert len({metric.name for metric in code.METRICS}) == len(code.METRICS)


def test_contract_names_the_metrics() -> None:
    named = {task: [one.name for one in of(task).METRICS if one.contract] for task in TASKS}

    assert named == {
        "segmentation": ["iou", "boundary_f", "mad"],
        "face": ["precision", "recall", "f1"],
        "smile": ["accuracy", "macro_f1", "kappa", "auc", "mae_levels"],
        "eyes": ["accuracy"],
        "orientation": ["accuracy", "abstained", "harmed"],
    }


def a_photo_of_faces() -> face.Example:
    return face.Example(
        name="web_1.jpg",
        photo=NOWHERE,
        size=(100, 100),
        faces=((0, 0, 10, 10), (50, 50, 60, 60)),
        ignored=((80, 80, 90, 90),),
    )


def test_faces_are_right_wrong_or_missed() -> None:
    found = Faces((a_face(0, 0, 10, 10), a_face(30, 30, 10, 10)))

    assert face.score(a_photo_of_faces(), found).numbers == (1, 1, 1)


def test_ignored_face_counts_neither_way() -> None:
    nothing = face.score(a_photo_of_faces(), Faces(()))
    ignored = face.score(a_photo_of_faces(), Faces((a_face(80, 80, 10, 10),)))

    assert nothing.numbers == ignored.numbers == (0, 0, 2)


def test_second_box_on_a_face_is_wrong() -> None:
    twice = Faces((a_face(0, 0, 10, 10), a_face(0, 0, 10, 10, score=0.8)))

    assert face.score(a_photo_of_faces(), twice).numbers == (1, 1, 1)


def a_crop(level: SmileLevel) -> smile.Example:
    return smile.Example("fer.png", np.zeros((48, 48), np.uint8), level)


def test_smiles_are_judged_by_their_levels() -> None:
    huge, none = a_crop(SmileLevel.HUGE), a_crop(SmileLevel.NONE)

    told = figures(
        of(TaskName.SMILE),
        smile.score(huge, Smile(SmileLevel.MODERATE, 0.6)),
        smile.score(none, Smile(SmileLevel.NONE, 0.1)),
    )

    assert (told["accuracy"], told["mae_levels"], told["auc"]) == (0.5, 0.5, 1)


def test_worst_smile_is_the_farthest_off() -> None:
    near = smile.score(a_crop(SmileLevel.HUGE), Smile(SmileLevel.MODERATE, 0.6))
    far = smile.score(a_crop(SmileLevel.HUGE), Smile(SmileLevel.NONE, 0.1))
    right = smile.score(a_crop(SmileLevel.HUGE), Smile(SmileLevel.HUGE, 0.9))

    assert far.badness > near.badness > right.badness == 0


def test_unknown_eye_counts_as_not_open() -> None:
    codes = of(TaskName.EYES)
    open_told, open_unknown, shut_unknown = (
        Score("", "", numbers, 0, "") for numbers in ((1, 1), (1, 2), (0, 2))
    )

    told = figures(codes, open_told, open_unknown, shut_unknown)

    assert told["accuracy"] == pytest.approx(2 / 3)
    assert (told["accuracy_told"], told["told"]) == (1, pytest.approx(1 / 3))


def test_crop_of_an_eye_becomes_both_eyes_of_a_face() -> None:
    crop = np.random.default_rng(0).integers(0, 255, (30, 30, 3)).astype(np.uint8)

    view = eyes.face_of(crop)
    mesh = view.mesh(FaceMesh.__new__(FaceMesh))  # not asked: the mesh is known

    middles = [mesh.points[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
    corners = [(round(float(x)) - 15, round(float(y)) - 15) for x, y in middles]
    shown = [view.picture[y : y + 30, x : x + 30] for x, y in corners]
    assert (shown[0] == crop).all()
    assert (shown[1] == crop[:, ::-1]).all()


def test_either_eye_of_a_crop_may_be_the_one_that_was_told() -> None:
    one_seen = Eyes(left_open=True, right_open=None)

    assert eyes._said(one_seen) is True  # noqa: SLF001 - the rule is small and matters


@pytest.mark.parametrize(
    ("quarters", "accuracy", "abstained", "harmed"),
    [
        ((0, 3, 2, 1), 1.0, 0.0, 0),
        ((0, 0, 0, 0), 0.25, 0.75, 0),
        ((1, 3, 2, 1), 0.75, 0.0, 1),
        ((0, 1, 2, 0), 0.5, 0.25, 0),
    ],
)
def test_orientation_is_right_when_the_photo_stands_upright(
    quarters: tuple[int, ...], accuracy: float, abstained: float, harmed: int
) -> None:
    example = orientation.Example("a.jpg", NOWHERE)

    score = orientation.score(example, orientation.Answer(quarters, with_face=True))

    told = figures(of(TaskName.ORIENTATION), score)
    assert (told["accuracy"], told["abstained"], told["harmed"]) == (accuracy, abstained, harmed)


def test_mask_of_three_levels_has_pixels_that_do_not_count() -> None:
    three = np.array([[0, 128, 255]], np.uint8)
    soft = np.array([[0, 64, 128, 255]], np.uint8)

    assert folders.counted(three).tolist() == [[True, False, True]]
    assert folders.counted(soft).all()


def test_part_of_a_folder_is_told_by_the_start_of_a_name() -> None:
    assert folders.prefix("coco_0001.jpg") == "coco"
    assert folders.prefix("astronaut.png") == ""


def test_limit_takes_photos_from_the_whole_folder() -> None:
    examples = [orientation.Example(str(number), NOWHERE) for number in range(10)]

    assert [one.name for one in measure.spread(examples, 3)] == ["0", "3", "6"]
    assert measure.spread(examples, 30) is examples


def test_difference_shows_what_is_too_much_and_what_is_missing() -> None:
    photo = np.zeros((1, 4, 3), np.uint8)
    matte, known = np.array([[255, 0, 255, 255]], np.uint8), np.array([[0, 255, 255, 0]], np.uint8)
    counted = np.array([[True, True, True, False]])

    shown = drawing.differing(photo, matte, known, counted)

    assert tuple(shown[0, 0]) == drawing.TOO_MUCH
    assert tuple(shown[0, 1]) == drawing.MISSING
    assert tuple(shown[0, 2]) == tuple(shown[0, 3])


CARD = ModelCard(
    name="x<y", version="3", task=TaskName.SMILE, family="x", title="A model", source="",
    licence="", data_terms="",
)  # fmt: skip


def an_evaluation() -> Evaluation:
    score = Score("a&b.jpg", "", (0.0, 3.0, 0.9), 3.0, "score 0.90")
    picture = np.zeros((48, 48, 3), np.uint8)
    figure = intervals.Figure(0.75, 0.7, 0.8)
    measured = Measured(
        card=CARD,
        parameters={"blur": 3},
        scores=[score],
        figures={metric.name: figure for metric in smile.METRICS},
        groups=[],
        confusion=smile.confusion(np.array([score.numbers])),
        cpu_ms=12.34,
        peak_mb=99,
        worst=[Shown(score, (picture, "none", "huge", "3 too high"))],
    )
    task = TaskName.SMILE
    return Evaluation(task, Path("smiles"), 1, smile.HOW, smile.METRICS, [measured])


def test_page_shows_figures_and_the_worst_photos() -> None:
    written = page.write(an_evaluation())

    assert "0.750<small>0.700 to 0.800</small>" in written
    assert "12.3 ms" in written
    assert "a&amp;b.jpg" in written
    assert "A model, blur 3." in written
    assert "<strong>3 too high</strong>" in written


def test_page_needs_nothing_but_itself() -> None:
    written = page.write(an_evaluation())

    assert "x<y" not in written
    assert not re.findall(r"https?://|@import|<link|<script", written)
    assert set(re.findall(r'src="([a-z:/]+)', written)) == {"data:image/jpeg"}


def test_page_of_a_model_without_a_fault_says_so() -> None:
    evaluation = an_evaluation()
    good = replace(evaluation.models[0], worst=[])

    assert "Not one photo has anything amiss" in page.write(replace(evaluation, models=[good]))


def a_cut(name: str, *, persons: int | None = None) -> Cut:
    picture = np.zeros((60, 90, 3), np.uint8)
    matte = np.zeros((60, 90), np.uint8)
    return Cut(name, picture, matte, 0.125, persons, ms=41.7, cpu_ms=40)


def test_sheet_grows_to_the_right_and_then_down() -> None:
    photo = np.zeros((60, 90, 3), np.uint8)
    sizes = [
        sheet.draw(Compared(photo, [a_cut("m")] * count), title="p.jpg").shape
        for count in (1, sheet.MOST_ACROSS - 1, sheet.MOST_ACROSS)
    ]

    assert sizes[0][0] == sizes[1][0] < sizes[2][0]
    assert sizes[0][1] < sizes[1][1]


def test_model_that_made_nothing_has_its_place_on_the_sheet() -> None:
    photo = np.zeros((60, 90, 3), np.uint8)

    without = sheet.draw(Compared(photo, []), title="p.jpg")
    drawn = sheet.draw(Compared(photo, [Fault("m", "needs weights")]), title="p.jpg")

    assert drawn.shape[1] > without.shape[1]


@pytest.mark.parametrize(
    ("persons", "told"),
    [
        (None, "42 ms · 12.5% of the photo"),
        (0, "42 ms · nobody · 12.5% of the photo"),
        (1, "42 ms · 1 person · 12.5% of the photo"),
        (2, "42 ms · 2 persons · 12.5% of the photo"),
    ],
)
def test_cut_out_is_told_in_a_line(persons: int | None, told: str) -> None:
    assert sheet.told(a_cut("m", persons=persons)) == told
